"""Layers that put blobs together, take parts of them, or lay something around them."""

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
    move,
)
from harness.definition.parameters import AS_INPUT, AXES, axis_of, integers, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

BY_EXPRESSION = (19, 20, 21)


def _concat(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    ndim = inputs[0].ndim
    axis = 0 if ndim == 1 else axis_of(layer.integer(0, 0), ndim)
    return np.concatenate(inputs, axis)


def _slice(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> list[Array]:
    (x,) = inputs
    axis = 0 if x.ndim == 1 else axis_of(layer.integer(1, 0), x.ndim)
    extent, parts = x.shape[axis], []
    start = 0
    for end in _ends(layer, extent):
        if not start < end <= extent:
            raise NoDefinitionError(f"no part {start}..{end} of {extent}")
        parts.append(x.take(range(start, end), axis))
        start = end
    return parts


def _ends(layer: Layer, extent: int) -> Iterator[int]:
    sizes, indices = integers(layer, 0), integers(layer, 2)
    count = len(layer.outputs)
    if indices is not None:
        yield from (i + extent if i < 0 else i for i in indices[: count - 1])
        yield extent
        return
    if sizes is None:
        raise NoDefinitionError("neither sizes nor indices are given")
    end = 0
    for index in range(count):
        size = sizes[index]
        end += (extent - end) // (count - index) if size == AS_INPUT else size
        yield end


def _crop(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    x = inputs[0]
    if any(layer.get(key) is not None for key in BY_EXPRESSION):
        raise NoDefinitionError("offsets by expression are not covered")
    starts, ends = integers(layer, 9), integers(layer, 10)
    keys = (*_EXTENT.values(), *_OFFSET_END.values())
    sized = any(layer.integer(key, 0) for key in keys) or (starts is not None and ends is not None)
    if sized == (len(inputs) > 1):
        raise NoDefinitionError(f"{len(inputs)} inputs")
    if not sized:
        if layer.integer(0, 0) == AS_INPUT:
            raise NoDefinitionError("offsets from a blob are not covered")
        region = _by_reference(layer, x, inputs[1])
    elif starts and ends:
        region = _by_ends(layer, x.shape, starts, ends)
    else:
        region = _by_offsets(layer, x)
    for (start, end), extent in zip(region, x.shape, strict=True):
        if not 0 <= start < end <= extent:
            raise NoDefinitionError(f"no part {start}..{end} of {extent}")
    return x[tuple(slice(start, end) for start, end in region)]


_OFFSET = {"w": 0, "h": 1, "d": 13, "c": 2}
_EXTENT = {"w": 3, "h": 4, "d": 14, "c": 5}
_OFFSET_END = {"w": 6, "h": 7, "d": 15, "c": 8}


def _by_reference(layer: Layer, x: Array, reference: Array) -> list[tuple[int, int]]:
    extents = dict(zip(AXES[reference.ndim], reference.shape, strict=True))
    region = []
    for name, extent in zip(AXES[x.ndim], x.shape, strict=True):
        start = layer.integer(_OFFSET[name], 0)
        # The outermost axis stays whole where the reference has fewer axes.
        whole = name == "c" and reference.ndim != x.ndim
        size = extent if whole else extents.get(name, 1)
        region.append((start, start + size))
    return region


def _by_ends(
    layer: Layer, shape: tuple[int, ...], starts: tuple[int, ...], ends: tuple[int, ...]
) -> list[tuple[int, int]]:
    region = [(0, extent) for extent in shape]
    for index, axis in enumerate(_named(layer, len(shape))):
        extent, start, end = shape[axis], starts[index], ends[index]
        first = 0 if start == AS_INPUT else start
        last = extent if end == AS_INPUT else end
        region[axis] = (
            first if first >= 0 else extent + first,
            min(extent, last if last > 0 else extent + last),
        )
    return region


def _named(layer: Layer, ndim: int) -> tuple[int, ...]:
    axes = integers(layer, 11)
    return tuple(range(ndim)) if axes is None else tuple(axis_of(axis, ndim) for axis in axes)


def _by_offsets(layer: Layer, x: Array) -> list[tuple[int, int]]:
    region = []
    for name, extent in zip(AXES[x.ndim], x.shape, strict=True):
        start = layer.integer(_OFFSET[name], 0)
        size = extent - start - layer.integer(_OFFSET_END[name], 0)
        wanted = layer.integer(_EXTENT[name], 0)
        region.append((start, start + (size if wanted == AS_INPUT else min(wanted, size))))
    return region


def _copy_to(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    whole, part = inputs
    if part.shape == whole.shape:
        return part
    if part.ndim != whole.ndim:
        raise NoDefinitionError(f"{part.shape} into {whole.shape}")
    starts = integers(layer, 9)
    if starts is None:
        offsets = [layer.integer(_OFFSET[name], 0) for name in AXES[whole.ndim]]
    else:
        offsets = [0] * whole.ndim
        for index, axis in enumerate(_named(layer, whole.ndim)):
            start = 0 if starts[index] == AS_INPUT else starts[index]
            offsets[axis] = start if start >= 0 else whole.shape[axis] + start
    fits = zip(offsets, part.shape, whole.shape, strict=True)
    if not all(0 <= offset <= full - size for offset, size, full in fits):
        raise NoDefinitionError(f"{part.shape} at {offsets} is not within {whole.shape}")
    result = whole.copy()
    result[tuple(slice(o, o + n) for o, n in zip(offsets, part.shape, strict=True))] = part
    return result


def _padding(layer: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    kind = layer.integer(4, 0)
    top, bottom, left, right, front, behind = (layer.integer(key, 0) for key in _SIDES)
    if min(top, bottom, left, right, front, behind) < 0:
        raise NoDefinitionError("nothing can be padded by less than nothing")
    # Of four axes the second is padded and the channels are not.
    sides = [(front, behind), (top, bottom), (left, right)][-x.ndim :]
    widths = [(0, 0)] * (x.ndim - len(sides)) + sides
    if kind == 0:
        return _framed(x, widths, number(layer, 5, 0), tensors.get("value"))
    if kind not in _MODES:
        raise NoDefinitionError(f"padding of type {kind}")
    if kind == 2 and any(max(w) >= n for w, n in zip(widths, x.shape, strict=True)):
        raise NoDefinitionError(f"{widths} reflects more than there is of {x.shape}")
    return np.pad(x, widths, mode="edge" if kind == 1 else "reflect")


_SIDES = (0, 1, 2, 3, 7, 8)
_MODES = (1, 2)


def _framed(x: Array, widths: list[tuple[int, int]], value: float, values: Array | None) -> Array:
    if values is None or x.ndim < 3:
        return np.pad(x, widths, constant_values=value)
    shape = [n + sum(width) for n, width in zip(x.shape, widths, strict=True)]
    if len(values) < shape[0]:
        raise NoDefinitionError(f"{len(values)} values for {shape[0]} channels")
    result = np.empty(shape, x.dtype)
    result[...] = values[: shape[0]].reshape(-1, *(1,) * (x.ndim - 1))
    inside = zip(widths, x.shape, strict=True)
    result[tuple(slice(before, before + n) for (before, _), n in inside)] = x
    return result


def _tile(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    repeats = integers(layer, 2)
    if repeats is not None:
        # Four counts see a blob of three axes as one with a depth of one behind its channels.
        if len(repeats) > x.ndim == 3:
            x = x[:, None]
        return np.tile(x, repeats)
    counts = [1] * x.ndim
    axis = layer.integer(0, 0)
    # An axis that is not there is not repeated; a vector is whatever the axis.
    if x.ndim == 1 or 0 <= axis < x.ndim:
        counts[0 if x.ndim == 1 else axis] = layer.integer(1, 1)
    return np.tile(x, counts)


DEFINITIONS: dict[str, Definition] = {
    "Concat": move(_concat, 0),
    "Slice": move(_slice, 0, 1, 2),
    "Crop": move(_crop, *range(12), 13, 14, 15, *BY_EXPRESSION),
    "CopyTo": move(_copy_to, 0, 1, 2, 9, 11, 13),
    "Padding": define(_padding, *range(9)),
    "Tile": move(_tile, 0, 1, 2),
}
