"""Kernels that slide over one, two or three axes: their geometry, and sums of products."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import Array, NoDefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

SAME_UPPER, SAME_LOWER = -233, -234
PLANE = 2
BLOCK = 1 << 21
"""Elements that are gathered at once: 16 MB in float64."""
CACHED = 1 << 16


@dataclass(frozen=True)
class Window:
    """What a layer says of one axis that its kernel slides along."""

    dilation: int
    stride: int
    before: int
    after: int

    def extent(self, kernel: int) -> int:
        """Return how far a kernel reaches."""
        return self.dilation * (kernel - 1) + 1


def windows(layer: Layer, ndim: int) -> list[Window]:
    """Return the axes from the outermost one; what is not given for one is as for the width."""
    dilation, stride, left = layer.integer(2, 1), layer.integer(3, 1), layer.integer(4, 0)
    width = Window(dilation, stride, left, layer.integer(15, left))
    top, front = layer.integer(14, left), layer.integer(24, left)
    height = Window(
        layer.integer(12, dilation), layer.integer(13, stride), top, layer.integer(16, top)
    )
    depth = Window(
        layer.integer(22, dilation), layer.integer(23, stride), front, layer.integer(17, front)
    )
    axes = [depth, height, width][-ndim:]
    if any(axis.dilation < 1 or axis.stride < 1 for axis in axes):
        raise NoDefinitionError("a dilation or stride below one")
    return axes


Pads = tuple[int, int]


def borders(axes: list[Window], extents: tuple[int, ...], kernel: tuple[int, ...]) -> list[Pads]:
    """Return how much a convolution pads each axis."""
    given = [pad for axis in axes for pad in (axis.before, axis.after)]
    if any(pad > 0 for pad in given):
        if min(given) < 0:
            raise NoDefinitionError(f"padding of {given}")
        return [(axis.before, axis.after) for axis in axes]
    if set(given) not in ({SAME_UPPER}, {SAME_LOWER}):
        return [(0, 0) for _ in axes]
    totals = [
        axis.extent(k) + (n - 1) // axis.stride * axis.stride - n
        for axis, n, k in zip(axes, extents, kernel, strict=True)
    ]
    if max(totals) <= 0:
        return [(0, 0) for _ in axes]
    if min(totals) < 0:
        raise NoDefinitionError(f"padding of {totals}")
    pads = [halves(total, given[0]) for total in totals]
    if len(pads) > PLANE:
        # ncnn pads the depth in the same way for both.
        pads[0] = halves(totals[0], SAME_UPPER)
    return pads


def halves(total: int, mode: int) -> Pads:
    """Return how ncnn's "same" splits what is padded or cut: the more after, or before."""
    less, more = total // 2, total - total // 2
    return (less, more) if mode == SAME_UPPER else (more, less)


