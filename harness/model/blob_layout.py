"""What ncnn does to the shape of an array: axes dropped, merged and split, no element moved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]

Shape = tuple[int, ...]


MAX_AXES = 4
"""The axes of an `ncnn::Mat`: width, height, depth, channels."""


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
    check_reshape(value.shape, tuple(shape))
    return np.ascontiguousarray(value.reshape(shape), dtype=np.float32)


def check_reshape(shape: Shape, other: Shape) -> None:
    """Make sure that a reshape of one into the other is right.

    ncnn drops the batch axis and keeps, adds or drops axes of one element; a blob may also merge
    or split neighbouring axes. None of this moves an element, so a reshape undoes it.

    Raises:
        ValueError: it is not; the message is `shape (..) against (..)`.
    """
    mine, theirs = _boundaries(shape), _boundaries(other)
    if math.prod(shape) != math.prod(other) or not (mine <= theirs or theirs <= mine):
        raise ValueError(f"shape {shape} against {other}")


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
