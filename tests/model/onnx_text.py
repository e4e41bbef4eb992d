"""Small ONNX models, written as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = NDArray[Any]


def model(
    inputs: Mapping[str, tuple[int, ...]],
    nodes: str,
    constants: Mapping[str, Array],
    *,
    output: str = "y",
    opset: int = 13,
) -> onnx.ModelProto:
    """Parse nodes such as `y = Relu(x)` into a model with float inputs and constants."""
    declared = ", ".join(f"float{list(shape)} {name}" for name, shape in inputs.items())
    graph = parser.parse_graph(f"g ({declared}) => (float {output}) {{ {nodes} }}")
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in constants.items())
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
    )


def evaluate(proto: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    """Every value of a model."""
    values = ReferenceEvaluator(proto).run(None, feeds, intermediate=True)
    assert isinstance(values, dict)
    return values
