"""Layers of elementary operators: one operand, two with broadcasting, or several."""

from __future__ import annotations

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
from harness.definition.parameters import column, number, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


def _expand(array: Array, other: Array) -> Array:
    """Give a blob of fewer axes inner axes of one element.

    A vector that is not as long as the other's outermost axis belongs to the innermost one. So it
    is since 2023-08; before, each combination of axes had a rule of its own.
    """
    missing = other.ndim - array.ndim
    if missing <= 0:
        return array
    if array.ndim == 1 and array.shape[0] != other.shape[0]:
        return array.reshape(*(1,) * missing, -1)
    return array.reshape(*array.shape, *(1,) * missing)


def _binary(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    if layer.integer(1, 0):
        (a,) = inputs
        return _of_kind(_BINARY, layer)(a, np.asarray(number(layer, 2, 0), a.dtype), maths)
    a, b = inputs
    return _of_kind(_BINARY, layer)(_expand(a, b), _expand(b, a), maths)


def _of_kind(table: dict[int, Operator], layer: Layer) -> Operator:
    kind = layer.integer(0, 0)
    if kind not in table:
        raise NoDefinitionError(f"operator {kind} is not known")
    return table[kind]


if TYPE_CHECKING:
    Operator = Callable[..., Array]


def _remainder(a: Array, b: Array) -> Array:
    """Return what is left of the nearest multiple, as C's `remainder` does."""
    return np.asarray(a - b * np.rint(a / b))


_BINARY: dict[int, Operator] = {
    0: lambda a, b, _: a + b,
    1: lambda a, b, _: a - b,
    2: lambda a, b, _: a * b,
    3: lambda a, b, maths: a * maths.reciprocal(b),
    4: lambda a, b, _: np.maximum(a, b),
    5: lambda a, b, _: np.minimum(a, b),
    6: lambda a, b, _: np.power(a, b),
    7: lambda a, b, _: b - a,
    8: lambda a, b, maths: b * maths.reciprocal(a),
    9: lambda a, b, _: np.power(b, a),
    10: lambda a, b, _: np.arctan2(a, b),
    11: lambda a, b, _: np.arctan2(b, a),
    12: lambda a, b, _: np.fmod(a, b),
    13: lambda a, b, _: np.fmod(b, a),
    14: lambda a, b, _: np.logaddexp(a, b),
    15: lambda a, b, _: np.floor(a / b),
    16: lambda a, b, _: np.floor(b / a),
    17: lambda a, b, _: _remainder(a, b),
    18: lambda a, b, _: _remainder(b, a),
}


def _unary(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    return _of_kind(_UNARY, layer)(x, maths)


def _square_root(x: Array, maths: Arithmetic) -> Array:
    return np.where(x > 0, x * maths.rsqrt(np.where(x > 0, x, 1)), np.sqrt(x))


_UNARY: dict[int, Operator] = {
    0: lambda x, _: np.abs(x),
    1: lambda x, _: -x,
    2: lambda x, _: np.floor(x),
    3: lambda x, _: np.ceil(x),
    4: lambda x, _: x * x,
    5: _square_root,
    6: lambda x, maths: maths.rsqrt(x),
    7: lambda x, maths: maths.exp(x),
    8: lambda x, _: np.log(x),
    9: lambda x, _: np.sin(x),
    10: lambda x, _: np.cos(x),
    11: lambda x, _: np.tan(x),
    12: lambda x, _: np.arcsin(x),
    13: lambda x, _: np.arccos(x),
    14: lambda x, _: np.arctan(x),
    15: lambda x, maths: maths.reciprocal(x),
    16: lambda x, maths: maths.tanh(x),
    17: lambda x, _: np.log10(x),
    18: lambda x, _: np.rint(x),
    19: lambda x, _: np.trunc(x),
    20: lambda x, _: np.sign(x),
    21: lambda x, _: np.expm1(x),
    22: lambda x, _: np.sinh(x),
    23: lambda x, _: np.arcsinh(x),
    24: lambda x, _: np.cosh(x),
    25: lambda x, _: np.arccosh(x),
    26: lambda x, _: np.arctanh(x),
    27: lambda x, _: np.log1p(x),
}


def _eltwise(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    kind = layer.integer(0, 0)
    if kind not in (0, 1, 2) or len({x.shape for x in inputs}) > 1 or len(inputs) < 2:
        raise NoDefinitionError(f"operation {kind} of {len(inputs)} blobs")
    if kind != 1:
        operator = np.maximum if kind else np.multiply
        result = inputs[0]
        for x in inputs[1:]:
            result = operator(result, x)
        return np.asarray(result)
    factors = numbers(layer, 1) or (1.0,) * len(inputs)
    terms = [factor * x for factor, x in zip(factors, inputs, strict=True)]
    return np.asarray(sum(terms[1:], terms[0]))


def _scale(layer: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    x = inputs[0]
    factor = inputs[1].reshape(-1) if layer.integer(0, 0) == -233 else tensors["scale"]
    y = x * column(factor, x)
    return y + column(tensors["bias"], x) if layer.integer(1, 0) else y


def _bias(_: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    # What has fewer than three axes is one channel here, unlike for Scale.
    return x + (column(tensors["bias"], x) if x.ndim > 2 else tensors["bias"][0])


DEFINITIONS: dict[str, Definition] = {
    "BinaryOp": define(_binary, 0, 1, 2),
    "UnaryOp": define(_unary, 0),
    "Eltwise": define(_eltwise, 0, 1),
    "Scale": define(_scale, 0, 1),
    "Bias": define(_bias, 0),
}
