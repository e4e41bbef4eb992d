"""How an array stands in an ncnn blob, and how a blob stands in the shape of a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Shape = tuple[int, ...]


MAX_AXES = 4
"""The axes of an `ncnn::Mat`: width, height, depth, channels."""


def to_reference_layout(array: Array, shape: Sequence[int]) -> Array:
    """Return an ncnn blob in the shape of the ONNX value that it is compared with.

    ncnn drops the batch axis and keeps, adds or drops axes of one element; a blob may also merge
    or split neighbouring axes. None of this moves an element, so a reshape undoes it.

    Raises:
        ValueError: no reshape can be right; the message is `shape (..) against (..)`.
    """
    return _reshape(array, tuple(shape))


def to_ncnn_layout(value: Array, shape: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Return an ONNX value as a contiguous float32 array to be fed into an ncnn blob.

    Args:
        value: the ONNX value, of any numeric type.
        shape: the shape that ncnn itself gave this blob in a run; where there was none, the
            value's own without its batch axis, so (1, C, H, W) becomes (C, H, W).

    Raises:
        ValueError: no reshape can be right, or ncnn has not that many axes.
    """
    if shape is None:
        shape = value.shape[1:] if value.ndim > 1 and value.shape[0] == 1 else value.shape
    if len(shape) > MAX_AXES:
        raise ValueError(f"shape {tuple(shape)} has more axes than ncnn's {MAX_AXES}")
    return np.ascontiguousarray(_reshape(value, tuple(shape)), dtype=np.float32)


def _reshape(array: Array, shape: Shape) -> Array:
    mine, other = _boundaries(array.shape), _boundaries(shape)
    if array.size != math.prod(shape) or not (mine <= other or other <= mine):
        raise ValueError(f"shape {array.shape} against {shape}")
    return array.reshape(shape)


def _boundaries(shape: Shape) -> frozenset[int]:
    """Return the element counts at which an axis ends, counted from the innermost one.

    Axes of one element leave no trace. Two shapes merge or split neighbouring axes of each other
    if one's boundaries include the other's; (3, 4) and (4, 3) end axes at 4 and 3: transposed.
    """
    counts = set()
    count = 1
    for extent in reversed(shape):
        count *= extent
        counts.add(count)
    return frozenset(counts - {1})
