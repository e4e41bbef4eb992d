"""Numbers in eight bits: how ncnn makes them, and the layers that do nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.definition.activation import activated, fused
from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)
from harness.definition.parameters import column

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

REQUANTISED = 100
"""An `int8_scale_term` above this gives an output in eight bits."""


def to_int8(x: Array) -> Array:
    """Round to the nearest integer, halves away from zero, within ±127."""
    return np.clip(np.copysign(np.floor(np.abs(x) + 0.5), x), -127, 127)


def quantised_weight(weight: Array, scale: Array, tensors: Tensors) -> Array:
    """Return a weight in eight bits: ncnn quantises one of floats when it loads it."""
    return weight if "weight" in tensors.int8 else to_int8(weight * column(scale, weight))


def dynamic(x: Array, axis: int | None) -> tuple[Array, Array]:
    """Return an array in eight bits with the scales that ncnn takes from its largest elements.

    Args:
        x: the array.
        axis: along which the elements have one scale; None for one scale for all.
    """
    largest = np.abs(x).max(axis=axis, keepdims=True)
    scale = np.where(largest == 0, 1, 127 / np.where(largest == 0, 1, largest))
    return to_int8(x * scale), scale


def inverse(scale: Array) -> Array:
    """Return the reciprocals of scales, zero for zero."""
    return np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale))


def _by_row(vector: Array, x: Array) -> Array:
    """Return scales or biases in a shape that fits: per outermost axis, or one for all."""
    return vector.reshape((1,) * x.ndim) if vector.size == 1 else column(vector, x)


def _quantize(_: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    return to_int8(x * _by_row(tensors["scale"], x))


def _sums(inputs: Inputs) -> Array:
    """Return the one input: sums in 32 bits."""
    if len(inputs) != 1 or inputs.int8:
        raise NoDefinitionError("not one blob of 32 bits")
    return inputs.whole_numbers(0).astype(inputs[0].dtype)


def _dequantize(layer: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    x = _sums(inputs)
    y = x * _by_row(tensors["scale"], x)
    return y + _by_row(tensors["bias"], x) if layer.integer(1, 0) else y


def _requantize(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    x = _sums(inputs)
    y = x * _by_row(tensors["scale_in"], x)
    if layer.integer(2, 0):
        y = y + _by_row(tensors["bias"], x)
    y = activated(fused(layer, 3, 4), y, maths)
    return to_int8(y * _by_row(tensors["scale_out"], x))


DEFINITIONS: dict[str, Definition] = {
    "Quantize": define(_quantize, 0),
    "Dequantize": define(_dequantize, 0, 1, int32=True),
    "Requantize": define(_requantize, 0, 1, 2, 3, 4, int32=True),
}
