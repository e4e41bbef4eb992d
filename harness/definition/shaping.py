"""Layers that give the same elements another shape, or another order of axes."""

from __future__ import annotations

import math
from itertools import permutations
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
from harness.definition.parameters import AS_INPUT, AXES, axis_of, integers, number, refuse

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


def _same(_: Layer, __: Tensors, inputs: Inputs, ___: Arithmetic) -> Array:
    (x,) = inputs
    return x


def _split(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> list[Array]:
    (x,) = inputs
    return [x] * len(layer.outputs)


def _noop(_: Layer, __: Tensors, inputs: Inputs, ___: Arithmetic) -> list[Array]:
    return list(inputs)


def _dropout(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    return x * number(layer, 0, 1)


def _reshape(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    # Versions up to 2025-02 permute where 3=1, later ones ignore it.
    refuse(layer, 3)
    if layer.get(6) is not None:
        raise NoDefinitionError("a shape by expression is not covered")
    wanted = {name: layer.integer(key, AS_INPUT) for name, key in _SIZES}
    ndim = next((n for name, n in _UP_TO if wanted[name] == AS_INPUT), 4)
    if ndim == 0:
        raise NoDefinitionError("no shape is given")
    names = AXES[ndim]
    given = dict(zip(AXES[x.ndim], x.shape, strict=True))
    shape = [wanted[name] or given.get(name, 1) for name in names]
    free = [axis for axis, extent in enumerate(shape) if extent == -1]
    if len(free) == 1:
        shape[free[0]] = x.size // math.prod(extent for extent in shape if extent != -1)
    if any(extent < 1 for extent in shape):
        raise NoDefinitionError(f"the shape {shape} does not follow from the input")
    return x.reshape(shape)


_SIZES = (("w", 0), ("h", 1), ("d", 11), ("c", 2))
_UP_TO = (("w", 0), ("h", 1), ("c", 2), ("d", 3))
"""How many axes a Reshape gives if this one is not named, in the order of precedence."""


def _flatten(_: Layer, __: Tensors, inputs: Inputs, ___: Arithmetic) -> Array:
    (x,) = inputs
    return x.reshape(-1)


def _squeeze(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    axes = integers(layer, 3)
    if axes is None:
        keys = dict(_SIZES)
        named = [a for a, name in enumerate(AXES[x.ndim]) if layer.integer(keys[name], 0)]
    else:
        named = [axis_of(axis, x.ndim) for axis in axes]
    shape = tuple(n for axis, n in enumerate(x.shape) if n != 1 or axis not in named)
    return x.reshape(shape or (1,))


def _expand_dims(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    refuse(layer, 0, 1, 2, 11)
    axes = integers(layer, 3)
    if axes is None:
        return x
    ndim = x.ndim + len(axes)
    named = [axis_of(axis, ndim) for axis in axes]
    if len(set(named)) < len(named):
        raise NoDefinitionError(f"axes {axes} name one axis twice")
    return np.expand_dims(x, tuple(named))


def _permute(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    order = layer.integer(0, 0)
    if x.ndim == 1:
        return x
    if order < 0:
        raise NoDefinitionError(f"order {order}")
    return x.transpose(_ORDERS[x.ndim][order])


def _orders(ndim: int) -> list[tuple[int, ...]]:
    """Return the permutations in the order of ncnn's codes, as NumPy wants them.

    The codes count through the axes from the outermost one: the innermost changes fastest.
    """
    inner = range(ndim)  # 0 is w here
    codes = sorted(permutations(inner), key=lambda axes: tuple(-a for a in reversed(axes)))
    return [tuple(ndim - 1 - axis for axis in reversed(axes)) for axes in codes]


_ORDERS = {ndim: _orders(ndim) for ndim in (2, 3, 4)}


def _pixel_shuffle(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    factor, mode = layer.integer(0, 1), layer.integer(1, 0)
    _, height, width = x.shape
    blocks = (factor, factor, -1) if mode else (-1, factor, factor)
    x = x.reshape(*blocks, height, width)
    x = x.transpose(2, 3, 0, 4, 1) if mode else x.transpose(0, 3, 1, 4, 2)
    return x.reshape(-1, height * factor, width * factor)


def _reorg(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    stride, mode = layer.integer(0, 1), layer.integer(1, 0)
    channels, height, width = x.shape
    height, width = height // stride, width // stride
    x = x[:, : height * stride, : width * stride]
    x = x.reshape(channels, height, stride, width, stride)
    x = x.transpose(2, 4, 0, 1, 3) if mode else x.transpose(0, 2, 4, 1, 3)
    return x.reshape(-1, height, width)


def _shuffle_channel(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    group = layer.integer(0, 1)
    if x.ndim < 3 or x.shape[0] % group:
        raise NoDefinitionError(f"{group} groups of {x.shape} are not shuffled")
    if layer.integer(1, 0):
        group = x.shape[0] // group
    return x.reshape(group, -1, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)


def _flip(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    axes = integers(layer, 0)
    return x if axes is None else np.flip(x, tuple(axis_of(axis, x.ndim) for axis in axes))


DEFINITIONS: dict[str, Definition] = {
    "Input": move(_same, 0, 1, 2, 11),
    "Split": move(_split),
    "Noop": move(_noop),
    "DeepCopy": move(_same),
    "Dropout": define(_dropout, 0),
    "Reshape": move(_reshape, 0, 1, 2, 3, 6, 11),
    "Flatten": move(_flatten),
    "Squeeze": move(_squeeze, 0, 1, 2, 3, 11),
    "ExpandDims": move(_expand_dims, 0, 1, 2, 3, 11),
    "Permute": move(_permute, 0),
    "PixelShuffle": move(_pixel_shuffle, 0, 1),
    "Reorg": move(_reorg, 0, 1),
    "ShuffleChannel": move(_shuffle_channel, 0, 1),
    "Flip": move(_flip, 0),
}
