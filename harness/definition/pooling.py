"""Pooling over one, two or three axes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import fmod
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
from harness.definition.parameters import AS_INPUT

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

AVERAGE = 1
FULL, VALID, SAME_UPPER, SAME_LOWER = range(4)
LOWEST = -float(np.finfo(np.float32).max)
"""What maxima are padded with."""


@dataclass(frozen=True)
class _Axis:
    """One axis that is pooled over, with what was given for it."""

    extent: int
    kernel: int
    stride: int
    before: int
    after: int
    out: int
    is_depth: bool

    def border(self, mode: int) -> tuple[int, int]:
        """Return how much is padded before and after."""
        if mode in (FULL, VALID):
            # As C's operator has it, also where the kernel does not fit.
            rest = int(fmod(self.extent + self.before + self.after - self.kernel, self.stride))
            tail = self.stride - rest if rest and mode == FULL else 0
            return self.before, self.after + tail
        total = self.kernel + (self.extent - 1) // self.stride * self.stride - self.extent
        less, more = total // 2, total - total // 2
        # ncnn pads the depth in the same way for both.
        return (less, more) if mode == SAME_UPPER or self.is_depth else (more, less)


def _axes(layer: Layer, x: Array) -> list[_Axis]:
    """Return the axes from the outermost one; what is not given for one is as for the width."""
    kernel, stride = layer.integer(1, 0), layer.integer(2, 1)
    left, out = layer.integer(3, 0), layer.integer(8, 0)
    top, front = layer.integer(13, left), layer.integer(23, left)
    given = {
        1: (kernel, stride, left, layer.integer(14, left), out),
        2: (
            layer.integer(11, kernel),
            layer.integer(12, stride),
            top,
            layer.integer(15, top),
            layer.integer(18, out),
        ),
        3: (
            layer.integer(21, kernel),
            layer.integer(22, stride),
            front,
            layer.integer(16, front),
            layer.integer(28, out),
        ),
    }
    places = {axis: x.ndim - axis for axis in range(1, x.ndim)}
    return [_Axis(x.shape[a], *given[place], is_depth=place == 3) for a, place in places.items()]


def _pooling(ndim: int, layer: Layer, inputs: Inputs) -> Array:
    (x,) = inputs
    if x.ndim != ndim:
        raise NoDefinitionError(f"{x.shape} has not {ndim} axes")
    kind = layer.integer(0, 0)
    if kind not in (0, AVERAGE):
        raise NoDefinitionError(f"pooling of kind {kind}")
    rows = x.reshape(len(x), -1)
    if layer.integer(4, 0):
        return np.asarray(rows.mean(axis=1) if kind == AVERAGE else rows.max(axis=1))
    axes = _axes(layer, x)
    if layer.integer(7, 0):
        return _adaptive(x, axes, average=kind == AVERAGE)
    return _windows(layer, x, axes, average=kind == AVERAGE)


def _adaptive(x: Array, axes: list[_Axis], *, average: bool) -> Array:
    # The cells are a product of cuts of each axis, so that one axis is reduced after the other.
    for place, axis in enumerate(axes, 1):
        parts = axis.extent if axis.out == AS_INPUT else axis.out
        cells = []
        for index in range(parts):
            cut = range(axis.extent * index // parts, -(-axis.extent * (index + 1) // parts))
            part = x.take(cut, place)
            cells.append(part.mean(axis=place) if average else part.max(axis=place))
        x = np.stack(cells, place)
    return x


def _windows(layer: Layer, x: Array, axes: list[_Axis], *, average: bool) -> Array:
    mode = layer.integer(5, 0)
    if not FULL <= mode <= SAME_LOWER:
        raise NoDefinitionError(f"pad mode {mode}")
    if any(min(a.kernel, a.stride) < 1 or min(a.before, a.after) < 0 for a in axes):
        raise NoDefinitionError("a kernel or stride below one, or padding below zero")
    borders = [axis.border(mode) for axis in axes]
    if mode in (SAME_UPPER, SAME_LOWER):
        lacking = [sum(border) for border in borders]
        if max(lacking) <= 0:
            borders = [(0, 0) for _ in axes]
        elif min(lacking) < 0:
            raise NoDefinitionError(f"padding of {lacking}")
    padded = np.pad(x, [(0, 0), *borders], constant_values=0 if average else LOWEST)
    counted = np.ones(padded.shape[1:], x.dtype)
    if average and not layer.integer(6, 0):
        counted = _counted(padded, axes, borders, mode)
    places = [(padded.shape[i] - axis.kernel) // axis.stride + 1 for i, axis in enumerate(axes, 1)]
    if min(places) < 1:
        raise NoDefinitionError(f"no window fits into {padded.shape}")
    total = np.full((len(x), *places), 0 if average else LOWEST, x.dtype)
    count = np.zeros(places, x.dtype)
    for offsets in product(*(range(axis.kernel) for axis in axes)):
        where = tuple(
            slice(offset, offset + (n - 1) * axis.stride + 1, axis.stride)
            for offset, n, axis in zip(offsets, places, axes, strict=True)
        )
        part = padded[(slice(None), *where)]
        if average:
            total += part * counted[where]
            count += counted[where]
        else:
            np.maximum(total, part, out=total)
    return total / count if average else total


def _counted(padded: Array, axes: list[_Axis], borders: list[tuple[int, int]], mode: int) -> Array:
    """Return one where an element counts for averages.

    ncnn leaves out what the parameters and the tail pad, but not what "same" does.
    """
    counted = np.zeros(padded.shape[1:], padded.dtype)
    inside = []
    for axis, border, extent in zip(axes, borders, padded.shape[1:], strict=True):
        tail = border[1] - axis.after if mode == FULL else 0
        inside.append(slice(axis.before, extent - axis.after - tail))
    counted[tuple(inside)] = 1
    return counted


def _pooling_1d(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    return _pooling(2, layer, inputs)


def _pooling_2d(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    return _pooling(3, layer, inputs)


def _pooling_3d(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    return _pooling(4, layer, inputs)


DEFINITIONS: dict[str, Definition] = {
    "Pooling1D": define(_pooling_1d, *range(9), 14),
    "Pooling": define(_pooling_2d, *range(9), *range(11, 16), 18),
    "Pooling3D": define(_pooling_3d, *range(9), *range(11, 17), 18, 21, 22, 23, 28),
}
