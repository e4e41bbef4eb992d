"""Extents and kinds of numbers that cases are drawn from, the simplest first.

Candidates that stand several times are taken more often.
"""

from __future__ import annotations

from itertools import product
from typing import Any

CHANNELS = (1, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 24, 28, 31, 32, 33)
"""Extents of the outermost axis, in which ncnn packs by 4, 8 or 16, with all remainders."""
PACKED = (*CHANNELS, 4, 8, 12, 16, 24, 32)
"""The same, more often without a remainder: where each packing has code of its own."""
FEW = (1, 2, 3, 4, 6, 8, 12, 16)
INNER = (
    (1, 1, 1),
    (2, 1, 2),
    (3, 2, 3),
    (1, 3, 5),
    (2, 4, 4),
    (3, 5, 7),
    (2, 6, 6),
    (2, 8, 8),
    (3, 7, 9),
    (2, 11, 13),
    (1, 16, 16),
    (2, 1, 17),
    (2, 17, 1),
    (1, 24, 25),
)
"""Extents of the other axes; a blob of fewer axes has the last ones."""
LENGTHS = (*CHANNELS, 2, 6, 64, 100, 129, 255)
"""Extents of vectors, and of what is added up."""

VALUES = (*("normal",) * 5, "uniform", "tiny", "huge", "zeros", "outlier", "denormal")
TAME = (*("normal",) * 4, "uniform", "tiny", "zeros", "outlier")
"""Where large numbers say nothing, as of exponentials."""
POSITIVE = (*("positive",) * 4, "uniform")
WEIGHTS = (*("normal",) * 6, "tiny", "huge", "zeros", "outlier", "denormal")

ACTIVATIONS: tuple[dict[int, Any], ...] = (
    {},
    {},
    {},
    {9: 1},
    {9: 2, 10: (0.25,)},
    {9: 3, 10: (-0.5, 1.5)},
    {9: 4},
    {9: 5},
    {9: 6, 10: (0.2, 0.5)},
)
"""Parameters of what is fused."""

AXES = (0, 1, 2, 3, -1, -2, -3, -4)


def is_axis(axis: object, ndim: int) -> bool:
    """Return whether a blob of so many axes has an axis, perhaps counted from the end."""
    return isinstance(axis, int) and -ndim <= axis < ndim


def subsets(ndim: int) -> tuple[tuple[int, ...], ...]:
    """Return every set of axes but the empty one."""
    bits = product((0, 1), repeat=ndim)
    sets = (tuple(axis for axis, bit in enumerate(each) if bit) for each in bits)
    return tuple(sorted((s for s in sets if s), key=lambda s: (len(s), s)))
