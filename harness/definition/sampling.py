"""Layers that take values between elements: Interp, GridSample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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

KINDS = NEAREST, BILINEAR, BICUBIC = 1, 2, 3
BY_EXPRESSION = 9
MIN_CUBIC = 4
"""Of fewer elements ncnn takes what stands before them in memory."""


def _interp(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    x, kind = inputs[0], layer.integer(0, 0)
    if layer.get(BY_EXPRESSION) is not None:
        raise NoDefinitionError("a size by expression is not covered")
    if x.ndim > 3 or not (kind in KINDS or (kind == 0 and x.ndim == 1)):
        raise NoDefinitionError(f"resizing of kind {kind} of {x.shape}")
    height, width = _target(layer, inputs)
    if x.ndim == 1:
        return np.broadcast_to(x[:, None, None], (len(x), height, width))
    axes = [(x.ndim - 1, width, _step(layer, x.shape[-1], width, 4, 2))]
    # Of two axes the outer one is left as it is.
    if x.ndim == 3:
        axes.insert(0, (1, height, _step(layer, x.shape[1], height, 3, 1)))
    if all(x.shape[axis] == size for axis, size, _ in axes) and not (
        kind == BICUBIC and any(step != 1 for _, _, step in axes)
    ):
        return x
    for axis, size, step in axes:
        x = _resized(layer, x, axis, size, step)
    return x


def _step(layer: Layer, extent: int, size: int, size_key: int, scale_key: int) -> float:
    """Return elements of the input per element of the output.

    Where a scale is given it is what counts, as in PyTorch and ONNX, though the size that follows
    from it is cut off (ncnn issue #6836).
    """
    if layer.integer(size_key, 0) or layer.integer(5, 0):
        return extent / size
    return 1 / number(layer, scale_key, 1)


def _target(layer: Layer, inputs: Inputs) -> tuple[int, int]:
    """Return height and width of the output."""
    by_reference = layer.integer(5, 0) == 1
    if by_reference != (len(inputs) > 1):
        raise NoDefinitionError(f"{len(inputs)} inputs")
    if by_reference:
        reference = inputs[1]
        return (1 if reference.ndim < 2 else reference.shape[-2]), reference.shape[-1]
    height, width = layer.integer(3, 0), layer.integer(4, 0)
    if height and width:
        return height, width
    x = inputs[0]
    extents = (1, 1) if x.ndim == 1 else x.shape[-2:]
    # In single precision, as ncnn does, for the product is cut off.
    scales = (np.float32(number(layer, key, 1)) for key in (1, 2))
    height, width = (int(np.float32(n) * s) for n, s in zip(extents, scales, strict=True))
    return height, width


def _resized(layer: Layer, x: Array, axis: int, size: int, step: float) -> Array:
    kind, extent = layer.integer(0, 0), x.shape[axis]
    if kind == NEAREST:
        places = (np.arange(size, dtype=np.float32) * np.float32(step)).astype(int)
        return np.asarray(x.take(np.minimum(places, extent - 1), axis))
    if kind == BILINEAR and extent == size:
        step = 1.0
    places, shares = _places(extent, size, step, bool(layer.integer(6, 0)))
    if kind == BICUBIC and extent < MIN_CUBIC:
        raise NoDefinitionError(f"cubic resizing of {extent} elements")
    taps = _linear(places, shares, extent) if kind == BILINEAR else _cubic(places, shares)
    shape = (-1, *(1,) * (x.ndim - 1 - axis))
    total = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
    for index, weight in taps:
        part = x.take(np.clip(index, 0, extent - 1), axis)
        total += part * weight.astype(x.dtype).reshape(shape)
    return total


def _places(extent: int, size: int, step: float, corners: bool) -> tuple[Array, Array]:
    """Return the element before each place, and how far the place is behind it."""
    steps = np.arange(size)
    if corners:
        where = steps * ((extent - 1) / (size - 1)) if size > 1 else steps * 0.0
    else:
        where = (steps + 0.5) * step - 0.5
    single = where.astype(np.float32)
    before = np.floor(single)
    return before.astype(int), (single - before).astype(np.float64)


def _linear(places: Array, shares: Array, extent: int) -> list[tuple[Array, Array]]:
    shares = np.where(places < 0, 0, np.where(places >= extent - 1, 1, shares))
    places = np.clip(places, 0, max(extent - 2, 0))
    return [(places, 1 - shares), (places + 1, shares)]


def _cubic(places: Array, shares: Array) -> list[tuple[Array, Array]]:
    # What would be taken from outside is taken from the border.
    return [(places + tap - 1, weight) for tap, weight in enumerate(_cubic_weights(shares))]


def _cubic_weights(share: Array) -> list[Array]:
    """Return the weights of four neighbours by cubic convolution with -0.75."""
    a = -0.75
    far, near, other = share + 1, share, 1 - share
    first = a * far**3 - 5 * a * far**2 + 8 * a * far - 4 * a
    second = (a + 2) * near**3 - (a + 3) * near**2 + 1
    third = (a + 2) * other**3 - (a + 3) * other**2 + 1
    return [first, second, third, 1 - first - second - third]


ZEROS, BORDER, REFLECTION = 1, 2, 3


def _grid_sample(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    x, grid = inputs
    kind, padding, corners = layer.integer(0, 1), layer.integer(1, 1), layer.integer(2, 0)
    if x.ndim < 3 or grid.ndim != x.ndim or not {kind, padding} <= {1, 2, 3}:
        raise NoDefinitionError(f"sampling {kind}, {padding} of {x.shape} at {grid.shape}")
    # The grid has x first; which of its axes they are along depends on 3.
    rows = grid if layer.integer(3, 0) else np.moveaxis(grid, -1, 0)
    if len(rows) != x.ndim - 1:
        raise NoDefinitionError(f"a grid of {grid.shape} for {x.shape}")
    sampler = Sampler(x, padding, bool(corners))
    where = [
        sampler.unnormalised(values, extent)
        for values, extent in zip(rows[::-1], x.shape[1:], strict=True)
    ]
    bilinear, nearest = 1, 2
    if kind == bilinear:
        return sampler.bilinear(where)
    if kind == nearest:
        return sampler.nearest(where)
    if x.ndim != 3:
        raise NoDefinitionError("cubic sampling of a volume")
    return sampler.cubic(where)


class Sampler:
    """Takes values of a blob at coordinates, given per axis, outermost first."""

    def __init__(self, x: Array, padding: int, corners: bool) -> None:
        self.x = x
        self.padding = padding
        self.corners = corners

    def unnormalised(self, values: Array, extent: int) -> Array:
        """Return coordinates between -1 and 1 as places in an axis."""
        if self.corners:
            return np.asarray((values + 1) / 2 * (extent - 1))
        return np.asarray(((values + 1) * extent - 1) / 2)

    def within(self, where: Array, extent: int) -> Array:
        """Return places outside as the padding has them."""
        high = extent - 1
        if self.padding == BORDER:
            return np.clip(where, 0, high)
        if self.padding != REFLECTION:
            return where
        if self.corners:
            return self._reflected(where, high)
        return np.clip(self._reflected(where + 0.5, extent) - 0.5, 0, high)

    @staticmethod
    def _reflected(where: Array, high: int) -> Array:
        where = np.abs(where)
        return np.asarray(high - np.abs(where - high))

    def at(self, places: list[Array]) -> Array:
        """Return the values at whole places, zero outside."""
        extents = self.x.shape[1:]
        inside = np.ones(places[0].shape, bool)
        index = []
        for place, extent in zip(places, extents, strict=True):
            inside &= (place >= 0) & (place < extent)
            index.append(np.clip(place, 0, extent - 1).astype(int))
        every: tuple[Any, ...] = (slice(None), *index)
        return np.asarray(self.x[every] * inside)

    def bilinear(self, where: list[Array]) -> Array:
        """Return the values at places, weighted by how near their neighbours are."""
        places = [self.within(w, n) for w, n in zip(where, self.x.shape[1:], strict=True)]
        before = [np.floor(place) for place in places]
        shares = [place - first for place, first in zip(places, before, strict=True)]
        total = np.zeros((len(self.x), *places[0].shape), self.x.dtype)
        for corner in np.ndindex(*(2,) * len(places)):
            weight = np.ones(places[0].shape, self.x.dtype)
            for side, share in zip(corner, shares, strict=True):
                weight = weight * (share if side else 1 - share)
            total += weight * self.at([p + side for p, side in zip(before, corner, strict=True)])
        return total

    def nearest(self, where: list[Array]) -> Array:
        """Return the values nearest to places."""
        extents = self.x.shape[1:]
        places = [self.within(w, n) for w, n in zip(where, extents, strict=True)]
        return self.at([np.floor(place + 0.5) for place in places])

    def cubic(self, where: list[Array]) -> Array:
        """Return the values at places by cubic convolution."""
        before = [np.floor(place) for place in where]
        weights = [_cubic_weights(w - first) for w, first in zip(where, before, strict=True)]
        total = np.zeros((len(self.x), *where[0].shape), self.x.dtype)
        for taps in np.ndindex(4, 4):
            weight = weights[0][taps[0]] * weights[1][taps[1]]
            places = [
                self.within(first + tap - 1, extent)
                for first, tap, extent in zip(before, taps, self.x.shape[1:], strict=True)
            ]
            # Reflected, a whole place may be half a one off: ncnn cuts it.
            total += weight * self.at([np.trunc(place) for place in places])
        return total


DEFINITIONS: dict[str, Definition] = {
    "Interp": define(_interp, *range(7), BY_EXPRESSION),
    "GridSample": define(_grid_sample, 0, 1, 2, 3),
}
