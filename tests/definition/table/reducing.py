"""Reductions, normalisations, pooling."""

from __future__ import annotations

from itertools import product

from tests.definition.cases import (
    IMAGE,
    RANKS,
    Case,
    Params,
    each,
    normal,
    positive,
)

AXES: dict[int, list[tuple[int, ...]]] = {
    1: [(0,)],
    2: [(0,), (1,), (0, 1)],
    3: [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (-1,), (0, 1, 2)],
    4: [(0,), (1,), (2,), (3,), (0, 1), (1, 2), (2, 3), (0, 3), (1, 3), (0, 2), (1, 2, 3)],
}
REDUCING = [
    *(
        Case("Reduction", {0: kind, 1: 0, 3: axes, 4: keep, 5: 1}, (shape,), values=positive)
        for kind, keep in ((0, 0), (0, 1), (3, 0), (8, 1))
        for shape in RANKS
        for axes in AXES[len(shape)]
    ),
    *(
        Case("Reduction", {0: kind, 1: 1, 2: 1.5}, (shape,), values=positive)
        for kind, shape in product(range(11), RANKS)
    ),
    *(
        Case("Reduction", {0: kind, 1: 0, 3: (1, 2), 5: 1}, (IMAGE,), values=normal)
        for kind in (1, 2, 4, 5, 6, 7, 8, 10)
    ),
    *(
        Case("Softmax", {0: axis, 1: 1}, (shape,))
        for shape in RANKS
        for axis in (*range(len(shape)), -1)
    ),
    *each("ArgMax", [{}, {0: 1}, {1: 3}, {0: 1, 1: 3}], [(8,), (4, 7), (3, 4, 5)]),
    *(
        Case("CumulativeSum", {0: axis}, (shape,))
        for shape in RANKS[:3]
        for axis in (*range(len(shape)), -1)
    ),
]

NORMALISING = [
    *(
        Case(kind, {0: size, 1: 1e-4, 2: affine}, (shape,))
        for kind in ("LayerNorm", "RMSNorm")
        for shape, size in (
            ((7,), 7),
            ((5, 7), 7),
            ((4, 5, 7), 7),
            ((4, 5, 7), 35),
            ((3, 4, 5, 7), 7),
            ((3, 4, 5, 7), 35),
            ((3, 4, 5, 7), 140),
        )
        for affine in (0, 1)
    ),
    *(
        Case("GroupNorm", {0: 2, 1: shape[0], 2: 1e-4, 3: affine}, (shape,))
        for shape in ((8,), (6, 7), (4, 5, 7), (4, 3, 5, 7))
        for affine in (0, 1)
    ),
    *(
        Case("InstanceNorm", {0: 4, 1: 1e-4, 2: affine}, (shape,))
        for shape in (IMAGE, (4, 3, 5, 7))
        for affine in (0, 1)
    ),
    *(
        Case("BatchNorm", {0: shape[0], 1: 1e-4}, (shape,), tensors={"variance": positive})
        for shape in RANKS
    ),
    *each("MVN", [{}, {0: 1}, {1: 1}, {0: 1, 1: 1, 2: 0.01}], RANKS[1:]),
    *(
        Case("Normalize", {0: spatial, 4: channel, 1: shared, 2: 0.01, 9: mode, 3: size}, (shape,))
        for spatial, channel in ((0, 1), (1, 0), (1, 1))
        for mode in (0, 1, 2)
        for shared in (0, 1)
        for shape in RANKS[1:]
        for size in [1 if shared or len(shape) < 3 else shape[0]]
    ),
    *each("LRN", [{}, {1: 3, 2: 0.5, 3: 0.5, 4: 2.0}, {0: 1, 1: 3}, {0: 1}], [(8, 7, 9)]),
]

_POOLING: list[Params] = [
    {1: 3, 2: 2},
    {1: 3, 2: 2, 3: 1},
    {1: 2, 2: 2, 5: 1},
    {1: 3, 2: 2, 3: 1, 5: 1},
    {1: 3, 2: 2, 5: 2},
    {1: 3, 2: 2, 5: 3},
    {1: 3, 2: 1, 3: 1, 5: 1},
    {4: 1},
    {7: 1, 8: 3},
    {7: 1, 8: 1},
]
_PLANE: list[Params] = [
    {1: 3, 11: 2, 2: 2, 12: 1, 3: 1, 14: 0, 13: 0, 15: 1},
    {7: 1, 8: 3, 18: 2},
    {7: 1, 8: -233, 18: 2},
]
POOLING = [
    Case(kind, {0: average, **params} | counted, (shape,))
    for kind, shape, given in (
        ("Pooling1D", (4, 11), _POOLING),
        ("Pooling", (4, 8, 11), _POOLING + _PLANE),
        ("Pooling3D", (3, 6, 8, 11), _POOLING),
    )
    for params in given
    for average in (0, 1)
    for counted in (({}, {6: 1}) if average and 1 in params else ({},))
]

CASES = [*REDUCING, *NORMALISING, *POOLING]
