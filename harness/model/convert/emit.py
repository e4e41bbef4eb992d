"""From fused nodes to ncnn layers: which axes a blob keeps, and the layers of common operations.

ncnn knows no batch: an axis of extent 1 may be absent from a blob. For every value the emitter
remembers which axes of the ONNX value its blob keeps, outermost first. Everything else follows:
a permutation or slice is expressed in the kept axes, a global pooling leaves only the channels,
and a 1×1 convolution on those is an InnerProduct.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.model.convert.graph import Graph, Node, Shape, unknown
from harness.model.param import Layer, Param
from harness.model.value import Plain, Value
from harness.util.codes import Code
from harness.util.errors import ModelError

Weights = dict[str, dict[str, NDArray[np.float32]]]
Axes = tuple[int, ...]

MAX_RANK = 4
CHANNELS: Axes = (1,)
IMAGE: Axes = (1, 2, 3)
"""Kept axes of a feature map: channels, height, width."""


class Emitter:
    """Collects layers and weights while the nodes are walked in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers: list[Layer] = []
        self.weights: Weights = {}
        self.blobs: dict[str, str] = {}
        """The blob that holds each ONNX value."""
        self.kept: dict[str, Axes] = {}
        """The axes of each ONNX value that its blob keeps."""

    def input(self, value: str) -> None:
        """Emit the Input layer of a graph input."""
        shape = self.graph.shapes[value]
        kept = self.without_batch(shape)
        if len(shape) > 1 and shape[0] != 1:
            raise ModelError(
                f"input {value}: shape {shape}. ncnn runs one item: give batch 1.",
                code=Code.INPUT_SHAPE,
            )
        if len(kept) > MAX_RANK:
            raise ModelError(
                f"input {value}: shape {shape} has too many axes for ncnn.", code=Code.INPUT_SHAPE
            )
        self.layer("Input", (), value, kept)

    def layer(
        self,
        kind: str,
        inputs: Sequence[str],
        output: str,
        kept: Axes,
        params: Mapping[int, Plain] | None = None,
        weights: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        """Emit a layer with the blobs of `inputs` that makes one value."""
        self.layer_of_many(kind, inputs, {output: kept}, params)
        if weights:
            self.weights[output] = {name: np.asarray(w) for name, w in weights.items()}

    def layer_of_many(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Mapping[str, Axes],
        params: Mapping[int, Plain] | None = None,
    ) -> None:
        """Emit a layer that makes several values."""
        for value in outputs:
            if not re.fullmatch(r"\S{1,240}", value):
                raise ModelError(
                    f"value {value!r} cannot be a blob's name. Rename it in the model.",
                    code=Code.NOT_CONVERTED,
                )
        self.layers.append(
            Layer(
                type=kind,
                name=next(iter(outputs)),
                inputs=tuple(self.blobs[value] for value in inputs),
                outputs=tuple(outputs),
                params=tuple((key, Value.of(plain)) for key, plain in (params or {}).items()),
            )
        )
        self.blobs.update((value, value) for value in outputs)
        self.kept.update(outputs)

    def same_blob(self, source: str, value: str, kept: Axes) -> None:
        """Let a value share the blob of another, seen with other axes."""
        if value in self.graph.outputs:
            self.layer("Noop", [source], value, kept)
            return
        self.blobs[value] = self.blobs[source]
        self.kept[value] = kept

    def extents(self, value: str) -> Shape:
        """Shape of a value's blob, outermost first."""
        shape = self.graph.shapes[value]
        return tuple(shape[axis] for axis in self.kept[value])

    def axis(self, node: Node, axis: int) -> int:
        """Position of an axis of a node's first input among those its blob keeps."""
        value = node.inputs[0]
        axis %= len(self.graph.shapes[value])
        if axis not in self.kept[value]:
            raise unknown(node, f"axis {axis} of {value} is absent from the ncnn blob")
        return self.kept[value].index(axis)

    def without_batch(self, shape: Shape) -> Axes:
        """The axes of a fresh value's blob: all but a batch of 1."""
        return tuple(range(1 if len(shape) > 1 and shape[0] == 1 else 0, len(shape)))


Rule = Callable[[Emitter, Node], None]


def emit(graph: Graph, rules: Mapping[str, Rule]) -> tuple[Param, Weights]:
    """Turn a fused graph into layers and weights.

    Raises:
        ModelError: a node has no rule, or is used in a form that ncnn does not have.
    """
    emitter = Emitter(graph)
    for value in graph.inputs:
        emitter.input(value)
    for node in graph.nodes:
        rule = rules.get(node.op)
        if rule is None:
            raise unknown(node, "this operator or the pattern around it is not known")
        rule(emitter, node)
        if any(len(emitter.kept.get(value, ())) > MAX_RANK for value in node.outputs):
            raise unknown(node, f"ncnn's blobs have at most {MAX_RANK} axes")
    return with_splits(Param(tuple(emitter.layers))), emitter.weights


def with_splits(param: Param) -> Param:
    """Give every consumer of a blob a copy of its own, named as ncnn's tools name them.

    ncnn lets a layer overwrite its input, so that a blob may have one consumer only.
    """
    uses = [name for layer in param.layers for name in layer.inputs]
    shared = {name: uses.count(name) for name in dict.fromkeys(uses) if uses.count(name) > 1}
    copies = {
        name: iter([f"{name}_splitncnn_{number}" for number in range(count)])
        for name, count in shared.items()
    }
    layers: list[Layer] = []
    number = 0
    for layer in param.layers:
        inputs = tuple(next(copies[name]) if name in copies else name for name in layer.inputs)
        layers.append(replace(layer, inputs=inputs))
        for name in layer.outputs:
            if name in shared:
                outputs = tuple(f"{name}_splitncnn_{copy}" for copy in range(shared[name]))
                layers.append(Layer("Split", f"splitncnn_{number}", (name,), outputs))
                number += 1
    return Param(tuple(layers))
