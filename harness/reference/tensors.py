"""The tensors of an input, as the ONNX model takes them and as blobs of ncnn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from harness.model.blob_layout import to_ncnn_layout
from harness.model.input_shapes import graph_inputs
from harness.model.onnx_graph import OnnxGraph
from harness.reference.inputs import make_input, random_tensors
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.domain.spec import InputSpec
    from harness.model.prepared_model import PreparedModel

    Array = NDArray[Any]


def tensors_of(spec: InputSpec, model: PreparedModel) -> dict[str, Array]:
    """Return one tensor per input of the ONNX model; a `.npz` file holds several by name.

    Raises:
        ModelError: the input does not fit the model.
    """
    if spec.random is not None:
        return _random(spec, spec.random, model)
    if spec.npy.endswith(".npz"):
        try:
            with np.load(spec.npy) as archive:
                return {name: archive[name].astype(np.float32) for name in archive.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise ModelError(f"{spec.npy}: not a readable .npz file: {error}.") from error
    if len(model.inputs) != 1:
        values = ", ".join(model.inputs.values())
        raise ModelError(
            f"input {spec.name}: the model has several inputs ({values}). Give one .npz file with "
            "an array of each name, or random numbers: random = 1, shapes = { NAME = [..], .. }."
        )
    (name,) = model.inputs.values()
    return {name: make_input(spec, base=Path())}


def _random(spec: InputSpec, seed: int, model: PreparedModel) -> dict[str, Array]:
    """Return random tensors for all inputs of the ONNX model."""
    if model.onnx is None:
        return _random_blobs(spec, seed, model)
    inputs = graph_inputs(OnnxGraph.load(model.onnx))
    given = dict(spec.shapes) if spec.shapes else {inputs[0].name: spec.shape}
    shapes = {}
    for source in inputs:
        shape = given.pop(source.name, ())
        if not shape and not source.open_axes:
            shape = tuple(int(extent) for extent in source.axes)
        if not source.fits(shape):
            raise ModelError(
                f"input {spec.name}: shape {list(shape)} of {source.name} is not one of "
                f"{source.shape_text}, which {model.onnx} takes. Set `shape`, or of several inputs "
                "`shapes` = { NAME = [..], .. }."
            )
        shapes[source.name] = shape
    if given:
        raise ModelError(
            f"input {spec.name}: {model.onnx} has no input {next(iter(given))}. Its inputs are "
            f"{', '.join(shapes)}."
        )
    return random_tensors(inputs, shapes, seed)


def _random_blobs(spec: InputSpec, seed: int, model: PreparedModel) -> dict[str, Array]:
    """Return random tensors for the input blobs of a model that has no ONNX file."""
    shapes = dict(spec.shapes) or dict.fromkeys(list(model.inputs)[:1], spec.shape)
    wrong = next((blob for blob in [*model.inputs, *shapes] if not shapes.get(blob)), "")
    if wrong or set(shapes) != set(model.inputs):
        raise ModelError(
            f"input {spec.name}: the model's inputs are {', '.join(model.inputs)}. Give each a "
            "shape: `shape` = [..], or of several inputs `shapes` = { NAME = [..], .. }."
        )
    generator = np.random.default_rng(seed)
    return {
        blob: generator.uniform(-1, 1, size=shape).astype(np.float32)
        for blob, shape in shapes.items()
    }


def feeds_of(model: PreparedModel, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the numbers that go into the model, by blob, in ncnn's layout."""
    return {blob: to_ncnn_layout(tensors[name]) for blob, name in model.inputs.items()}
