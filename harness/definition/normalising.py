"""Layers that normalise: by mean and variance, by the root of squares, by what stands around."""

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
from harness.definition.parameters import column, number

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


def _layer_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    rows = _rows(layer, x)
    y = _standardised(rows, number(layer, 1, 0.001), maths)
    if layer.integer(2, 1):
        y = y * tensors["gamma"] + tensors["beta"]
    return y.reshape(x.shape)


def _rms_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    rows = _rows(layer, x)
    mean = maths.mean(rows * rows)
    y = rows * maths.rsqrt(mean + number(layer, 1, 0.001))
    return (y * tensors["gamma"] if layer.integer(2, 1) else y).reshape(x.shape)


def _rows(layer: Layer, x: Array) -> Array:
    """Return what is normalised as rows: the size says over how many inner axes they go."""
    size = layer.integer(0, 0)
    inner = [int(np.prod(x.shape[-count:])) for count in range(1, max(2, x.ndim))]
    # Where it fits nothing, ncnn takes all axes but the outermost one.
    row = size if size in inner else inner[-1]
    if layer.integer(2, 1) and size != row:
        raise NoDefinitionError(f"rows of {size} in {x.shape}")
    return x.reshape(-1, row)


def _standardised(rows: Array, epsilon: float, maths: Arithmetic) -> Array:
    centred = rows - maths.mean(rows)
    variance = maths.mean(centred * centred)
    return np.asarray(centred * maths.rsqrt(variance + epsilon))


def _group_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    channels, group = layer.integer(1, 0), layer.integer(0, 1)
    if x.shape[0] != channels or channels % group:
        raise NoDefinitionError(f"{group} groups of {channels} channels in {x.shape}")
    y = _standardised(x.reshape(group, -1), number(layer, 2, 0.001), maths)
    y = y.reshape(x.shape)
    return _affine(y, tensors) if layer.integer(3, 1) else y


def _instance_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    y = _standardised(_channels(x), number(layer, 1, 0.001), maths)
    return (_affine(y, tensors) if layer.integer(2, 1) else y).reshape(x.shape)


def _channels(x: Array) -> Array:
    """Return one row per channel: what has fewer than three axes is one channel."""
    return x.reshape(x.shape[0] if x.ndim > 2 else 1, -1)


def _affine(x: Array, tensors: Tensors) -> Array:
    return x * column(tensors["gamma"], x) + column(tensors["beta"], x)


def _batch_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    w = {n: column(tensors[n], x) for n in ("slope", "mean", "variance", "bias")}
    variance = w["variance"] + number(layer, 1, 0)
    # ncnn divides by 0.0001 where it would divide by zero.
    factor = maths.rsqrt(np.where(variance == 0, 1e-8, variance))
    return np.asarray(w["slope"] * (x - w["mean"]) * factor + w["bias"])


def _mvn(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    shape = x.shape if x.ndim > 2 else (1,) * (3 - x.ndim) + x.shape
    rows = x.reshape(1, -1) if layer.integer(1, 0) else _channels(x)
    centred = rows - rows.mean(axis=1, keepdims=True)
    if layer.integer(0, 0):
        deviation = np.sqrt((centred * centred).mean(axis=1, keepdims=True))
        centred = centred * maths.reciprocal(deviation + number(layer, 2, 1e-4))
    return np.asarray(centred).reshape(shape)


def _normalize(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    rows = _channels(x)
    axes = tuple(
        axis for axis, key, default in ((0, 4, 1), (1, 0, 0)) if layer.integer(key, default)
    )
    if not axes:
        raise NoDefinitionError("neither across channels nor across positions")
    squares, epsilon = np.square(rows).sum(axes, keepdims=True), number(layer, 2, 1e-4)
    mode = layer.integer(9, 0)
    if mode == 1:
        factor = maths.reciprocal(np.maximum(np.sqrt(squares), epsilon))
    else:
        factor = maths.rsqrt(np.maximum(squares, epsilon) if mode else squares + epsilon)
    scale = tensors["scale"]
    scale = scale[0] if layer.integer(1, 0) else column(scale, rows)
    return np.asarray(rows * factor * scale).reshape(x.shape)


def _lrn(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    size, region = layer.integer(1, 5), layer.integer(0, 0)
    if x.ndim != 3 or region not in (0, 1):
        raise NoDefinitionError(f"region {region} around {x.shape}")
    half = size // 2
    around = (half, size - half - 1)
    # Over channels as many on both sides, also of an even size.
    widths = [(0, 0), around, around] if region else [(half, half), (0, 0), (0, 0)]
    window = (size, size) if region else (2 * half + 1,)
    squares = np.pad(np.square(x), widths)
    axes = (1, 2) if region else (0,)
    views = np.lib.stride_tricks.sliding_window_view(squares, window, axis=axes)
    sums = views.sum(axis=tuple(range(-len(window), 0)))
    share = number(layer, 2, 1) / size ** len(axes)
    return np.asarray(x * (number(layer, 4, 1) + share * sums) ** -number(layer, 3, 0.75))


DEFINITIONS: dict[str, Definition] = {
    "LayerNorm": define(_layer_norm, 0, 1, 2),
    "RMSNorm": define(_rms_norm, 0, 1, 2),
    "GroupNorm": define(_group_norm, 0, 1, 2, 3),
    "InstanceNorm": define(_instance_norm, 0, 1, 2),
    "BatchNorm": define(_batch_norm, 0, 1),
    "MVN": define(_mvn, 0, 1, 2),
    "Normalize": define(_normalize, 0, 1, 2, 3, 4, 9),
    "LRN": define(_lrn, *range(5)),
}
