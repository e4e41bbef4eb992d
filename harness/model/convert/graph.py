"""An ONNX graph as the converter works on it: constants folded, every shape known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Array = NDArray[Any]
Shape = tuple[int, ...]

SMALL = 4096
"""Constants up to this many elements take part in shape inference: shapes, axes, pads."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation, of ONNX or made by a fusion."""

    op: str
    name: str
    inputs: tuple[str, ...]
    """Value names; empty for an optional input that is left out."""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Graph:
    """Nodes in topological order, with what is known about their values.

    Attributes:
        inputs: names of the values that are fed.
        outputs: names of the model's outputs.
        nodes: what is computed, in order.
        constants: values known beforehand, by name.
        shapes: shape of each value.
        types: ONNX element type of each value.
        opset: version of the ONNX operators.
    """

    def __init__(
        self,
        *,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        nodes: list[Node],
        constants: dict[str, Array],
        shapes: dict[str, Shape],
        types: dict[str, int],
        opset: int,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.nodes = nodes
        self.constants = constants
        self.shapes = shapes
        self.types = types
        self.opset = opset
        self._index()

    def producer(self, value: str) -> Node | None:
        """Return the node that makes a value; None for an input or a constant."""
        return self._producers.get(value)

    def consumers(self, value: str) -> list[Node]:
        """Return the nodes that use a value."""
        return self._consumers.get(value, [])

    def replace(self, old: Sequence[Node], new: Node) -> bool:
        """Put one node in the place of several, the last of which makes the same outputs.

        Returns whether that was possible: it is not while a value that would vanish is an
        output of the graph or is used by a node that stays.
        """
        gone = {id(node) for node in old}
        for node in old:
            for value in set(node.outputs) - set(new.outputs):
                if value in self.outputs or any(id(n) not in gone for n in self.consumers(value)):
                    return False
        self.nodes = [
            new if node is old[-1] else node
            for node in self.nodes
            if node is old[-1] or id(node) not in gone
        ]
        self._index()
        return True

    def bypass(self, node: Node) -> bool:
        """Remove a node whose output equals its first input; returns whether it could be."""
        source, target = node.inputs[0], node.outputs[0]
        maker = self.producer(source)
        if target in self.outputs:
            if maker is None or source in self.outputs:
                return False
            # The output of the graph keeps its name: whoever made the source makes it now.
            source, target = target, source
            self.shapes.setdefault(source, self.shapes[target])
        self.nodes = [_renamed(n, target, source) for n in self.nodes if n is not node]
        self._index()
        return True

    def remove_unused(self) -> None:
        """Drop the nodes that no output depends on."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed & set(node.outputs):
                needed |= set(node.inputs)
                kept.append(node)
        self.nodes = kept[::-1]
        self._index()

    def _index(self) -> None:
        self._producers = {value: node for node in self.nodes for value in node.outputs}
        self._consumers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                self._consumers.setdefault(value, []).append(node)


def unknown(node: Node, why: str) -> ModelError:
    """Return the error for a node that this converter has no rule for."""
    return ModelError(
        f"node {node.name} ({node.op}): {why}. This converter has no rule for it: convert the "
        "model with another tool and give its `param` and `bin` in the configuration.",
        code=Code.NOT_CONVERTED,
    )


def load(model: onnx.ModelProto, input_shapes: Mapping[str, Shape]) -> Graph:
    """Fold the constants of a model and infer all shapes for the given input shapes.

    Raises:
        ModelError: an input has no shape or the wrong one, or a shape stays unknown.
    """
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    loader = _Loader(model.ir_version, opset, constants)
    for value in inputs:
        loader.add_input(value, input_shapes)
    unused = set(input_shapes) - {value.name for value in inputs}
    if unused:
        raise ModelError(
            f"the model has no input {', '.join(sorted(unused))}. "
            f"It has {', '.join(value.name for value in inputs)}.",
            code=Code.INPUT_SHAPE,
        )
    for number, proto in enumerate(model.graph.node):
        loader.add(proto, number)
    graph = Graph(
        inputs=tuple(value.name for value in inputs),
        outputs=tuple(value.name for value in model.graph.output),
        nodes=loader.nodes,
        constants=constants,
        shapes=loader.shapes,
        types=loader.types,
        opset=opset,
    )
    graph.remove_unused()
    return graph


class _Loader:
    """Walks the nodes once: what depends on constants only is computed, the rest is shaped."""

    def __init__(self, ir_version: int, opset: int, constants: dict[str, Array]) -> None:
        self.ir_version = ir_version
        self.opset = opset
        self.constants = constants
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {name: a.shape for name, a in constants.items()}
        self.types: dict[str, int] = {
            name: onnx.helper.np_dtype_to_tensor_dtype(a.dtype) for name, a in constants.items()
        }

    def add_input(self, value: onnx.ValueInfoProto, input_shapes: Mapping[str, Shape]) -> None:
        declared = value.type.tensor_type
        shape = input_shapes.get(value.name)
        fixed = [max(dim.dim_value, 0) for dim in declared.shape.dim]
        if shape is None:
            raise ModelError(
                f"input {value.name} of the model has no shape. Give one.", code=Code.INPUT_SHAPE
            )
        wrong = len(fixed) != len(shape) or any(
            want and want != have for want, have in zip(fixed, shape, strict=False)
        )
        if wrong:
            raise ModelError(
                f"input {value.name}: shape {shape} given, but the model takes "
                f"{tuple(n or '?' for n in fixed)}. Correct the shape of the input.",
                code=Code.INPUT_SHAPE,
            )
        self.shapes[value.name] = shape
        self.types[value.name] = declared.elem_type

    def add(self, proto: onnx.NodeProto, number: int) -> None:
        node = Node(
            op=proto.op_type,
            name=proto.name or f"number {number} → {proto.output[0]}",
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            attributes={a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute},
        )
        if proto.domain not in ("", "ai.onnx"):
            raise unknown(node, f"operators of {proto.domain} are not supported")
        if proto.op_type == "Shape":
            start, end = (node.attributes.get(name) for name in ("start", "end"))
            shape = self.shapes[node.inputs[0]][slice(start, end)]
            self.add_constant(node.outputs[0], np.array(shape, np.int64))
        elif all(name in self.constants for name in node.inputs if name):
            self.fold(proto, node)
        else:
            self.infer(proto, node)
            self.nodes.append(node)

    def add_constant(self, name: str, array: Array) -> None:
        self.constants[name] = array
        self.shapes[name] = array.shape
        self.types[name] = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)

    def fold(self, proto: onnx.NodeProto, node: Node) -> None:
        feeds = {name: self.constants[name] for name in node.inputs if name}
        function = onnx.helper.make_function(
            "harness", "fold", list(feeds), list(node.outputs), [proto], [self.opset_id()]
        )
        try:
            results = ReferenceEvaluator(function).run(None, feeds, {})
        except (RuntimeError, NotImplementedError, TypeError) as error:
            raise unknown(node, f"it cannot be evaluated ({error})") from error
        for name, result in zip(node.outputs, results, strict=True):
            self.add_constant(name, np.asarray(result))

    def infer(self, proto: onnx.NodeProto, node: Node) -> None:
        present = [name for name in dict.fromkeys(node.inputs) if name]
        types = {
            name: onnx.helper.make_tensor_type_proto(self.types[name], self.shapes[name])
            for name in present
        }
        data = {
            name: numpy_helper.from_array(self.constants[name], name)
            for name in present
            if name in self.constants and self.constants[name].size <= SMALL
        }
        try:
            found = shape_inference.infer_node_outputs(
                onnx.defs.get_schema(proto.op_type, self.opset, ""),
                proto,
                types,
                data,
                opset_imports=[self.opset_id()],
                ir_version=self.ir_version,
            )
        except (shape_inference.InferenceError, onnx.defs.SchemaError) as error:
            raise unknown(node, f"its shape cannot be inferred ({error})") from error
        for name in filter(None, node.outputs):
            tensor = found[name].tensor_type if name in found else None
            dims = tensor.shape.dim if tensor and tensor.HasField("shape") else None
            if tensor is None or dims is None or not all(d.HasField("dim_value") for d in dims):
                raise unknown(node, f"the shape of {name} depends on the data")
            self.shapes[name] = tuple(dim.dim_value for dim in dims)
            self.types[name] = tensor.elem_type

    def opset_id(self) -> onnx.OperatorSetIdProto:
        return onnx.helper.make_opsetid("", self.opset)


def _renamed(node: Node, old: str, new: str) -> Node:
    if old not in (*node.inputs, *node.outputs):
        return node

    def names(values: Iterable[str]) -> tuple[str, ...]:
        return tuple(new if value == old else value for value in values)

    return Node(node.op, node.name, names(node.inputs), names(node.outputs), node.attributes)
