"""Inputs made up for a model from the shapes that it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from harness.config.tables import InputTable
from harness.domain.formatting import listed
from harness.model.input_shapes import GraphInput, Shapes, assumptions, graph_inputs
from harness.model.onnx_graph import OnnxGraph
from harness.reference.evaluation import evaluate
from harness.reference.inputs import random_tensors
from harness.util.codes import Code
from harness.util.errors import LimitError, ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.reference.evaluator import Evaluator

SEEDS = (1, 2)
_EXTENT = re.compile(r"\s*[1-9]\d{0,8}\s*", re.ASCII)
TEXT = "ncnn"


@dataclass(frozen=True, kw_only=True)
class GeneratedInputs:
    """Two inputs of a model, and what was assumed to make them."""

    tables: dict[str, InputTable]
    """As a configuration would have them."""
    assumed: tuple[str, ...]
    """One line per input whose open axes got a size that nobody gave."""


def generate(onnx: Path, texts: Sequence[str], evaluator: Evaluator) -> GeneratedInputs:
    """Make up two inputs for a model.

    Args:
        onnx: the model.
        texts: shapes as `--shape` takes them, of a second input too where one comes twice.
        evaluator: calls what tries the model.

    Raises:
        UsageError: a text is no shape, or not one that the model takes.
        ModelError: the model is damaged, or runs with none of the usual sizes.
    """
    graph = OnnxGraph.load(onnx)
    inputs = graph_inputs(graph)
    if not inputs:
        raise ModelError(
            f"{onnx}: it has no inputs, so that what it gives is always the same. Export the model "
            "with its first tensor as an input.",
            code=Code.ONNX,
        )
    first, second = _given(inputs, texts)
    shapes = _complete(graph, inputs, first, evaluator)
    others = {**shapes, **second}
    only = len(inputs) == 1
    tables = {"random": _random(onnx, SEEDS[0], shapes, only=only)}
    if only and inputs[0].is_image and others[inputs[0].name][:2] in ((1, 1), (1, 3)):
        tables["text"] = InputTable(text=TEXT, shape=others[inputs[0].name])
    else:
        tables["random-2"] = _random(onnx, SEEDS[1], others, only=only)
    assumed = tuple(
        _words(source, shapes[source.name])
        for source in inputs
        if source.name not in first and _assumed_axes(source, shapes[source.name])
    )
    return GeneratedInputs(tables=tables, assumed=assumed)


def _random(onnx: Path, seed: int, shapes: Shapes, *, only: bool) -> InputTable:
    shape = next(iter(shapes.values()))
    try:
        if only and shape:
            return InputTable(random=seed, shape=shape)
        return InputTable(random=seed, shapes=shapes)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        names = ", ".join(f"{name} {list(extents)}" for name, extents in shapes.items())
        raise ModelError(
            f"{onnx}: no inputs can be made up for {names[:200]}: {reason}. Export the model with "
            "inputs of other shapes."
        ) from error


def _given(inputs: Sequence[GraphInput], texts: Sequence[str]) -> tuple[Shapes, Shapes]:
    """Return the shapes in texts such as `1,3,224,224` or `x=1,3,224,224`, and second ones."""
    known = {source.name: source for source in inputs}
    first: Shapes = {}
    second: Shapes = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if not name and len(known) == 1:
            name = next(iter(known))
        if name not in known:
            what = f"no input {name}" if name else "several inputs"
            names = ", ".join(f"{i.name} {i.shape_text}" for i in inputs)
            raise UsageError(
                f"--shape {text}: the model has {what}. Give NAME=1,2,..: {names}.",
                code=Code.STRANGE_SHAPE,
            )
        shape = tuple(int(part) if _EXTENT.fullmatch(part) else 0 for part in sizes.split(","))
        if not known[name].fits(shape):
            raise UsageError(
                f"--shape {text}: the model takes {known[name].shape_text}. Give as many sizes "
                "from 1 on, separated by commas, and keep those that are fixed.",
                code=Code.STRANGE_SHAPE,
            )
        (second if name in first else first)[name] = shape
    return first, second


def _complete(
    graph: OnnxGraph, inputs: Sequence[GraphInput], given: Shapes, evaluator: Evaluator
) -> Shapes:
    """Return the given shapes, and for the other inputs the first usual ones that work."""
    choices = list(assumptions(inputs, given))
    if len(choices) == 1 and all(not i.open_axes or i.name in given for i in inputs):
        return choices[0]
    errors = []
    for shapes in choices:
        try:
            tensors = random_tensors(inputs, shapes, SEEDS[0])
            evaluator(evaluate, graph.path, tensors, graph.outputs, what=graph.path)
        except LimitError:
            raise
        except ModelError as error:
            errors.append(str(error))
        else:
            return shapes
    names = ", ".join(f"{i.name} {i.shape_text}" for i in inputs if i.open_axes)
    raise ModelError(
        f"{graph.path}: axes of {names} are symbolic, and it runs with none of {len(choices)} "
        f"usual sizes (the first time: {errors[0]}). Name a shape: --shape "
        f"{next(i.name for i in inputs if i.open_axes)}=1,…",
        code=Code.INPUT_SHAPE,
    )


def _words(source: GraphInput, shape: Sequence[int]) -> str:
    """Return what was assumed, and how to say something else."""
    axes = _assumed_axes(source, shape)
    numbers = [str(at) for at in axes]
    which = f"axis {numbers[0]} is" if len(axes) == 1 else f"axes {listed(numbers)} are"
    sizes = " × ".join(str(shape[at]) for at in axes)
    letters = {2: "H", 3: "W"} if source.is_image else {}
    wanted = ",".join(
        letters.get(at, "N") if at in axes else str(extent) for at, extent in enumerate(shape)
    )
    return (
        f"input {source.name}: {which} symbolic: {sizes} assumed; --shape {source.name}={wanted} "
        "changes it"
    )


def _assumed_axes(source: GraphInput, shape: Sequence[int]) -> list[int]:
    """Return the open axes but for the batch, of which ncnn takes one anyway."""
    batch = len(shape) > 1 and shape[0] == 1
    return [at for at in source.open_axes if at or not batch]
