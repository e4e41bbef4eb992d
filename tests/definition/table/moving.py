"""Elements that only move: shapes, orders of axes, parts of blobs."""

from __future__ import annotations

from itertools import permutations

from tests.definition.cases import IMAGE, MATRIX, RANKS, VECTOR, VOLUME, Case, Params, Shape, each

RESHAPES: list[tuple[Shape, Params]] = [
    ((24,), {0: 24}),
    ((2, 3, 4), {0: -1}),
    ((2, 3, 4), {0: 24}),
    ((24,), {0: 4, 1: -1}),
    ((24,), {0: -1, 1: 6}),
    ((24,), {0: 4, 1: 3, 2: 2}),
    ((24,), {0: 4, 1: 3, 2: -1}),
    ((24,), {0: 4, 1: -1, 2: 2}),
    ((24,), {0: 2, 1: 3, 11: 2, 2: 2}),
    ((24,), {0: 2, 1: 3, 11: -1, 2: 2}),
    ((4, 3, 2), {0: 0, 1: -1}),
    ((4, 3, 2), {0: 0, 1: 0, 2: -1}),
    ((4, 3, 2), {0: -1, 1: 2, 2: 0}),
    ((4, 3, 2), {0: 3, 1: 2, 2: 4}),
    ((2, 3, 4, 5), {0: 0, 1: -1}),
    ((2, 3, 4, 5), {0: 0, 1: 0, 2: -1}),
    ((2, 3, 4, 5), {0: 5, 1: 0, 11: 3, 2: -1}),
    ((6, 4), {0: 2, 1: 2, 2: -1}),
    ((6, 4), {0: 0, 1: 2, 11: 3, 2: -1}),
]
SHAPING = [
    *(Case("Reshape", params, (shape,)) for shape, params in RESHAPES),
    *each("Flatten", [{}], RANKS),
    *(
        Case("Permute", {0: order}, (shape,))
        for shape in RANKS
        for order in range(len(list(permutations(shape))))
    ),
    *each("Squeeze", [{0: 1}, {1: 1}, {2: 1}, {0: 1, 1: 1, 2: 1, 11: 1}], [(1, 5, 1), (3, 1, 7)]),
    *each("Squeeze", [{11: 1}, {3: (1,)}, {3: (0, -1)}], [(1, 1, 5, 1), (3, 1, 4, 7)]),
    *each("Squeeze", [{3: (0,)}], [(1,), (1, 7), (1, 1, 7)]),
    *each("ExpandDims", [{}, {3: (0,)}, {3: (-1,)}], RANKS[:3]),
    *each("ExpandDims", [{3: (0, 1)}, {3: (1, 2)}, {3: (0, -1)}], RANKS[:2]),
    *each("ExpandDims", [{3: (0, 1, 2)}, {3: (0, 2, 3)}], RANKS[:1]),
    *each("PixelShuffle", [{0: 2}, {0: 2, 1: 1}], [(8, 3, 5)]),
    *each("Reorg", [{0: 2}, {0: 2, 1: 1}], [(3, 4, 6)]),
    *each("ShuffleChannel", [{0: 2}, {0: 3}, {0: 2, 1: 1}], [(6, 3, 5), (6, 2, 3, 5)]),
    *each("Flip", [{0: (0,)}, {0: (-1,)}], RANKS),
    *each("Flip", [{0: (0, 1)}, {0: (1, 2)}], RANKS[2:]),
    *(Case("Split", {}, (shape,), outputs=2) for shape in RANKS),
    Case("Noop", {}, (IMAGE,)),
]

