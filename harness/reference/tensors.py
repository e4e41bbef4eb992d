"""The tensors of an input, as the ONNX model takes them and as blobs of ncnn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.model.blob_layout import MAX_AXES, to_ncnn_layout
from harness.model.input_shapes import graph_inputs
from harness.model.onnx_graph import OnnxGraph
from harness.reference.array_files import read_npz
from harness.reference.inputs import LIMIT, as_float32, check_size, make_input, random_tensors
from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.domain.spec import InputSpec
    from harness.model.prepared_model import PreparedModel

    Array = NDArray[Any]


def tensors_of(spec: InputSpec, model: PreparedModel, limit: int = LIMIT) -> dict[str, Array]:
    """Return one tensor per input of the ONNX model; a `.npz` file holds several by name.

    Raises:
        ModelError: the input does not fit the model, or takes more than `limit` bytes.
    """
    if spec.random is not None:
        return _random(spec, spec.random, model, limit)
    if spec.npy.endswith(".npz"):
        return _archive(spec, model, limit)
    if len(model.inputs) != 1:
        values = ", ".join(model.inputs.values())
        raise ModelError(
            f"input {spec.name}: the model has several inputs ({values}). Give one .npz file with "
            "an array of each name, or random numbers: random = 1, shapes = { NAME = [..], .. }.",
            code=Code.INPUT_CONTENT,
        )
    (name,) = model.inputs.values()
    return {name: make_input(spec, base=Path(), limit=limit)}


def _archive(spec: InputSpec, model: PreparedModel, limit: int) -> dict[str, Array]:
    """Return the tensors of a `.npz` file."""
    path = Path(spec.npy)
    found = read_npz(path, limit=limit)
    missing = [name for name in model.inputs.values() if name not in found]
    if missing:
        raise ModelError(
            f"input {spec.name}: {path}: no array is named {missing[0]}. Its arrays are "
            f"{', '.join(found)[:200]}; the model's inputs are {', '.join(model.inputs.values())}.",
            code=Code.INPUT_CONTENT,
        )
    return {name: as_float32(spec, path, array) for name, array in found.items()}


def _random(spec: InputSpec, seed: int, model: PreparedModel, limit: int) -> dict[str, Array]:
    """Return random tensors for all inputs of the ONNX model."""
    if model.onnx is None:
        return _random_blobs(spec, seed, model, limit)
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
                "`shapes` = { NAME = [..], .. }.",
                code=Code.INPUT_SHAPE,
            )
        shapes[source.name] = shape
    if given:
        raise ModelError(
            f"input {spec.name}: {model.onnx} has no input {next(iter(given))}. Its inputs are "
            f"{', '.join(shapes)}.",
            code=Code.INPUT_CONTENT,
        )
    return random_tensors(inputs, shapes, seed, limit)


def _random_blobs(spec: InputSpec, seed: int, model: PreparedModel, limit: int) -> dict[str, Array]:
    """Return random tensors for the input blobs of a model that has no ONNX file."""
    shapes = dict(spec.shapes) or dict.fromkeys(list(model.inputs)[:1], spec.shape)
    wrong = next((blob for blob in [*model.inputs, *shapes] if not shapes.get(blob)), "")
    if wrong or set(shapes) != set(model.inputs):
        raise ModelError(
            f"input {spec.name}: the model's inputs are {', '.join(model.inputs)}. Give each a "
            "shape: `shape` = [..], or of several inputs `shapes` = { NAME = [..], .. }.",
            code=Code.INPUT_SHAPE,
        )
    if any(extent < 1 for shape in shapes.values() for extent in shape):
        raise ModelError(
            f"input {spec.name}: a size is below 1. Correct its shape.", code=Code.INPUT_CONTENT
        )
    check_size(shapes, f"input {spec.name}", limit)
    for blob, shape in shapes.items():
        _check_axes(blob, shape)
    generator = np.random.default_rng(seed)
    return {
        blob: generator.uniform(-1, 1, size=shape).astype(np.float32)
        for blob, shape in shapes.items()
    }


def feeds_of(model: PreparedModel, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the numbers that go into the model, by blob, in ncnn's layout.

    Raises:
        ModelError: a tensor has more axes than a blob can have.
    """
    for blob, name in model.inputs.items():
        _check_axes(blob, tensors[name].shape)
    return {blob: to_ncnn_layout(tensors[name]) for blob, name in model.inputs.items()}


def _check_axes(blob: str, shape: tuple[int, ...]) -> None:
    """Refuse what ncnn has no blobs for: a batch of one does not count.

    Raises:
        ModelError: too many axes.
    """
    axes = len(shape) - (len(shape) > 1 and shape[0] == 1)
    if not 1 <= axes <= MAX_AXES:
        raise ModelError(
            f"input blob '{blob}': shape {list(shape)} has {axes} axes besides the batch, and ncnn "
            f"takes 1 to {MAX_AXES}. Give a shape that fits.",
            code=Code.INPUT_CONTENT,
        )
