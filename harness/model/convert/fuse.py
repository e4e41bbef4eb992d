"""Patterns of ONNX nodes that are one layer in ncnn, each a rule of its own.

A rule looks at the last node of its pattern and returns the nodes that the pattern covers, in
topological order, and the one node in their place; it raises `NoMatch` where it does not apply.
Weights are combined in float64 and stored as float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from harness.model.convert.graph import Array, Graph, Node

Rewrite = tuple[list[Node], Node]
Rule = Callable[[Graph, Node], Rewrite]

WEIGHTED = ("Conv", "InnerProduct")
"""Operations that take a bias and an activation in."""


class NoMatch(Exception):  # noqa: N818 - control flow between rules, not an error
    """A rule does not apply to a node."""


def fuse(graph: Graph) -> None:
    """Apply all rules until none applies any more."""
    while _remove_identities(graph) or any(_apply(graph, rule) for rule in RULES):
        pass
    graph.remove_unused()


def parameter(graph: Graph, node: Node, name: str, position: int) -> Any:
    """Return what a node takes as an attribute or, in other opsets, as a constant input."""
    if name in node.attributes:
        return node.attributes[name]
    if position < len(node.inputs) and node.inputs[position]:
        value = graph.constants.get(node.inputs[position])
        return None if value is None else value.tolist()
    return None


def _apply(graph: Graph, rule: Rule) -> bool:
    changed = False
    for node in list(graph.nodes):
        try:
            old, new = rule(graph, node)
        except NoMatch:
            continue
        changed |= graph.replace(old, new)
    return changed


def _remove_identities(graph: Graph) -> bool:
    nodes = [node for node in graph.nodes if _is_identity(graph, node)]
    return any(graph.bypass(node) for node in nodes)


def _is_identity(graph: Graph, node: Node) -> bool:
    source, target = node.inputs[0], node.outputs[0]
    if source in graph.constants or graph.shapes[source] != graph.shapes[target]:
        return False
    if node.op in ("Identity", "Dropout"):
        return True
    if node.op == "Cast":
        return graph.types[source] == graph.types[target] == onnx.TensorProto.FLOAT
    neutral = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}.get(node.op)
    other = graph.constants.get(node.inputs[1]) if neutral is not None else None
    return other is not None and bool(np.all(other == neutral))


# Matching: each helper returns what it finds or raises NoMatch.


def _made_by(graph: Graph, value: str, *ops: str) -> Node:
    node = graph.producer(value)
    if node is None or node.op not in ops:
        raise NoMatch
    return node


def _is(node: Node, *ops: str) -> Node:
    if node.op not in ops:
        raise NoMatch
    return node


def _operands(graph: Graph, node: Node) -> tuple[str, Array]:
    """The value and the constant that a commutative node combines."""
    for value, constant in (node.inputs, node.inputs[::-1]):
        if constant in graph.constants and value not in graph.constants:
            return value, graph.constants[constant]
    raise NoMatch


def _divided(graph: Graph, node: Node) -> tuple[str, float]:
    """The value that a node scales by a constant, and the divisor that this amounts to."""
    if node.op == "Mul":
        value, constant = _operands(graph, node)
        return value, 1.0 / _number(constant)
    _is(node, "Div")
    if node.inputs[1] not in graph.constants:
        raise NoMatch
    return node.inputs[0], _number(graph.constants[node.inputs[1]])


def _number(constant: Array) -> float:
    if constant.size != 1 or not constant.item():
        raise NoMatch
    return float(constant.item())


def _other(node: Node, value: str) -> str:
    """The second operand of a node that uses `value` once."""
    if node.inputs.count(value) != 1:
        raise NoMatch
    return next(name for name in node.inputs if name != value)


def _per_channel(graph: Graph, node: Node, constant: Array, axis: int) -> Array:
    """A constant that varies along one axis of a node's output only, as a vector."""
    shape = graph.shapes[node.outputs[0]]
    aligned = (1,) * (len(shape) - constant.ndim) + constant.shape
    expected = tuple(n if at == axis % len(shape) else 1 for at, n in enumerate(shape))
    if aligned != expected:
        raise NoMatch
    return constant.reshape(-1)


