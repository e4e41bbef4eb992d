"""The ONNX graph as a conversion is compared with it: nodes in words, constants, what follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import onnx

from harness.compare.matching import Ancestry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True)
class OnnxSide:
    """A graph, its large tensors read."""

    proto: onnx.ModelProto

    @cached_property
    def ancestry(self) -> Ancestry:
        """What follows from what."""
        return Ancestry.of((list(n.input), list(n.output)) for n in self.proto.graph.node)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return tuple(value.name for value in self.proto.graph.output)

    @cached_property
    def makers(self) -> Mapping[str, onnx.NodeProto]:
        """The node that computes each value."""
        return {name: node for node in self.proto.graph.node for name in node.output}

    @cached_property
    def users(self) -> Mapping[str, Sequence[onnx.NodeProto]]:
        """The nodes that a value goes into."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.proto.graph.node:
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def constants(self) -> Mapping[str, Array]:
        """All float tensors of the file that have more than one element."""
        tensors = {tensor.name: tensor for tensor in self.proto.graph.initializer}
        for node in self.proto.graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    tensors[node.output[0]] = attribute.t
        arrays = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
        return {n: a for n, a in arrays.items() if a.dtype.kind == "f" and a.size > 1}

    def node_of(self, value: str) -> str:
        """Return what computes a value, in words; empty for an input or a constant."""
        node = self.makers.get(value)
        if node is None:
            return ""
        return f"{node.op_type} {node.name}" if node.name else node.op_type

    def steps_after(self, value: str, limit: int) -> list[str]:
        """Return values that follow from one within some nodes, the nearest first."""
        found: dict[str, None] = {}
        front = [value]
        for _ in range(limit):
            front = [
                name for each in front for node in self.users.get(each, ()) for name in node.output
            ]
            found |= dict.fromkeys(front)
        return list(found)

    def steps_before(self, value: str, limit: int) -> list[str]:
        """Return values that one is computed from within some nodes, the nearest first."""
        found: dict[str, None] = {}
        front = [value]
        for _ in range(limit):
            front = [n for each in front if each in self.makers for n in self.makers[each].input]
            found |= dict.fromkeys(filter(None, front))
        return list(found)

    def between(self, early: str, late: str) -> str:
        """Say how one value comes before another, such as `the value before the Add`."""
        for node in self.users.get(early, ()):
            if late in node.output:
                added = node.op_type == "Add" and not self.constants.keys().isdisjoint(node.input)
                return f"the value before the {'bias' if added else node.op_type}"
        if early in self.ancestry.sources.get(late, ()):
            return f"a value before '{late}'"
        if late in self.ancestry.sources.get(early, ()):
            return f"a value after '{late}'"
        return "another value"
