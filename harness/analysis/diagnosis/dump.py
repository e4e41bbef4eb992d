"""Every value, blob and weight of both sides in `.npz` archives with a manifest.

Arrays are written one by one and ONNX values are computed in portions, so that what a model holds
altogether never has to fit into memory. Members have numbered names, and
folders of inputs safe ones, since names may hold any character; `manifest.json` has them.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.model.onnx_graph import OnnxGraph
from harness.reference.blob_values import onnx_values
from harness.util.files import write_atomically
from harness.util.naming import file_name
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.analysis.diagnosis.measurer import ConfiguredModel, Measured, Measurer
    from harness.analysis.diagnosis.prepare import KnownModel
    from harness.domain.spec import InputSpec
    from harness.model.alignment import Alignment
    from harness.model.prepared_model import PreparedModel
    from harness.reference.evaluator import Evaluator

    Array = NDArray[Any]

PORTION = 64
"""ONNX values that are computed, and in memory, at a time."""
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class DumpEntry:
    """One array of a dump."""

    archive: str
    member: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    layer: str = ""
    """The ncnn layer that it belongs to."""
    value: str = ""
    """The ONNX value that an ncnn blob holds."""


def dump(
    subject: ConfiguredModel,
    inputs: Sequence[InputSpec],
    references: KnownModel,
    evaluator: Evaluator,
    measurer: Measurer,
    folder: Path,
    notify: Callable[[str], None],
) -> list[DumpEntry]:
    """Write all arrays of a matched subject.

    `onnx-weights.npz` and `ncnn-weights.npz` hold the weights; per input, a folder named after it
    has `onnx-values.npz`, `ncnn-defined.npz` (by ncnn's definitions, where these are the
    reference), `ncnn-blobs.npz` (the chain as it runs) and `ncnn-alone.npz` (each layer on the
    reference's values), all in float32 and each side in its own layout.

    Returns:
        What the manifest lists.
    """
    entries = _archive(folder, "onnx-weights.npz", _plain(subject.initialisers.items()))
    entries += _archive(folder, "ncnn-weights.npz", _weights(subject))
    for spec in inputs:
        notify(f"dumping {spec.name}")
        place = file_name(spec.name)
        truth = references.truth(spec)
        if references.model.onnx:
            onnx = _values(references.model, evaluator, truth.tensors)
            entries += _archive(folder, f"{place}/onnx-values.npz", onnx)
        defined = _plain((each.blob, truth.single[each.key]) for each in _defined(subject))
        entries += _archive(folder, f"{place}/ncnn-defined.npz", defined)
        with scratch_directory("dump-") as scratch:
            measured = measurer.measure(subject, truth, scratch)
            for file, passed in (("ncnn-blobs", "chain"), ("ncnn-alone", "alone")):
                arrays = _blobs(measured, passed)
                entries += _archive(folder, f"{place}/{file}.npz", arrays)
    manifest = {
        "param": subject.job.param,
        "inputs": {file_name(spec.name): spec.name for spec in inputs},
        "arrays": [asdict(entry) for entry in entries],
    }
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1))
    return entries


Item = tuple[str, str, str, Any]
"""Name, layer, ONNX value and array."""


def _archive(folder: Path, archive: str, items: Iterator[Item]) -> list[DumpEntry]:
    """Write arrays into one archive as they come."""
    path = folder / archive
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as target:
        for number, (name, layer, value, array) in enumerate(items):
            member = f"{number:04}"
            with target.open(f"{member}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
            entries.append(
                DumpEntry(
                    archive=archive,
                    member=member,
                    name=name,
                    shape=array.shape,
                    dtype=str(array.dtype),
                    layer=layer,
                    value=value,
                )
            )
    return entries


def _plain(items: Iterable[tuple[str, Array]]) -> Iterator[Item]:
    for name, array in items:
        yield name, "", "", array


def _defined(subject: ConfiguredModel) -> list[Alignment]:
    return [each for each in subject.alignments if each.source == "ncnn"]


def _weights(subject: ConfiguredModel) -> Iterator[Item]:
    for layer, tensors in subject.weights.items():
        for name, array in tensors.items():
            yield name, layer, "", array


def _values(
    model: PreparedModel, evaluator: Evaluator, tensors: Mapping[str, Array]
) -> Iterator[Item]:
    assert model.onnx is not None
    names = OnnxGraph.load(model.onnx).select(None)
    for start in range(0, len(names), PORTION):
        wanted = names[start : start + PORTION]
        portion = evaluator(onnx_values, model, dict(tensors), wanted, "fp32", what=model.onnx)
        yield from _plain(portion.items())


def _blobs(measured: Measured, passed: str) -> Iterator[Item]:
    for each in measured.subject.alignments:
        layer = measured.subject.graph.layers[each.layer_index].name
        if passed == "chain":
            array = measured.result.chain_blob(each.blob)
        else:
            array = measured.result.alone_blob(layer, each.blob)
        if array is not None:
            yield each.blob, layer, each.value, array
