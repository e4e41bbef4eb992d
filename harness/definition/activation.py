"""Layers that work on each element alone, and what other layers have fused of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)
from harness.definition.parameters import axis_of, column, number, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

    Function = Callable[[Layer, Array, Arithmetic], Array]


@dataclass(frozen=True)
class Fused:
    """The activation that a layer has fused."""

    kind: int
    values: tuple[float, ...]


def fused(layer: Layer, kind: int = 9, values: int = 10) -> Fused:
    """Return the activation of a layer, given the parameters that say kind and values."""
    return Fused(layer.integer(kind, 0), numbers(layer, values))


def activated(activation: Fused, x: Array, maths: Arithmetic) -> Array:
    """Apply a fused activation."""
    kind, given = activation.kind, activation.values
    if kind == 0:
        return x
    if kind not in _FUSED:
        raise NoDefinitionError(f"activation {kind} is not known")
    return _FUSED[kind](x, given, maths)


_FUSED: dict[int, Callable[[Array, tuple[float, ...], Arithmetic], Array]] = {
    1: lambda x, _, __: np.maximum(x, 0),
    2: lambda x, given, _: np.where(x > 0, x, x * given[0]),
    3: lambda x, given, _: np.minimum(np.maximum(x, given[0]), given[1]),
    4: lambda x, _, maths: sigmoid(x, maths),
    5: lambda x, _, maths: x * maths.tanh(np.logaddexp(x, 0)),
    6: lambda x, given, _: x * _gate(x, *given[:2]),
}


def sigmoid(x: Array, maths: Arithmetic) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return maths.reciprocal(1 + maths.exp(-x))


def _gelu(layer: Layer, x: Array, maths: Arithmetic) -> Array:
    if layer.integer(0, 0):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return np.asarray(0.5 * x * (1 + maths.tanh(inner)))
    return np.asarray(0.5 * x * (1 + maths.erf(x * math.sqrt(0.5))))


def _elu(layer: Layer, x: Array, maths: Arithmetic) -> Array:
    return np.where(x > 0, x, number(layer, 0, 0.1) * (maths.exp(np.minimum(x, 0)) - 1))


def _selu(layer: Layer, x: Array, maths: Arithmetic) -> Array:
    alpha, scale = number(layer, 0, 1.67326324), number(layer, 1, 1.050700987)
    return scale * np.where(x > 0, x, alpha * (maths.exp(np.minimum(x, 0)) - 1))


def _celu(layer: Layer, x: Array, maths: Arithmetic) -> Array:
    alpha = number(layer, 0, 1)
    return np.where(x < 0, (maths.exp(np.where(x < 0, x, 0) / alpha) - 1) * alpha, x)


def _hard_sigmoid(layer: Layer, x: Array, _: Arithmetic) -> Array:
    return _gate(x, number(layer, 0, 0.2), number(layer, 1, 0.5))


def _gate(x: Array, slope: float, offset: float) -> Array:
    # ncnn asks where x stands, not where the line is: only of a rising one that is the same.
    if slope <= 0:
        raise NoDefinitionError(f"a slope of {slope}")
    return np.clip(x * slope + offset, 0, 1)


def _relu(layer: Layer, x: Array, _: Arithmetic) -> Array:
    slope = number(layer, 0, 0)
    return np.where(x > 0, x, x * slope) if slope else np.maximum(x, 0)


def _clip(layer: Layer, x: Array, _: Arithmetic) -> Array:
    return np.minimum(np.maximum(x, number(layer, 0, -math.inf)), number(layer, 1, math.inf))


def _shrink(layer: Layer, x: Array, _: Arithmetic) -> Array:
    bias, limit = number(layer, 0, 0), number(layer, 1, 0.5)
    return np.where(x < -limit, x + bias, np.where(x > limit, x - bias, 0))


def _power(layer: Layer, x: Array, _: Arithmetic) -> Array:
    return np.power(number(layer, 2, 0) + x * number(layer, 1, 1), number(layer, 0, 1))


def _exp(layer: Layer, x: Array, maths: Arithmetic) -> Array:
    base, inner = number(layer, 0, -1), number(layer, 2, 0) + x * number(layer, 1, 1)
    return maths.exp(inner) if base == -1 else np.power(x.dtype.type(base), inner)


def _log(layer: Layer, x: Array, _: Arithmetic) -> Array:
    base = number(layer, 0, -1)
    y = np.log(number(layer, 2, 0) + x * number(layer, 1, 1))
    return y if base == -1 else y / math.log(base)


def _alone(function: Function, *keys: int) -> Definition:
    def formula(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
        (x,) = inputs
        return np.asarray(function(layer, x, maths))

    return define(formula, *keys)


def _prelu(_: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    slope = tensors["slope"]
    return np.where(x > 0, x, x * (slope if slope.size == 1 else column(slope, x)))


def _glu(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    if x.ndim > 3:
        raise NoDefinitionError(f"{x.shape} has too many axes")
    axis = 0 if x.ndim == 1 else axis_of(layer.integer(0, 0), x.ndim)
    if x.shape[axis] % 2:
        raise NoDefinitionError(f"{x.shape[axis]} elements have no halves")
    value, gate = np.split(x, 2, axis)
    return value * sigmoid(gate, maths)


DEFINITIONS: dict[str, Definition] = {
    "AbsVal": _alone(lambda _, x, __: np.abs(x)),
    "BNLL": _alone(lambda _, x, __: np.logaddexp(x, 0)),
    "CELU": _alone(_celu, 0),
    "Clip": _alone(_clip, 0, 1),
    "ELU": _alone(_elu, 0),
    "Erf": _alone(lambda _, x, maths: maths.erf(x)),
    "Exp": _alone(_exp, 0, 1, 2),
    "GELU": _alone(_gelu, 0),
    "GLU": define(_glu, 0),
    "HardSigmoid": _alone(_hard_sigmoid, 0, 1),
    "HardSwish": _alone(lambda layer, x, maths: x * _hard_sigmoid(layer, x, maths), 0, 1),
    "Log": _alone(_log, 0, 1, 2),
    "Mish": _alone(lambda _, x, maths: x * maths.tanh(np.logaddexp(x, 0))),
    "PReLU": define(_prelu, 0),
    "Power": _alone(_power, 0, 1, 2),
    "ReLU": _alone(_relu, 0),
    "SELU": _alone(_selu, 0, 1),
    "Shrink": _alone(_shrink, 0, 1),
    "Sigmoid": _alone(lambda _, x, maths: sigmoid(x, maths)),
    "Softplus": _alone(lambda _, x, __: np.logaddexp(x, 0)),
    "Swish": _alone(lambda _, x, maths: x * sigmoid(x, maths)),
    "TanH": _alone(lambda _, x, maths: maths.tanh(x)),
    "Threshold": _alone(lambda layer, x, _: np.where(x > number(layer, 0, 0), 1, 0), 0),
}
