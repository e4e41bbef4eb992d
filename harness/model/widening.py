"""An ONNX graph in a wider type: what it would compute without the rounding of narrower ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto

if TYPE_CHECKING:
    from collections.abc import Iterable

_HALF = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})
_TYPE_ATTRIBUTES = frozenset({"to", "dtype"})
"""Attributes that hold a data type: of Cast, and of EyeLike and the random operators."""


def as_float64(model: ModelProto) -> ModelProto:
    """Return a copy in which every float16, bfloat16 and float32 has become float64.

    Inputs, outputs, initialisers, constants and casts are widened, in subgraphs and functions too.
    Weights keep the values that they have in the file; attributes such as an epsilon are float32
    in every ONNX file and keep theirs.

    Args:
        model: a model whose external data, if any, has been loaded.
    """
    return _Widening(narrow=_HALF | {TensorProto.FLOAT}, wide=TensorProto.DOUBLE).of(model)


def without_half(model: ModelProto) -> ModelProto:
    """Return a copy in which every float16 and bfloat16 has become float32, see `as_float64`."""
    return _Widening(narrow=_HALF, wide=TensorProto.FLOAT).of(model)


def has_half(model: ModelProto) -> bool:
    """Return whether an input, output or constant of a model's own graph is float16 or bfloat16."""
    graph = model.graph
    values = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    constants = [tensor.data_type for tensor in graph.initializer]
    casts = [a.i for node in graph.node for a in node.attribute if a.name in _TYPE_ATTRIBUTES]
    inside = [a.t.data_type for n in graph.node for a in n.attribute if a.name == "value"]
    return not _HALF.isdisjoint([*values, *constants, *casts, *inside])


@dataclass(frozen=True, kw_only=True)
class _Widening:
    """From some types to a wider one, by ONNX's numbers of types."""

    narrow: frozenset[int]
    wide: int

    def of(self, model: ModelProto) -> ModelProto:
        copy = ModelProto()
        copy.CopyFrom(model)
        self.graph(copy.graph)
        for function in copy.functions:
            self.nodes(function.node)
            del function.value_info[:]
        return copy

    def graph(self, graph: GraphProto) -> None:
        for value in (*graph.input, *graph.output):
            self.type(value.type)
        del graph.value_info[:]
        for tensor in graph.initializer:
            self.tensor(tensor)
        for sparse in graph.sparse_initializer:
            self.tensor(sparse.values)
        self.nodes(graph.node)

    def type(self, value: TypeProto) -> None:
        kind = value.WhichOneof("value")
        if kind == "tensor_type" and value.tensor_type.elem_type in self.narrow:
            value.tensor_type.elem_type = self.wide
        elif kind in ("sequence_type", "optional_type"):
            self.type(getattr(value, kind).elem_type)

    def nodes(self, nodes: Iterable[NodeProto]) -> None:
        for node in nodes:
            for attribute in node.attribute:
                self.attribute(node, attribute)
            if self.widens_single and node.op_type == "ConstantOfShape" and not node.attribute:
                zero = onnx.numpy_helper.from_array(np.zeros(1))
                node.attribute.append(onnx.helper.make_attribute("value", zero))

    @property
    def widens_single(self) -> bool:
        """Whether float32 is among the narrow types, which attributes have without saying so."""
        return TensorProto.FLOAT in self.narrow

    def attribute(self, node: NodeProto, attribute: AttributeProto) -> None:
        if attribute.type == AttributeProto.TENSOR:
            self.tensor(attribute.t)
        elif attribute.type == AttributeProto.GRAPH:
            self.graph(attribute.g)
        elif attribute.name in _TYPE_ATTRIBUTES and attribute.i in self.narrow:
            attribute.i = self.wide
        elif (
            self.widens_single
            and node.op_type == "Constant"
            and attribute.name in ("value_float", "value_floats")
        ):
            numbers = attribute.f if attribute.name == "value_float" else list(attribute.floats)
            tensor = onnx.numpy_helper.from_array(np.array(numbers, np.float64))
            attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))

    def tensor(self, tensor: TensorProto) -> None:
        if tensor.data_type in self.narrow:
            wide = onnx.helper.tensor_dtype_to_np_dtype(self.wide)
            array = onnx.numpy_helper.to_array(tensor).astype(wide)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
