"""Layers that reduce or accumulate along axes: Reduction, Softmax, ArgMax, CumulativeSum."""

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
from harness.definition.parameters import axis_of, integers, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

MEAN = 3
GAPLESS = 4
"""Channels of a multiple of so many elements have no gaps behind them."""
_TINY = float(np.finfo(np.float32).tiny)


def softmax(x: Array, axis: int, maths: Arithmetic) -> Array:
    """Return the normalised exponentials along an axis."""
    powers = maths.exp(x - x.max(axis=axis, keepdims=True))
    return powers * maths.reciprocal(powers.sum(axis=axis, keepdims=True))


def _softmax(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    axis = layer.integer(0, 0)
    if axis and not layer.integer(1, 0):
        raise NoDefinitionError("ncnn refuses an axis without 1=1")
    return softmax(x, 0 if x.ndim == 1 else axis_of(axis, x.ndim), maths)


def _reduction(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    kind, given = layer.integer(0, 0), integers(layer, 3)
    if given is not None and not layer.integer(5, 0):
        raise NoDefinitionError("ncnn refuses axes without 5=1")
    if layer.integer(1, 1) or x.ndim == 1:
        axes = tuple(range(x.ndim))
    else:
        axes = tuple(sorted({axis_of(axis, x.ndim) for axis in given or ()}))
    keep = bool(layer.integer(4, 0))
    if not axes:
        raise NoDefinitionError("no axis is named, and ncnn leaves the values undefined")
    y = _REDUCTIONS[kind](x, axes, keep)
    factor = number(layer, 2, 1)
    if kind == MEAN:
        count = int(np.prod([x.shape[axis] for axis in axes]))
        factor /= count
    return np.atleast_1d(y * factor)


def _norm(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    squares = np.square(x).sum(axes, keepdims=keep)
    return np.sqrt(np.where(squares < _TINY, 0, squares))


def _log_sum_exp(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    """Without the overflow of single exponentials, which is none of the result."""
    top = x.max(axes, keepdims=True)
    powers = np.exp(x - top).sum(axes, keepdims=keep)
    return np.asarray(np.log(powers) + (top if keep else top.squeeze(axes)))


_REDUCTIONS: dict[int, Callable[[Array, tuple[int, ...], bool], Array]] = {
    0: lambda x, axes, keep: x.sum(axes, keepdims=keep),
    1: lambda x, axes, keep: np.abs(x).sum(axes, keepdims=keep),
    2: lambda x, axes, keep: np.square(x).sum(axes, keepdims=keep),
    MEAN: lambda x, axes, keep: x.sum(axes, keepdims=keep),
    4: lambda x, axes, keep: x.max(axes, keepdims=keep),
    5: lambda x, axes, keep: x.min(axes, keepdims=keep),
    6: lambda x, axes, keep: x.prod(axes, keepdims=keep),
    7: lambda x, axes, keep: np.abs(x).sum(axes, keepdims=keep),
    8: _norm,
    9: lambda x, axes, keep: np.log(x.sum(axes, keepdims=keep)),
    10: _log_sum_exp,
}


def _arg_max(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    count = layer.integer(1, 1)
    # ncnn goes over the memory of a blob, with the gaps behind its channels.
    plane = x[0] if x.ndim > 2 else x
    if plane.size % GAPLESS:
        raise NoDefinitionError(f"the largest of {x.shape} with gaps is not defined")
    if not 0 < count <= x.size:
        raise NoDefinitionError(f"the {count} largest of {x.size}")
    # Of equal values the one that comes last is the larger one.
    order = np.lexsort((np.arange(x.size), x.reshape(-1)))[::-1][:count]
    rows = [x.reshape(-1)[order], order] if layer.integer(0, 0) else [order]
    return np.array(rows, x.dtype)


def _cumulative_sum(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    if x.ndim > 3:
        raise NoDefinitionError(f"sums along {x.shape} are not defined")
    axis = 0 if x.ndim == 1 else axis_of(layer.integer(0, 0), x.ndim)
    return np.cumsum(x, axis)


DEFINITIONS: dict[str, Definition] = {
    "Softmax": define(_softmax, 0, 1),
    "Reduction": define(_reduction, *range(6)),
    "ArgMax": define(_arg_max, 0, 1),
    "CumulativeSum": define(_cumulative_sum, 0),
}
