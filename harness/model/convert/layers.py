"""Rules for computing layers: convolution, pooling, products, normalisation, arithmetic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.model.convert.emit import CHANNELS, IMAGE, Axes, Emitter, Rule
from harness.model.convert.fuse import parameter
from harness.model.convert.graph import Array, Node, Shape, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.value import Plain

UNARY = {"Abs": 0, "Neg": 1, "Floor": 2, "Ceil": 3, "Sqrt": 5, "Exp": 7, "Log": 8, "Reciprocal": 15}
BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4, "Min": 5, "Pow": 6}
REVERSED = {"Add": 0, "Sub": 7, "Mul": 2, "Div": 8, "Max": 4, "Min": 5}
COMMUTATIVE = ("Add", "Mul", "Max", "Min")
SAME_PADS = {b"SAME_UPPER": -233, b"SAME_LOWER": -234}


def convolution(emitter: Emitter, node: Node) -> None:
    """Conv → Convolution or ConvolutionDepthWise; on pooled channels → InnerProduct."""
    value = node.inputs[0]
    weights = _weights(emitter, node)
    weight = weights["weight"]
    if weight.ndim != 4:
        raise unknown(node, f"a convolution over {weight.ndim - 2} axes")
    if emitter.kept[value] == CHANNELS:
        if math.prod(weight.shape) != weight.shape[0] * emitter.graph.shapes[value][1]:
            raise unknown(node, "more than a 1×1 kernel on pooled values")
        _inner_product(emitter, node, {**weights, "weight": weight.reshape(len(weight), -1)})
        return
    if emitter.kept[value] != IMAGE:
        raise unknown(node, f"{value} is no feature map in ncnn")
    group = node.attributes.get("group", 1)
    params = _window(node, weight.shape[2:], first=(1, 11, 2, 12, 3, 13, 4, 14, 15, 16))
    params |= {0: len(weight), 5: int("bias" in weights), 6: weight.size}
    if group > 1:
        params[7] = group
    params |= _activation(node)
    kind = "ConvolutionDepthWise" if group > 1 else "Convolution"
    ordered = dict(sorted(params.items()))
    emitter.layer(kind, [value], node.outputs[0], IMAGE, ordered, weights)


def pooling(emitter: Emitter, node: Node) -> None:
    """MaxPool and AveragePool over height and width."""
    value = node.inputs[0]
    if emitter.kept[value] != IMAGE or len(node.outputs) > 1:
        raise unknown(node, f"{value} is no feature map in ncnn, or indices are asked for")
    if set(node.attributes.get("dilations", [1])) != {1}:
        raise unknown(node, "dilated pooling")
    kernel = tuple(node.attributes["kernel_shape"])
    window = _window(node, kernel, first=(1, 11, -1, -1, 2, 12, 3, 13, 14, 15))
    params: dict[int, Plain] = {
        0: int(node.op == "AveragePool"),
        **{key: plain for key, plain in window.items() if key >= 0},
        # Pad mode 1 rounds the output size down.
        5: int(not node.attributes.get("ceil_mode", 0)),
    }
    if node.op == "AveragePool":
        params[6] = node.attributes.get("count_include_pad", 0)
    emitter.layer("Pooling", [value], node.outputs[0], IMAGE, dict(sorted(params.items())))


def global_pooling(emitter: Emitter, node: Node) -> None:
    """GlobalAveragePool, GlobalMaxPool, ReduceMean over height and width: channels are left."""
    value = node.inputs[0]
    if node.op == "ReduceMean":
        axes = parameter(emitter.graph, node, "axes", 1) or []
        if sorted(axis % 4 for axis in axes) != [2, 3]:
            raise unknown(node, f"a mean over the axes {axes}")
    if emitter.kept[value] != IMAGE:
        raise unknown(node, f"{value} is no feature map in ncnn")
    kind = int(node.op != "GlobalMaxPool")
    emitter.layer("Pooling", [value], node.outputs[0], CHANNELS, {0: kind, 4: 1})


def inner_product(emitter: Emitter, node: Node) -> None:
    """InnerProduct over the last axis of a vector or of each row of a matrix."""
    value = node.inputs[0]
    last = len(emitter.graph.shapes[value]) - 1
    if emitter.kept[value][-1:] != (last,) or len(emitter.kept[value]) > 2:
        raise unknown(node, f"{value} is no vector or matrix in ncnn")
    _inner_product(emitter, node, _weights(emitter, node))


def _inner_product(emitter: Emitter, node: Node, weights: dict[str, Array]) -> None:
    weight = weights["weight"]
    params: dict[int, Plain] = {0: len(weight), 1: int("bias" in weights), 2: weight.size}
    params |= _activation(node)
    value = node.inputs[0]
    kept = emitter.kept[value]
    emitter.layer("InnerProduct", [value], node.outputs[0], kept, params, weights)


def matmul(emitter: Emitter, node: Node) -> None:
    """MatMul of two computed values with the same axes."""
    first, second = node.inputs
    rank = len(emitter.graph.shapes[first])
    kept = emitter.kept.get(first)
    if kept is None or emitter.kept.get(second) != kept or kept[-2:] != (rank - 2, rank - 1):
        raise unknown(node, "the two factors have different axes in ncnn")
    if emitter.extents(first)[:-2] != emitter.extents(second)[:-2]:
        raise unknown(node, "a broadcast product")
    emitter.layer("MatMul", [first, second], node.outputs[0], kept)


def layer_norm(emitter: Emitter, node: Node) -> None:
    """LayerNormalization over the last axis of a vector or matrix."""
    value, *constants = node.inputs
    rank = len(emitter.graph.shapes[value])
    axis = node.attributes.get("axis", -1) % rank
    # On three axes ncnn of 2022 normalises over the inner two.
    if axis != rank - 1 or emitter.kept[value][-1] != axis or len(emitter.kept[value]) > 2:
        raise unknown(node, "a normalisation over more than the last axis of a matrix")
    gamma = _constant(emitter, node, constants[0])
    beta = _constant(emitter, node, constants[1]) if constants[1:] else np.zeros_like(gamma)
    params: dict[int, Plain] = {0: gamma.size, 1: node.attributes.get("epsilon", 1e-5), 2: 1}
    weights = {"gamma": gamma.astype(np.float32), "beta": beta.astype(np.float32)}
    emitter.layer("LayerNorm", [value], node.outputs[0], emitter.kept[value], params, weights)


def batch_norm(emitter: Emitter, node: Node) -> None:
    """BatchNormalization that follows no convolution."""
    value = node.inputs[0]
    if emitter.axis(node, 1):
        raise unknown(node, "the channels are not the outermost axis in ncnn")
    gamma, beta, mean, variance = (_constant(emitter, node, name) for name in node.inputs[1:5])
    weights = {"slope": gamma, "mean": mean, "variance": variance, "bias": beta}
    params: dict[int, Plain] = {0: gamma.size, 1: node.attributes.get("epsilon", 1e-5)}
    emitter.layer("BatchNorm", [value], node.outputs[0], emitter.kept[value], params, weights)


def softmax(emitter: Emitter, node: Node) -> None:
    """Softmax over one axis."""
    value = node.inputs[0]
    shape = emitter.graph.shapes[value]
    new = emitter.graph.opset >= 13
    axis = node.attributes.get("axis", -1 if new else 1) % len(shape)
    if not new and math.prod(shape[axis + 1 :]) != 1:
        raise unknown(node, "a softmax over several axes at once")
    # Parameter 1 says that the axis counts from the outermost.
    params: dict[int, Plain] = {0: emitter.axis(node, axis), 1: 1}
    emitter.layer("Softmax", [value], node.outputs[0], emitter.kept[value], params)


def elementwise(kind: str, *params: tuple[int, str, float]) -> Rule:
    """A layer that keeps the shape, its parameters taken from attributes with defaults."""

    def rule(emitter: Emitter, node: Node) -> None:
        value = node.inputs[0]
        found: dict[int, Plain] = {
            key: float(node.attributes.get(name, default)) for key, name, default in params
        }
        emitter.layer(kind, [value], node.outputs[0], emitter.kept[value], found)

    return rule


def clip(emitter: Emitter, node: Node) -> None:
    """Clip with constant bounds."""
    largest = float(np.finfo(np.float32).max)
    bounds: dict[int, Plain] = {}
    for key, name, default in ((0, "min", -largest), (1, "max", largest)):
        given = len(node.inputs) > key + 1 and node.inputs[key + 1]
        bound = parameter(emitter.graph, node, name, key + 1)
        if given and bound is None:
            raise unknown(node, "computed bounds")
        bounds[key] = default if bound is None else float(bound)
    value = node.inputs[0]
    emitter.layer("Clip", [value], node.outputs[0], emitter.kept[value], bounds)


def unary(emitter: Emitter, node: Node) -> None:
    """Functions of one value."""
    value = node.inputs[0]
    params: dict[int, Plain] = {0: UNARY[node.op]}
    emitter.layer("UnaryOp", [value], node.outputs[0], emitter.kept[value], params)


def binary(emitter: Emitter, node: Node) -> None:
    """Arithmetic of two values, in the forms that mean the same in every ncnn.

    Broadcasting changed in 2023. The same before and after: equal shapes, a number, and a blob
    with one value per channel, as a vector or with height and width 1.
    """
    if len(node.inputs) != 2:
        raise unknown(node, f"{len(node.inputs)} operands")
    first, second = node.inputs
    constants = emitter.graph.constants
    if first in constants or second in constants:
        _with_constant(emitter, node)
        return
    wide, narrow = first, second
    if math.prod(emitter.extents(first)) < math.prod(emitter.extents(second)):
        wide, narrow = second, first
        if node.op not in COMMUTATIVE:
            raise unknown(node, "the smaller operand stands first")
    if not _same_shape(emitter, wide, narrow) and not _per_channel(emitter, wide, narrow):
        raise unknown(node, "this broadcast differs between versions of ncnn")
    params: dict[int, Plain] = {0: BINARY[node.op]}
    emitter.layer(
        "BinaryOp", [wide, narrow], node.outputs[0], _aligned(emitter, node, wide), params
    )


def _with_constant(emitter: Emitter, node: Node) -> None:
    constant_first = node.inputs[0] in emitter.graph.constants
    value, name = node.inputs[::-1] if constant_first else node.inputs
    constant = emitter.graph.constants[name]
    output = node.outputs[0]
    kept = _aligned(emitter, node, value)
    if constant.size == 1:
        codes = REVERSED if constant_first else BINARY
        if node.op not in codes:
            raise unknown(node, "a power of a constant")
        params: dict[int, Plain] = {0: codes[node.op], 1: 1, 2: float(constant.item())}
        emitter.layer("BinaryOp", [value], output, kept, params)
        return
    shape = emitter.graph.shapes[output]
    full = (1,) * (len(shape) - constant.ndim) + constant.shape
    varying = tuple(axis for axis in range(len(shape)) if full[axis] > 1)
    constant = constant.reshape(-1).astype(np.float32)
    if full == shape and node.op in COMMUTATIVE:
        _memory(emitter, name, tuple(shape[axis] for axis in kept), constant, kept)
        emitter.layer("BinaryOp", [value, name], output, kept, {0: BINARY[node.op]})
    elif varying == kept[:1] and node.op in ("Add", "Mul"):
        one, zero = np.ones_like(constant), np.zeros_like(constant)
        scale, bias = (constant, zero) if node.op == "Mul" else (one, constant)
        weights = {"scale": scale, "bias": bias}
        emitter.layer("Scale", [value], output, kept, {0: constant.size, 1: 1}, weights)
    else:
        raise unknown(node, f"a constant of shape {full} with a value of shape {shape}")


def _memory(emitter: Emitter, name: str, extents: Shape, data: Array, kept: Axes) -> None:
    if name not in emitter.blobs:
        keys = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[len(extents)]
        params: dict[int, Plain] = dict(sorted(zip(keys, extents, strict=True)))
        emitter.layer("MemoryData", [], name, kept, params, {"data": data})


def _aligned(emitter: Emitter, node: Node, value: str) -> Axes:
    """The kept axes of an operand, counted in the node's output."""
    shapes = emitter.graph.shapes
    more = len(shapes[node.outputs[0]]) - len(shapes[value])
    return tuple(axis + more for axis in emitter.kept[value])


