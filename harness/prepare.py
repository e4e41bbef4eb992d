"""Everything a cell needs besides its build: model files, inputs and reference values on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import onnx

from harness.align import to_ncnn_layout
from harness.download import fetch_distribution
from harness.errors import ModelError
from harness.evaluation import OnnxGraph
from harness.files import directory_atomically, sha256_of
from harness.inputs import Tensor, make_input
from harness.job import JobInput
from harness.model import convert as converter
from harness.model import recogniser
from harness.model.ctc import ctc_decode
from harness.model.param import Param, read_param, write_param
from harness.model.weights import read_tensors, write_weights
from harness.reference import reference_for
from harness.spec import InputSpec, ModelSpec, content_key
from harness.store import Store


@dataclass(frozen=True, kw_only=True)
class PreparedModel:
    """A model in both formats, checked."""

    spec: ModelSpec
    onnx: Path
    param: Path
    bin: Path
    graph: Param
    inputs: tuple[str, ...]
    """ncnn input blobs."""
    output: str
    """ncnn blob that is compared as the model's output."""
    names: dict[str, str]
    """ncnn blob → ONNX value, where the names differ."""
    values: frozenset[str]
    """ONNX values that blobs can be compared with."""
    characters: tuple[str, ...]
    """Character table for CTC decoding; empty for models without one."""

    def value_of(self, blob: str) -> str:
        """Return the name of the ONNX value that a blob corresponds to."""
        return self.names.get(blob, blob)


def prepare_model(spec: ModelSpec, inputs: Sequence[InputSpec], store: Store) -> PreparedModel:
    """Fetch or check a model's files; convert the built-in one for the inputs at hand.

    Raises:
        ModelError: a file is missing, truncated or not understood.
        MachineError: the built-in model cannot be downloaded.
    """
    if spec.onnx:
        return _describe(spec, Path(spec.onnx), Path(spec.param), Path(spec.bin))
    shapes = sorted({item.shape for item in inputs if item.shape})
    if len(shapes) != 1:
        raise ModelError(
            f"the built-in model is converted for one input shape, and the inputs have "
            f"{len(shapes)}: give all inputs the same shape, such as [1, 3, 48, 320]."
        )
    wheel = fetch_distribution(
        recogniser.PROJECT,
        recogniser.VERSION,
        kind="wheel",
        cache=store.downloads,
        sha256=recogniser.WHEEL_SHA256,
    )
    key = content_key([recogniser.WHEEL_SHA256, shapes, _converter_digest()])
    folder = store.models / f"{spec.name}-{key}"
    with store.lock(f"model-{key}"):
        if not folder.is_dir():
            with directory_atomically(folder) as work:
                recogniser.extract_onnx(wheel, work / "model.onnx")
                graph = onnx.load(work / "model.onnx")
                param, weights = converter.convert(graph, {graph.graph.input[0].name: shapes[0]})
                write_param(param, work / "model.param")
                write_weights(param, weights, work / "model.bin")
    return _describe(spec, folder / "model.onnx", folder / "model.param", folder / "model.bin")


@cache
def _converter_digest() -> str:
    """Return a key of the converter's code: what it wrote before is stale when it changes."""
    folder = Path(converter.__file__).parent
    return content_key({path.name: sha256_of(path) for path in sorted(folder.glob("*.py"))})


@dataclass(frozen=True, kw_only=True)
class PreparedInput:
    """One input with its reference values, on disk."""

    name: str
    job: JobInput
    text: str
    """What the reference reads, where the model has a character table."""


def prepare_input(spec: InputSpec, model: PreparedModel, store: Store) -> PreparedInput:
    """Make one input, compute the reference values for it, and put both on disk.

    Raises:
        ModelError: the input does not fit the model, or the model cannot be evaluated.
    """
    tensors = _tensors(spec, model)
    reference = reference_for(
        model.onnx, tensors, store=store.references, kind="fp32", wanted=model.values
    )
    feeds = {}
    folder = store.references / f"feeds-{reference.directory.name}"
    with store.lock(folder.name):
        if not folder.is_dir():
            with directory_atomically(folder) as work:
                for blob in model.inputs:
                    np.save(work / f"{blob}.npy", to_ncnn_layout(tensors[model.value_of(blob)]))
    for blob in model.inputs:
        feeds[blob] = str(folder / f"{blob}.npy")
    text = ""
    if model.characters:
        probabilities = reference[model.value_of(model.output)]
        text = ctc_decode(probabilities.reshape(probabilities.shape[-2:]), model.characters)
    job = JobInput(name=spec.name, feeds=feeds, reference=str(reference.directory))
    return PreparedInput(name=spec.name, job=job, text=text)


def _tensors(spec: InputSpec, model: PreparedModel) -> dict[str, Tensor]:
    """Return one tensor per input of the ONNX model; a `.npz` file holds several by name."""
    if spec.npy.endswith(".npz"):
        try:
            with np.load(spec.npy) as archive:
                return {name: archive[name].astype(np.float32) for name in archive.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise ModelError(f"{spec.npy}: not a readable .npz file: {error}.") from error
    if len(model.inputs) != 1:
        values = ", ".join(model.value_of(blob) for blob in model.inputs)
        raise ModelError(
            f"input {spec.name}: the model has several inputs ({values}). Give one .npz file with "
            "an array of each name."
        )
    return {model.value_of(model.inputs[0]): make_input(spec, base=Path())}


def _describe(spec: ModelSpec, onnx_path: Path, param: Path, weights: Path) -> PreparedModel:
    """Check the files of a model against each other."""
    graph = read_param(param)
    read_tensors(graph, weights)
    source = OnnxGraph.load(onnx_path)
    consumed = {blob for layer in graph.layers for blob in layer.inputs}
    produced = [blob for layer in graph.layers for blob in layer.outputs]
    inputs = tuple(b for layer in graph.layers if layer.type == "Input" for b in layer.outputs)
    ends = [blob for blob in produced if blob not in consumed]
    names = dict(spec.names)
    # A model with one input and one output needs no names for these.
    for blobs, values in ((inputs, tuple(source.inputs)), (ends, source.outputs)):
        if len(blobs) == len(values) == 1 and blobs[0] != values[0]:
            names.setdefault(blobs[0], values[0])
    outputs = [blob for blob in ends if names.get(blob, blob) in source.outputs]
    unknown = [blob for blob in inputs if names.get(blob, blob) not in source.inputs]
    for kind, wrong in (("input", unknown), ("output", [] if outputs else ends)):
        if wrong:
            raise ModelError(
                f"{param}: {kind} blob '{wrong[0]}' has no counterpart in {onnx_path}, whose "
                f"{kind}s are {', '.join(source.inputs if kind == 'input' else source.outputs)}. "
                "Name it in the configuration: [model.names] blob = value."
            )
    available = {*source.inputs, *source.computed}
    return PreparedModel(
        spec=spec,
        onnx=onnx_path,
        param=param,
        bin=weights,
        graph=graph,
        inputs=inputs,
        output=outputs[0],
        names=names,
        values=frozenset({names.get(blob, blob) for blob in graph.blobs} & available),
        characters=recogniser.character_table(source.proto),
    )
