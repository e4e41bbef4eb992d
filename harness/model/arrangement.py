"""How the elements of an ONNX value are arranged in an ncnn blob: axes dropped, merged, turned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.model.blob_layout import Shape, check_reshape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]

MAX_TURNED = 5
"""Axes of more than one element up to which all orders are tried."""


@dataclass(frozen=True)
class Arrangement:
    """The way from a value to a blob and back; both have the same elements.

    Axes of one element are left out, then the axes of the side with more of them are permuted, and
    the result is reshaped into the other side.
    """

    value: Shape
    blob: Shape
    axes: tuple[int, ...]
    """Order of the axes, those of one element not counted."""
    turns_blob: bool = False
    """Whether the axes are the blob's, because the value has some of them merged."""

    @property
    def is_plain(self) -> bool:
        """Whether no element moves: a reshape is all."""
        return self.axes == tuple(range(len(self.axes)))

    @property
    def words(self) -> str:
        """The permutation, or nothing."""
        if self.is_plain:
            return ""
        return (
            f"axes {','.join(map(str, self.axes))} of the {'blob' if self.turns_blob else 'value'}"
        )

    def to_blob(self, array: Array) -> Array:
        """Return a value in the blob's layout."""
        if not self.turns_blob:
            return array.reshape(_squeezed(self.value)).transpose(self.axes).reshape(self.blob)
        inner = _squeezed(self.blob)
        turned = array.reshape([inner[axis] for axis in self.axes])
        return turned.transpose(np.argsort(self.axes)).reshape(self.blob)

    def to_value(self, array: Array) -> Array:
        """Return a blob in the value's layout."""
        if self.turns_blob:
            return array.reshape(_squeezed(self.blob)).transpose(self.axes).reshape(self.value)
        inner = _squeezed(self.value)
        turned = array.reshape([inner[axis] for axis in self.axes])
        return turned.transpose(np.argsort(self.axes)).reshape(self.value)


def arrangements(value: Sequence[int], blob: Sequence[int]) -> Iterator[Arrangement]:
    """Yield all ways in which a value may stand in a blob, the plain reshape first."""
    if math.prod(value) != math.prod(blob):
        return
    theirs, ours = _squeezed(tuple(value)), _squeezed(tuple(blob))
    turns_blob = len(ours) > len(theirs)
    fine, coarse = (ours, theirs) if turns_blob else (theirs, ours)
    if len(fine) > MAX_TURNED:
        return
    for axes in permutations(range(len(fine))):
        turned = [fine[axis] for axis in axes]
        if _ends(coarse) <= _ends(turned):
            yield Arrangement(tuple(value), tuple(blob), axes, turns_blob)


def ordered(
    value: Sequence[int], blob: Sequence[int], axes: tuple[int, ...], *, turns_blob: bool
) -> Arrangement | None:
    """Return the way that has a known order of the axes; None where these shapes have no such."""
    ways = arrangements(value, blob)
    return next((way for way in ways if (way.axes, way.turns_blob) == (axes, turns_blob)), None)


def plain(value: Shape, blob: Shape) -> Arrangement:
    """Return the way in which no element moves: a reshape of any number of axes.

    Raises:
        ValueError: no reshape can be right; the message is `shape (..) against (..)`.
    """
    check_reshape(blob, value)
    fine = max(_squeezed(value), _squeezed(blob), key=len)
    turns_blob = len(_squeezed(blob)) > len(_squeezed(value))
    return Arrangement(value, blob, tuple(range(len(fine))), turns_blob)


def _squeezed(shape: Shape) -> Shape:
    return tuple(extent for extent in shape if extent != 1)


def _ends(shape: Sequence[int]) -> frozenset[int]:
    """Return the element counts at which an axis ends, counted from the innermost one."""
    counts = set()
    count = 1
    for extent in reversed(shape):
        count *= extent
        counts.add(count)
    return frozenset(counts)
