"""Layers that lay out windows or diagonals: Unfold, Fold, Diag, and pooling of other kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.definition import sliding
from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)
from harness.definition.parameters import number

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


def _kernel(layer: Layer) -> tuple[int, int]:
    width = layer.integer(1, 0)
    return layer.integer(11, width), width


def _unfold(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    if x.ndim != 3:
        raise NoDefinitionError(f"windows of {x.shape}")
    kernel, axes = _kernel(layer), sliding.windows(layer, 2)
    pads = sliding.borders(axes, x.shape[1:], kernel)
    x = np.pad(x, [(0, 0), *pads], constant_values=number(layer, 18, 0))
    reach = tuple(axis.extent(k) for axis, k in zip(axes, kernel, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    (height, width) = axes
    views = views[:, :: height.stride, :: width.stride, :: height.dilation, :: width.dilation]
    return views.transpose(0, 3, 4, 1, 2).reshape(x.shape[0] * kernel[0] * kernel[1], -1)


def _fold(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    kernel, axes = _kernel(layer), sliding.windows(layer, 2)
    width = layer.integer(20, 0)
    size = [
        extent + axis.before + axis.after
        for extent, axis in zip((layer.integer(21, width), width), axes, strict=True)
    ]
    places = [
        (n - axis.extent(k)) // axis.stride + 1
        for n, axis, k in zip(size, axes, kernel, strict=True)
    ]
    if min(axis.before for axis in axes) < 0 or min(axis.after for axis in axes) < 0:
        raise NoDefinitionError("a padding below zero")
    taps = kernel[0] * kernel[1]
    if x.ndim != 2 or x.shape[0] % taps or x.shape[1] != places[0] * places[1]:
        raise NoDefinitionError(f"{x.shape} for {places} places of {taps} elements")
    columns = x.reshape(-1, *kernel, *places)
    y = np.zeros((len(columns), *size), x.dtype)
    for row, column in np.ndindex(*kernel):
        where = [
            slice(
                offset * axis.dilation,
                offset * axis.dilation + (n - 1) * axis.stride + 1,
                axis.stride,
            )
            for offset, axis, n in zip((row, column), axes, places, strict=True)
        ]
        y[(slice(None), *where)] += columns[:, row, column]
    kept = [slice(a.before, n - a.after) for a, n in zip(axes, size, strict=True)]
    return y[(slice(None), *kept)]


def _diag(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    if x.ndim > 2:
        raise NoDefinitionError(f"the diagonal of {x.shape}")
    return np.diag(x, layer.integer(0, 0))


def _statistics(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    rows = x.reshape(x.shape[0] if x.ndim > 2 else 1, -1)
    means = rows.mean(axis=1)
    return np.concatenate([means, rows.std(axis=1)]) if layer.integer(0, 0) else means


_WINDOW = (1, 2, 3, 4, 11, 12, 13, 14, 15, 16)

DEFINITIONS: dict[str, Definition] = {
    "Unfold": define(_unfold, *_WINDOW, 18),
    "Fold": define(_fold, *_WINDOW, 20, 21),
    "Diag": define(_diag, 0),
    "StatisticsPooling": define(_statistics, 0),
}
