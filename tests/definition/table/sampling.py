"""Values between elements, windows, diagonals."""

from __future__ import annotations

from itertools import product

from tests.definition.cases import RANKS, Case, Params, each, normal, within

_SPECTRA: list[Params] = [
    {},
    {1: 1},
    {1: 2, 2: 3, 3: 6, 4: 1},
    {1: 0, 3: 5, 4: 2, 7: 1},
    {1: 1, 4: 1, 7: 2, 6: 0},
    {1: 1, 5: 0, 8: 0},
    {1: 0, 6: 1, 8: 0},
]
_INVERSE: list[Params] = [
    {},
    {1: 1},
    {1: 2, 2: 3, 3: 6, 4: 1},
    {1: 0, 3: 5, 4: 2, 7: 1},
    {1: 1, 4: 1, 7: 2},
    {1: 1, 5: 0},
]
SAMPLING = [
    *(
        Case("Interp", {0: kind, **params}, (shape,))
        for kind in (1, 2, 3)
        for shape in ((4, 6), (3, 5, 6))
        for params in (
            {1: 2.0, 2: 2.0},
            {1: 1.5, 2: 0.7},
            {3: 9, 4: 13},
            {3: 4, 4: 5},
            {3: 9, 4: 13, 6: 1},
            {1: 2.0, 2: 3.0, 6: 1},
        )
        # Releases to 20260526 go by the sizes there, see ncnn issue #6836.
        if kind == 1 or params.get(1) != 1.5
    ),
    Case("Interp", {0: 2, 3: 4, 4: 5}, ((3,),)),
    # Of kind 1 they go by a scale that is not given.
    *(Case("Interp", {0: kind, 5: 1}, ((3, 5, 6), (2, 10, 9))) for kind in (2, 3)),
    Case("Interp", {0: 2, 3: 4, 4: 9}, ((3, 1, 1),)),
    *(
        Case(
            "GridSample",
            {0: kind, 1: padding, 2: corners, 3: permuted},
            shapes,
            values=(normal, within(-1.4, 1.4)),
        )
        for kind, padding, corners in product((1, 2, 3), (1, 2, 3), (0, 1))
        for permuted, shapes in (
            (0, ((3, 5, 6), (4, 7, 2))),
            (1, ((3, 5, 6), (2, 4, 7))),
            (0, ((3, 4, 5, 6), (2, 4, 7, 3))),
            (1, ((3, 4, 5, 6), (3, 2, 4, 7))),
        )
        if kind < 3 or len(shapes[0]) == 3
    ),
]

GATHERING = [
    *each(
        "Unfold",
        [
            {1: 3},
            {1: 3, 3: 2, 4: 1, 18: 0.5},
            {1: 3, 11: 2, 2: 2, 12: 1, 4: 1},
            {1: 3, 3: 2, 4: -233},
        ],
        [(4, 8, 11)],
    ),
    Case("Fold", {1: 3, 20: 9, 21: 6}, ((36, 28),)),
    Case("Fold", {1: 3, 3: 2, 4: 1, 20: 9, 21: 7}, ((36, 20),)),
    *each("Diag", [{}, {0: 1}, {0: -2}], [(5,), (4, 6), (6, 4)]),
    *each("StatisticsPooling", [{}, {0: 1}], RANKS[2:]),
]

_SIGNAL = (40,)
SPECTRA = [
    *(
        Case("Spectrogram", {0: size, **params}, (_SIGNAL,))
        for size in (8, 9)
        for params in _SPECTRA
    ),
    *(
        Case("InverseSpectrogram", {0: size, **params}, ((freqs, 7, 2),))
        for size, freqs in ((8, 5), (8, 8), (9, 5))
        for params in _INVERSE
    ),
]

CASES = [*SAMPLING, *GATHERING, *SPECTRA]
