"""Layers that work on each element alone, and on two blobs element by element."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import Array, Definition, Inputs, Tensors, define
from harness.definition.parameters import column, number, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


def activated(layer: Layer, x: Array, maths: Arithmetic) -> Array:
    """Apply the activation that a layer has fused: parameter 9 with its own parameters in 10."""
    kind = layer.integer(9, 0)
    given = numbers(layer, 10)
    if kind == 0:
        return x
    if kind == 1:
        return np.maximum(x, 0)
    if kind == 2:
        return np.where(x > 0, x, x * given[0])
    if kind == 3:
        return np.clip(x, given[0], given[1])
    if kind == 4:
        return _sigmoid(x, maths)
    if kind == 5:
        return x * maths.tanh(np.logaddexp(x, 0))
    if kind == 6:
        return x * np.clip(x * given[0] + given[1], 0, 1)
    raise ValueError(f"layer {layer.name}: activation {kind} is not known")


def _sigmoid(x: Array, maths: Arithmetic) -> Array:
    return maths.reciprocal(1 + maths.exp(-x))


def _gelu(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    if layer.integer(0, 0):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return np.asarray(0.5 * x * (1 + maths.tanh(inner)))
    return np.asarray(0.5 * x * (1 + maths.erf(x * math.sqrt(0.5))))


def _elu(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    return np.where(x > 0, x, number(layer, 0, 0.1) * (maths.exp(np.minimum(x, 0)) - 1))


def _selu(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    alpha, scale = number(layer, 0, 1.67326324), number(layer, 1, 1.050700987)
    return scale * np.where(x > 0, x, alpha * (maths.exp(np.minimum(x, 0)) - 1))


def _hard_sigmoid(layer: Layer, x: Array) -> Array:
    return np.clip(x * number(layer, 0, 0.2) + number(layer, 1, 0.5), 0, 1)


def _relu(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    return np.where(x > 0, x, x * number(layer, 0, 0))


def _prelu(_: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    slope = tensors["slope"]
    return np.where(x > 0, x, x * (slope if slope.size == 1 else column(slope, x.ndim)))


def _clip(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    return np.clip(inputs[0], number(layer, 0, -math.inf), number(layer, 1, math.inf))


def _expand(array: Array, other: Array) -> Array:
    """Give a blob of fewer axes inner or outer axes of one element, as BinaryOp does."""
    missing = other.ndim - array.ndim
    if missing <= 0:
        return array
    if array.ndim == 1 and array.shape[0] != other.shape[0]:
        return array.reshape(*(1,) * missing, -1)
    return array.reshape(*array.shape, *(1,) * missing)


def _binary(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    a = inputs[0]
    b = inputs[1] if len(inputs) > 1 else np.asarray(number(layer, 2, 0), a.dtype)
    if b.ndim:
        a, b = _expand(a, b), _expand(b, a)
    return _BINARY[layer.integer(0, 0)](a, b, maths)


_BINARY: list[Callable[[Array, Array, Arithmetic], Array]] = [
    lambda a, b, _: a + b,
    lambda a, b, _: a - b,
    lambda a, b, _: a * b,
    lambda a, b, maths: a * maths.reciprocal(b),
    lambda a, b, _: np.maximum(a, b),
    lambda a, b, _: np.minimum(a, b),
    lambda a, b, _: np.power(a, b),
    lambda a, b, _: b - a,
    lambda a, b, maths: b * maths.reciprocal(a),
    lambda a, b, _: np.power(b, a),
    lambda a, b, _: np.arctan2(a, b),
    lambda a, b, _: np.arctan2(b, a),
]


def _unary(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    return _UNARY[layer.integer(0, 0)](inputs[0], maths)


_UNARY: list[Callable[[Array, Arithmetic], Array]] = [
    lambda x, _: np.abs(x),
    lambda x, _: -x,
    lambda x, _: np.floor(x),
    lambda x, _: np.ceil(x),
    lambda x, _: x * x,
    lambda x, maths: x * maths.rsqrt(np.where(x > 0, x, 1)),
    lambda x, maths: maths.rsqrt(x),
    lambda x, maths: maths.exp(x),
    lambda x, _: np.log(x),
    lambda x, _: np.sin(x),
    lambda x, _: np.cos(x),
    lambda x, _: np.tan(x),
    lambda x, _: np.arcsin(x),
    lambda x, _: np.arccos(x),
    lambda x, _: np.arctan(x),
    lambda x, maths: maths.reciprocal(x),
    lambda x, maths: maths.tanh(x),
    lambda x, _: np.log10(x),
    lambda x, _: np.round(x),
    lambda x, _: np.trunc(x),
]


def _eltwise(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    kind = layer.integer(0, 0)
    if kind == 0:
        return np.asarray(np.prod(np.stack(inputs), axis=0))
    if kind == 2:
        return np.asarray(np.max(np.stack(inputs), axis=0))
    factors = numbers(layer, 1, (1.0,) * len(inputs))
    terms = [factor * x for factor, x in zip(factors, inputs, strict=True)]
    return np.asarray(np.sum(np.stack(terms), axis=0))


def _scale(_: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    x = inputs[0]
    factor = tensors["scale"] if "scale" in tensors else inputs[1]
    y = x * column(factor, x.ndim)
    return y + column(tensors["bias"], x.ndim) if "bias" in tensors else y


DEFINITIONS: dict[str, Definition] = {
    "BinaryOp": define(_binary, 0, 1, 2),
    "UnaryOp": define(_unary, 0),
    "Eltwise": define(_eltwise, 0, 1),
    "Scale": define(_scale, 0, 1),
    "Bias": define(lambda _, w, x, __: x[0] + column(w["bias"], x[0].ndim), 0),
    "ReLU": define(_relu, 0),
    "PReLU": define(_prelu, 0),
    "Clip": define(_clip, 0, 1),
    "ELU": define(_elu, 0),
    "SELU": define(_selu, 0, 1),
    "GELU": define(_gelu, 0),
    "Sigmoid": define(lambda _, __, x, maths: _sigmoid(x[0], maths)),
    "Swish": define(lambda _, __, x, maths: x[0] * _sigmoid(x[0], maths)),
    "TanH": define(lambda _, __, x, maths: maths.tanh(x[0])),
    "Mish": define(lambda _, __, x, maths: x[0] * maths.tanh(np.logaddexp(x[0], 0))),
    "Softplus": define(lambda _, __, x, ___: np.logaddexp(x[0], 0)),
    "HardSigmoid": define(lambda layer, _, x, __: _hard_sigmoid(layer, x[0]), 0, 1),
    "HardSwish": define(lambda layer, _, x, __: x[0] * _hard_sigmoid(layer, x[0]), 0, 1),
}