def correlate(x: Array, weight: Array, axes: list[Window], group: int, maths: Arithmetic) -> Array:
    """Return the sums of products of a padded blob with a kernel at every place.

    Args:
        x: channels first.
        weight: outputs, inputs of one group, then the kernel's axes.
        axes: the axes that the kernel slides along.
        group: how many groups of channels there are.
        maths: how to compute.
    """
    kernel = weight.shape[2:]
    reach = [axis.extent(k) for axis, k in zip(axes, kernel, strict=True)]
    places = tuple(
        (n - size) // axis.stride + 1
        for n, size, axis in zip(x.shape[1:], reach, axes, strict=True)
    )
    fits = group * weight.shape[1] == x.shape[0] and len(weight) % group == 0
    if not fits or min(places) < 1:
        raise NoDefinitionError(f"a kernel of {weight.shape} on {x.shape}, {group} groups")
    y = np.empty((len(weight), *places), x.dtype)
    per_row = math.prod(places[1:])
    # Of a depthwise kernel nothing is gathered, and what is added up stays in the cache.
    alone = maths.sums_exactly and weight.shape[1] == 1 and len(weight) == group
    size = CACHED if alone else BLOCK // math.prod(kernel)
    rows = max(1, size // (x.shape[0] * per_row))
    for first in range(0, places[0], rows):
        last = min(places[0], first + rows)
        views = list(_views(x, axes, kernel, places, first, last))
        if alone:
            y[:, first:last] = _depthwise(views, weight.reshape(len(weight), -1))
            continue
        patches = np.stack([view.reshape(group, -1, view[0].size) for view in views], axis=2)
        part = _products(patches.reshape(group, -1, patches.shape[-1]), weight, group, maths)
        y[:, first:last] = part.reshape(len(weight), last - first, *places[1:])
    return y


def _views(
    x: Array,
    axes: list[Window],
    kernel: tuple[int, ...],
    places: tuple[int, ...],
    first: int,
    last: int,
) -> Iterator[Array]:
    """Yield what each element of the kernel meets at the places of some rows."""
    ranges = [(first, last), *((0, n) for n in places[1:])]
    for offsets in product(*(range(k) for k in kernel)):
        yield x[
            (
                slice(None),
                *(
                    slice(
                        offset * axis.dilation + start * axis.stride,
                        offset * axis.dilation + (end - 1) * axis.stride + 1,
                        axis.stride,
                    )
                    for offset, axis, (start, end) in zip(offsets, axes, ranges, strict=True)
                ),
            )
        ]


def _depthwise(views: list[Array], weight: Array) -> Array:
    shape = (-1, *(1,) * (views[0].ndim - 1))
    total: Array = views[0] * weight[:, 0].reshape(shape)
    term = np.empty_like(total)
    for index, view in enumerate(views[1:], 1):
        total += np.multiply(view, weight[:, index].reshape(shape), out=term)
    return total


def _products(patches: Array, weight: Array, group: int, maths: Arithmetic) -> Array:
    """Return outputs by places, from inputs·kernel by places, per group."""
    rows = weight.reshape(group, len(weight) // group, -1)
    if maths.sums_exactly:
        return np.asarray(np.matmul(rows, patches))
    # Hypotheses about sums see one row of inputs·kernel per place.
    return maths.matmul(patches.swapaxes(1, 2), rows.swapaxes(1, 2)).swapaxes(1, 2)


def scatter(
    x: Array, weight: Array, axes: list[Window], group: int, maths: Arithmetic, size: list[int]
) -> Array:
    """Return the transpose of `correlate`: each element spread over the kernel's reach.

    Args:
        x: channels first.
        weight: outputs, inputs of one group, then the kernel's axes.
        axes: the axes that the kernel slides along.
        group: how many groups of channels there are.
        maths: how to compute.
        size: extents of the result.
    """
    kernel = weight.shape[2:]
    if group * weight.shape[1] != x.shape[0] or len(weight) % group:
        raise NoDefinitionError(f"a kernel of {weight.shape} on {x.shape}, {group} groups")
    y = np.zeros((len(weight), *size), x.dtype)
    # Per group inputs by outputs·kernel.
    rows = weight.reshape(group, len(weight) // group, weight.shape[1], -1).transpose(0, 2, 1, 3)
    columns = rows.reshape(group, weight.shape[1], -1)
    per_row = math.prod(x.shape[2:])
    step = max(1, BLOCK // max(1, len(weight) * math.prod(kernel) * per_row))
    for first in range(0, x.shape[1], step):
        part = x[:, first : first + step]
        places = part.reshape(group, weight.shape[1], -1).swapaxes(1, 2)
        spread = maths.matmul(places, columns)
        spread = spread.reshape(group, -1, len(weight) // group, math.prod(kernel))
        spread = spread.transpose(3, 0, 2, 1).reshape(-1, len(weight), *part.shape[1:])
        for offsets, values in zip(product(*(range(k) for k in kernel)), spread, strict=True):
            where = [slice(None)]
            for place, (offset, axis, n) in enumerate(
                zip(offsets, axes, part.shape[1:], strict=True)
            ):
                start = offset * axis.dilation + (0 if place else first * axis.stride)
                where.append(slice(start, start + (n - 1) * axis.stride + 1, axis.stride))
            y[tuple(where)] += values
    return y
