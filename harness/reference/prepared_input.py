"""An input with its reference values, on disk, as runs need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from harness.domain.spec import InputSpec, content_key
from harness.domain.verdict import PLAUSIBLE_FLOOR, noise_floors
from harness.model.blob_layout import to_ncnn_layout
from harness.model.ctc import ctc_decode
from harness.reference.inputs import make_input
from harness.reference.values import Reference, reference_for
from harness.util.errors import ModelError
from harness.util.files import directory_atomically, stamp, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.model.prepared_model import PreparedModel
    from harness.util.build_store import Store

    Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class PreparedInput:
    """One input with its reference values, on disk."""

    name: str
    feeds: Mapping[str, str]
    """ncnn blob → `.npy` file in the layout of ncnn."""
    reference: Reference
    """What ONNX Runtime computes for it."""
    text: str
    """What the reference reads, where the model has a character table."""
    floors: dict[str, float]
    """Scale-relative error of the fp32 reference against float64, by ONNX value."""


def prepare_input(spec: InputSpec, model: PreparedModel, store: Store) -> PreparedInput:
    """Make one input, compute the reference values for it, and put both on disk.

    Raises:
        ModelError: the input does not fit the model, or the model cannot be evaluated.
    """
    tensors = tensors_of(spec, model)
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
    stamp(folder)
    for blob in model.inputs:
        feeds[blob] = str(folder / f"{blob}.npy")
    text = decode(reference[model.value_of(model.output)], model)
    exact = reference_for(
        model.onnx, tensors, store=store.references, kind="float64", wanted=model.values
    )
    floors = _floors(reference, exact, store)
    return PreparedInput(name=spec.name, feeds=feeds, reference=reference, text=text, floors=floors)


def _floors(reference: Reference, exact: Reference, store: Store) -> dict[str, float]:
    """Return the noise floors between two references, remembered: both are known by content."""
    key = content_key([reference.directory.name, exact.directory.name, PLAUSIBLE_FLOOR])
    file = store.references / f"floors-{key}" / "floors.json"
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        stamp(file.parent)
        return {str(name): float(value) for name, value in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        floors = noise_floors(reference, exact)
        write_atomically(file, json.dumps(floors))
        return floors


def decode(output: Array, model: PreparedModel) -> str:
    """Return the text that a recogniser's output spells; empty for other models."""
    classes = len(model.characters)
    if not classes or output.shape[-1:] != (classes,):
        return ""
    return ctc_decode(output.reshape(-1, classes), model.characters)


def tensors_of(spec: InputSpec, model: PreparedModel) -> dict[str, Array]:
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