def _from_inside(emitter: Emitter, value: str) -> Axes:
    rank = len(emitter.graph.shapes[value])
    return tuple(axis - rank for axis in emitter.kept[value])


def _same_shape(emitter: Emitter, wide: str, narrow: str) -> bool:
    same_axes = _from_inside(emitter, wide) == _from_inside(emitter, narrow)
    return same_axes and emitter.extents(wide) == emitter.extents(narrow)


def _per_channel(emitter: Emitter, wide: str, narrow: str) -> bool:
    axes, extents = _from_inside(emitter, wide), emitter.extents(wide)
    channel_only = (extents[0], *(1 for _ in extents[1:]))
    own_axes, own_extents = _from_inside(emitter, narrow), emitter.extents(narrow)
    if len(axes) != len(IMAGE):
        return False
    return (own_axes, own_extents) in ((axes[:1], extents[:1]), (axes, channel_only))


def _constant(emitter: Emitter, node: Node, name: str) -> Array:
    constant = emitter.graph.constants.get(name)
    if constant is None:
        raise unknown(node, f"{name} is computed, not constant")
    return constant


def _weights(emitter: Emitter, node: Node) -> dict[str, Array]:
    names = [name for name in node.inputs[1:] if name]
    arrays = [_constant(emitter, node, name).astype(np.float32) for name in names]
    return dict(zip(("weight", "bias"), arrays, strict=False))