def _with_weights(graph: Graph, node: Node, output: str, weight: Array, bias: Array | None) -> Node:
    """A copy of a Conv or InnerProduct with other weights, making another output."""
    arrays = [weight] if bias is None else [weight, bias]
    names = [f"{output}:{name}" for name in ("weight", "bias")[: len(arrays)]]
    for name, array in zip(names, arrays, strict=True):
        graph.constants[name] = array.astype(np.float32)
    return Node(node.op, node.name, (node.inputs[0], *names), (output,), node.attributes)


def _bias(graph: Graph, node: Node) -> Array:
    if len(node.inputs) > 2 and node.inputs[2]:
        return graph.constants[node.inputs[2]].astype(np.float64)
    return np.zeros(len(graph.constants[node.inputs[1]]))


def _weighted(graph: Graph, value: str, *ops: str) -> tuple[Node, Array]:
    node = _made_by(graph, value, *ops)
    if "activation" in node.attributes or node.inputs[1] not in graph.constants:
        raise NoMatch
    return node, graph.constants[node.inputs[1]].astype(np.float64)


# The rules.


def hard_sigmoid(graph: Graph, last: Node) -> Rewrite:
    """Clip(x + a, 0, d) / d → HardSigmoid with alpha 1/d and beta a/d."""
    clipped, divisor = _divided(graph, last)
    clip = _made_by(graph, clipped, "Clip")
    value, offset, add = _clipped_sum(graph, clip, divisor)
    attributes = {"alpha": 1 / divisor, "beta": offset / divisor}
    return [add, clip, last], Node("HardSigmoid", last.name, (value,), last.outputs, attributes)


def hard_swish_of_product(graph: Graph, last: Node) -> Rewrite:
    """x · Clip(x + a, 0, d) / d → HardSwish with alpha 1/d and beta a/d."""
    product, divisor = _divided(graph, last)
    multiply = _made_by(graph, product, "Mul")
    for clipped in multiply.inputs:
        clip = graph.producer(clipped)
        if clip is None or clip.op != "Clip":
            continue
        value, offset, add = _clipped_sum(graph, clip, divisor)
        if _other(multiply, clipped) == value:
            attributes = {"alpha": 1 / divisor, "beta": offset / divisor}
            new = Node("HardSwish", last.name, (value,), last.outputs, attributes)
            return [add, clip, multiply, last], new
    raise NoMatch


def _clipped_sum(graph: Graph, clip: Node, top: float) -> tuple[str, float, Node]:
    """x, a and the Add node of Clip(x + a, 0, top)."""
    low, high = (parameter(graph, clip, name, at) for name, at in (("min", 1), ("max", 2)))
    if low != 0 or high is None or abs(high - top) > 1e-6 * top:
        raise NoMatch
    add = _made_by(graph, clip.inputs[0], "Add")
    value, offset = _operands(graph, add)
    return value, _number(offset), add


def gated(graph: Graph, last: Node) -> Rewrite:
    """x · Sigmoid(x) → Swish, x · HardSigmoid(x) → HardSwish."""
    _is(last, "Mul")
    for name in last.inputs:
        gate = graph.producer(name)
        if gate and gate.op in ("Sigmoid", "HardSigmoid") and _other(last, name) == gate.inputs[0]:
            op = "Swish" if gate.op == "Sigmoid" else "HardSwish"
            attributes = {"alpha": 0.2, "beta": 0.5, **gate.attributes}
            return [gate, last], Node(op, last.name, gate.inputs, last.outputs, attributes)
    raise NoMatch


def layer_norm(graph: Graph, last: Node) -> Rewrite:
    """(x - mean) / sqrt(mean((x - mean)²) + ε) · γ + β over the last axis → one node."""
    scaled, beta = _operands(graph, _is(last, "Add"))
    scale = _made_by(graph, scaled, "Mul")
    normalised, gamma = _operands(graph, scale)
    divide = _made_by(graph, normalised, "Div")
    centre = _made_by(graph, divide.inputs[0], "Sub")
    mean = _mean_of_last_axis(graph, centre.inputs[1])
    root = _made_by(graph, divide.inputs[1], "Sqrt")
    add = _made_by(graph, root.inputs[0], "Add")
    variance, epsilon = _operands(graph, add)
    mean_square = _mean_of_last_axis(graph, variance)
    square = _made_by(graph, mean_square.inputs[0], "Pow", "Mul")
    _check_square(graph, square, centre)
    value = centre.inputs[0]
    if mean.inputs[0] != value or gamma.shape != beta.shape:
        raise NoMatch
    _per_channel(graph, last, gamma, axis=-1)
    names = (f"{last.outputs[0]}:gamma", f"{last.outputs[0]}:beta")
    graph.constants.update(zip(names, (gamma.reshape(-1), beta.reshape(-1)), strict=True))
    attributes = {"epsilon": _number(epsilon), "axis": -1}
    new = Node("LayerNormalization", last.name, (value, *names), last.outputs, attributes)
    return [mean, centre, square, mean_square, add, root, divide, scale, last], new


