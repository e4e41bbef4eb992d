"""Layers that reduce along axes: normalisations, Softmax, pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import Array, Definition, Inputs, Tensors, define
from harness.definition.parameters import column, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


def softmax(x: Array, axis: int, maths: Arithmetic) -> Array:
    """Return the normalised exponentials along an axis."""
    powers = maths.exp(x - x.max(axis=axis, keepdims=True))
    return powers * maths.reciprocal(powers.sum(axis=axis, keepdims=True))


def _softmax(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    return softmax(inputs[0], layer.integer(0, 0), maths)


def _layer_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    # The size says over how many inner axes it goes.
    rows = x.reshape(-1, layer.integer(0, x.shape[-1]))
    y = _standardised(rows, _epsilon(layer), maths)
    if "gamma" in tensors:
        y = y * tensors["gamma"] + tensors["beta"]
    return y.reshape(x.shape)


def _standardised(rows: Array, epsilon: float, maths: Arithmetic) -> Array:
    centred = rows - rows.mean(axis=1, keepdims=True)
    variance = (centred * centred).mean(axis=1, keepdims=True)
    return np.asarray(centred * maths.rsqrt(variance + epsilon))


def _rms_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    rows = x.reshape(-1, layer.integer(0, x.shape[-1]))
    y = rows * maths.rsqrt((rows * rows).mean(axis=1, keepdims=True) + _epsilon(layer))
    return (y * tensors["gamma"] if "gamma" in tensors else y).reshape(x.shape)


def _group_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    group = layer.integer(0, 1)
    return _grouped(x, group, number(layer, 2, 0.001), tensors, maths)


def _instance_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    return _grouped(x, x.shape[0], number(layer, 1, 0.001), tensors, maths)


def _grouped(x: Array, group: int, epsilon: float, tensors: Tensors, maths: Arithmetic) -> Array:
    y = _standardised(x.reshape(group, -1), epsilon, maths).reshape(x.shape)
    if "gamma" not in tensors:
        return y
    return y * column(tensors["gamma"], x.ndim) + column(tensors["beta"], x.ndim)


def _batch_norm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    w = {name: column(array, x.ndim) for name, array in tensors.items()}
    factor = maths.rsqrt(w["variance"] + number(layer, 1, 0))
    return np.asarray(w["slope"] * (x - w["mean"]) * factor + w["bias"])


def _epsilon(layer: Layer) -> float:
    return number(layer, 1, 0.001)


def _pooling(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    average = layer.integer(0, 0) == 1
    if layer.integer(4, 0):
        return np.asarray(x.mean(axis=(1, 2)) if average else x.max(axis=(1, 2)))
    if layer.integer(7, 0):
        return _adaptive(layer, x, np.mean if average else np.max)
    return _windows(layer, x, average)


def _adaptive(layer: Layer, x: Array, reduce: Callable[..., Array]) -> Array:
    width = layer.integer(8, 0)
    height = layer.integer(18, width)
    rows = _cuts(x.shape[1], x.shape[1] if height == -233 else height)
    columns = _cuts(x.shape[2], x.shape[2] if width == -233 else width)
    cells = [[reduce(x[:, r, c], axis=(1, 2)) for c in columns] for r in rows]
    return np.array(cells).transpose(2, 0, 1)


def _cuts(extent: int, parts: int) -> list[slice]:
    return [slice(extent * i // parts, -(-extent * (i + 1) // parts)) for i in range(parts)]


def _windows(layer: Layer, x: Array, average: bool) -> Array:
    width, stride_w, left = layer.integer(1, 0), layer.integer(2, 1), layer.integer(3, 0)
    height, stride_h = layer.integer(11, width), layer.integer(12, stride_w)
    top = layer.integer(13, left)
    mode = layer.integer(5, 0)
    if mode > 1:
        raise ValueError(f"layer {layer.name}: pad mode {mode} of Pooling has no formula here")
    pads = [[top, layer.integer(15, top)], [left, layer.integer(14, left)]]
    tails = [0, 0]
    if mode == 0:
        for axis, (kernel, stride) in enumerate(((height, stride_h), (width, stride_w))):
            rest = (x.shape[1 + axis] + sum(pads[axis]) - kernel) % stride
            tails[axis] = stride - rest if rest else 0
    counted = average and layer.integer(6, 0) == 1
    # Padding counts as zero, or does not count at all.
    widths = [(before, after + tail) for (before, after), tail in zip(pads, tails, strict=True)]
    padded = np.pad(x, ((0, 0), *widths), constant_values=0.0 if counted else np.nan)
    views = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    views = views[:, ::stride_h, ::stride_w]
    reduce = np.nanmean if average else np.nanmax
    return np.asarray(reduce(views, axis=(3, 4)))


DEFINITIONS: dict[str, Definition] = {
    "Softmax": define(_softmax, 0, 1),
    "LayerNorm": define(_layer_norm, 0, 1, 2),
    "RMSNorm": define(_rms_norm, 0, 1, 2),
    "GroupNorm": define(_group_norm, 0, 1, 2, 3),
    "InstanceNorm": define(_instance_norm, 0, 1, 2),
    "BatchNorm": define(_batch_norm, 0, 1),
    "Pooling": define(_pooling, *range(19)),
}