def _activation(node: Node) -> dict[int, Plain]:
    return {9: node.attributes["activation"]} if "activation" in node.attributes else {}


def _window(node: Node, kernel: Shape, first: tuple[int, ...]) -> dict[int, Plain]:
    """Kernel, dilation, stride and pads, under the parameter ids of a layer.

    `first` has the ids of kernel w, h; dilation w, h; stride w, h; pad left, top, right, bottom.
    """
    attributes: Mapping[str, list[int]] = node.attributes
    dilation = attributes.get("dilations", [1, 1])
    stride = attributes.get("strides", [1, 1])
    automatic = SAME_PADS.get(node.attributes.get("auto_pad", b"NOTSET"))
    pads = [automatic] * 4 if automatic else attributes.get("pads", [0, 0, 0, 0])
    top, left, bottom, right = pads
    values = (*kernel[::-1], *dilation[::-1], *stride[::-1], left, top, right, bottom)
    return dict(zip(first, values, strict=True))


RULES: dict[str, Rule] = {
    "Conv": convolution,
    "MaxPool": pooling,
    "AveragePool": pooling,
    "GlobalAveragePool": global_pooling,
    "GlobalMaxPool": global_pooling,
    "ReduceMean": global_pooling,
    "InnerProduct": inner_product,
    "MatMul": matmul,
    "LayerNormalization": layer_norm,
    "BatchNormalization": batch_norm,
    "Softmax": softmax,
    "Clip": clip,
    "Relu": elementwise("ReLU"),
    "LeakyRelu": elementwise("ReLU", (0, "alpha", 0.01)),
    "Elu": elementwise("ELU", (0, "alpha", 1.0)),
    "Sigmoid": elementwise("Sigmoid"),
    "Tanh": elementwise("TanH"),
    "Swish": elementwise("Swish"),
    "HardSigmoid": elementwise("HardSigmoid", (0, "alpha", 0.2), (1, "beta", 0.5)),
    "HardSwish": elementwise("HardSwish", (0, "alpha", 1 / 6), (1, "beta", 0.5)),
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(BINARY, binary),
}