def _check_square(graph: Graph, square: Node, centre: Node) -> None:
    if square.op == "Pow" and _number(graph.constants.get(square.inputs[1], np.zeros(1))) != 2:
        raise NoMatch
    if square.op == "Mul" and square.inputs[0] != square.inputs[1]:
        raise NoMatch
    if square.inputs[0] != centre.outputs[0]:
        raise NoMatch


def _mean_of_last_axis(graph: Graph, value: str) -> Node:
    node = _made_by(graph, value, "ReduceMean")
    rank = len(graph.shapes[node.inputs[0]])
    if parameter(graph, node, "axes", 1) not in ([-1], [rank - 1]):
        raise NoMatch
    if not node.attributes.get("keepdims", 1):
        raise NoMatch
    return node


def linear(graph: Graph, last: Node) -> Rewrite:
    """MatMul or Gemm with a constant matrix → InnerProduct, weights as (outputs, inputs)."""
    _is(last, "MatMul", "Gemm")
    weight = graph.constants.get(last.inputs[1])
    attributes = last.attributes
    if weight is None or weight.ndim != 2 or attributes.get("transA"):
        raise NoMatch
    factors = {attributes.get("alpha", 1.0), attributes.get("beta", 1.0)}
    if factors != {1.0}:
        raise NoMatch
    if not attributes.get("transB"):
        weight = weight.T
    bias = graph.constants.get(last.inputs[2], np.empty(0)) if len(last.inputs) > 2 else None
    if bias is not None:
        if bias.size not in (1, len(weight)):
            raise NoMatch
        bias = np.broadcast_to(bias.reshape(-1), len(weight))
    new = Node("InnerProduct", last.name, last.inputs[:1], last.outputs)
    return [last], _with_weights(graph, new, last.outputs[0], weight, bias)


def added_bias(graph: Graph, last: Node) -> Rewrite:
    """Conv or InnerProduct + a constant per output → its bias."""
    value, constant = _operands(graph, _is(last, "Add"))
    node, weight = _weighted(graph, value, *WEIGHTED)
    axis = 1 if node.op == "Conv" else -1
    bias = _bias(graph, node) + _per_channel(graph, last, constant, axis)
    return [node, last], _with_weights(graph, node, last.outputs[0], weight, bias)


def batch_norm(graph: Graph, last: Node) -> Rewrite:
    """Conv + BatchNormalization → Conv with w·s and (b - mean)·s + β, s = γ/sqrt(var + ε)."""
    _is(last, "BatchNormalization")
    node, weight = _weighted(graph, last.inputs[0], "Conv")
    gamma, beta, mean, variance = (
        graph.constants[name].astype(np.float64) for name in last.inputs[1:5]
    )
    scale = gamma / np.sqrt(variance + last.attributes.get("epsilon", 1e-5))
    weight = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    bias = (_bias(graph, node) - mean) * scale + beta
    return [node, last], _with_weights(graph, node, last.outputs[0], weight, bias)


def activation(graph: Graph, last: Node) -> Rewrite:
    """Conv or InnerProduct + Relu → fused activation."""
    _is(last, "Relu")
    node, _ = _weighted(graph, last.inputs[0], *WEIGHTED)
    attributes = {**node.attributes, "activation": 1}
    return [node, last], Node(node.op, node.name, node.inputs, last.outputs, attributes)


RULES: tuple[Rule, ...] = (
    layer_norm,
    hard_swish_of_product,
    hard_sigmoid,
    gated,
    linear,
    batch_norm,
    added_bias,
    activation,
)