PARTS = [
    *(
        Case("Concat", {0: axis}, (shape, other, shape))
        for shape in RANKS
        for axis in (*range(len(shape)), -1)
        for other in [tuple(n + (i == axis % len(shape)) for i, n in enumerate(shape))]
    ),
    *(
        Case("Slice", {0: sizes, 1: axis}, (shape,), outputs=len(sizes))
        for shape in RANKS
        for axis in (*range(len(shape)), -1)
        for sizes in ((-233, -233), (1, -233), (1, 1, -233))
        if shape[axis] >= len(sizes)
    ),
    *(
        Case("Slice", {1: axis, 2: indices}, (shape,), outputs=len(indices) + 1)
        for shape in RANKS
        for axis in (0, -1)
        for indices in ((1,), (-1,), (1, 2))
    ),
    *(
        Case("Crop", params, (shape,))
        for shape in RANKS[2:]
        for params in (
            {0: 1, 1: 2, 2: 1, 3: 3, 4: 2, 5: 2, 13: 1, 14: 2},
            {0: 1, 3: -233, 4: -233, 5: -233, 14: -233, 6: 2, 7: 1, 8: 1, 15: 1},
            {9: (1,), 10: (3,), 11: (0,)},
            {9: (1, 0), 10: (-1, -233), 11: (1, -1)},
            {9: (-3,), 10: (-1,), 11: (-1,)},
        )
    ),
    *each("Crop", [{9: (1, 2), 10: (4, 6)}, {0: 1, 1: 1, 3: 3, 4: 2}], [MATRIX]),
    *each("Crop", [{9: (1,), 10: (-1,)}, {0: 1, 3: 3}], [VECTOR]),
    Case("Crop", {0: 1, 1: 2, 2: 1}, (IMAGE, (2, 2, 3))),
    Case("Crop", {0: 1, 1: 2}, (IMAGE, (2, 3))),
    Case("Crop", {0: 1, 1: 2, 13: 1}, (VOLUME, (3, 2, 2, 3))),
    Case("Crop", {0: 2}, (VECTOR, (3,))),
    Case("CopyTo", {0: 1, 1: 2, 2: 1}, (IMAGE, (2, 2, 3))),
    Case("CopyTo", {0: 1, 1: 2, 13: 1}, (VOLUME, (3, 2, 2, 3))),
    Case("CopyTo", {9: (2, -3), 11: (1, 2)}, (IMAGE, (4, 2, 2))),
    Case("CopyTo", {9: (1, 2)}, (MATRIX, (2, 3))),
    Case("CopyTo", {0: 2}, (VECTOR, (3,))),
    *each(
        "Padding",
        [
            {0: 1, 1: 2, 2: 3, 3: 1, 5: 0.5},
            {0: 1, 1: 2, 2: 2, 3: 1, 4: 1},
            {0: 1, 1: 2, 2: 2, 3: 1, 4: 2},
        ],
        RANKS[1:],
    ),
    *each("Padding", [{2: 3, 3: 1, 5: 0.5, 4: kind} for kind in (0, 1, 2)], RANKS),
    *each("Padding", [{7: 1, 8: 2, 2: 1, 4: kind} for kind in (0, 1, 2)], RANKS[2:]),
    Case("Padding", {0: 1, 1: 1, 2: 2, 3: 1, 6: 4}, (IMAGE,)),
    Case("Padding", {0: 1, 1: 1, 2: 2, 3: 1, 6: 7, 7: 1, 8: 2}, (IMAGE,)),
    Case("Padding", {0: 1, 1: 1, 2: 2, 3: 1, 6: 3, 7: 1}, (VOLUME,)),
    *(Case("Tile", {0: axis, 1: 3}, (shape,)) for shape in RANKS for axis in range(len(shape))),
    *each("Tile", [{2: (2,)}, {2: (3, 2)}, {2: (2, 3, 2)}, {2: (2, 1, 2, 3)}], RANKS),
    Case("MemoryData", {0: 7}, ()),
    Case("MemoryData", {0: 7, 1: 5}, ()),
    Case("MemoryData", {0: 7, 1: 5, 2: 4}, ()),
    Case("MemoryData", {0: 7, 1: 5, 11: 2, 2: 4}, ()),
    Case("MemoryData", {0: 7, 1: 5, 2: 4, 21: 0}, ()),
]

CASES = [*SHAPING, *PARTS]
