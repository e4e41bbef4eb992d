"""Elements alone, two blobs element by element, and how these broadcast."""

from __future__ import annotations

from itertools import product

from tests.definition.cases import (
    IMAGE,
    MATRIX,
    RANKS,
    VECTOR,
    VOLUME,
    Case,
    Params,
    Shape,
    each,
    positive,
    within,
)

ELEMENTWISE = [
    *(
        case
        for kind in ("AbsVal", "BNLL", "Erf", "Mish", "Sigmoid", "Softplus", "Swish", "TanH")
        for case in each(kind, [{}], RANKS)
    ),
    *each("ReLU", [{}, {0: 0.25}], RANKS),
    *each("Clip", [{}, {0: -0.5, 1: 0.75}, {0: 0.0}], RANKS),
    *each("ELU", [{}, {0: 0.5}], RANKS),
    *each("SELU", [{}, {0: 1.5, 1: 0.5}], RANKS),
    *each("CELU", [{}, {0: 0.5}], RANKS),
    *each("GELU", [{}, {0: 1}], RANKS),
    *each("HardSigmoid", [{}, {0: 0.3, 1: 0.4}], RANKS),
    *each("HardSwish", [{}, {0: 0.3, 1: 0.4}], RANKS),
    *each("Shrink", [{}, {0: 0.25, 1: 0.3}], RANKS),
    *each("Threshold", [{}, {0: 0.5}], RANKS),
    *each("Dropout", [{}, {0: 0.5}], RANKS),
    *each("Exp", [{}, {0: 2.0, 1: 0.5, 2: 1.5}, {1: 0.5}], RANKS),
    *(
        Case(kind, params, (shape,), values=positive)
        for kind in ("Log", "Power")
        for params in ({}, {0: 2.5, 1: 0.5, 2: 1.5}, {1: 0.5})
        for shape in RANKS
    ),
    *(Case("PReLU", {0: size}, (shape,)) for shape in RANKS for size in (1, shape[0])),
    *each("GLU", [{0: 0}, {0: -1}], [(8,), (4, 6), (4, 5, 6)]),
    Case("GLU", {0: 1}, ((4, 6, 5),)),
]

_RANGES = {
    5: (0.0, 4.0),
    6: (0.1, 4.0),
    8: (0.1, 4.0),
    11: (-1.2, 1.2),
    12: (-1.0, 1.0),
    13: (-1.0, 1.0),
    15: (0.3, 4.0),
    17: (0.1, 4.0),
    25: (1.1, 4.0),
    26: (-0.9, 0.9),
    27: (-0.5, 4.0),
}
RSQRT = 6
UNARY = [
    Case(
        "UnaryOp",
        {0: kind},
        (shape,),
        values=within(*_RANGES.get(kind, (-3.0, 3.0))),
        # ncnn takes the CPU's estimate, of 12 bits, on x86.
        limit=4e-4 if kind == RSQRT else 1e-5,
    )
    for kind, shape in product(range(28), (MATRIX, IMAGE))
]

BROADCASTS: list[tuple[Shape, Shape]] = [
    *((shape, shape) for shape in RANKS),
    *((shape, (1,)) for shape in RANKS),
    *((shape, (shape[0],)) for shape in RANKS[1:]),
    *((shape, (shape[-1],)) for shape in RANKS[1:]),
    (IMAGE, (4, 5)),
    (VOLUME, (3, 4)),
    (VOLUME, (3, 4, 5)),
    (IMAGE, (4, 1, 1)),
    (IMAGE, (1, 5, 1)),
    (IMAGE, (1, 1, 7)),
    (IMAGE, (1, 5, 7)),
    (IMAGE, (4, 1, 7)),
    (VOLUME, (1, 4, 1, 7)),
    (VOLUME, (3, 1, 5, 1)),
    ((4, 1, 7), (1, 5, 1)),
    (MATRIX, (5, 1)),
    (MATRIX, (1, 7)),
    ((5, 1), (1, 7)),
    # A vector that fits both ways belongs to the outermost axis.
    ((5, 5), (5,)),
    ((4, 6, 4), (4,)),
]
_ELTWISE: list[Params] = [{0: 0}, {0: 1}, {0: 2}, {0: 1, 1: (0.5, -1.5, 2.0)}]
_POWERS: list[Params] = [{}, {0: 2.5, 1: 0.5, 2: 1.5}, {1: 0.5}]
COMBINING = [
    *(
        Case("BinaryOp", {0: kind}, shapes, values=positive)
        for kind in (0, 1, 3)
        for pair in BROADCASTS
        for shapes in dict.fromkeys((pair, pair[::-1]))
    ),
    *(Case("BinaryOp", {0: kind}, (IMAGE, IMAGE), values=positive) for kind in range(19)),
    *(
        Case("BinaryOp", {0: kind, 1: 1, 2: 1.75}, (shape,), values=positive)
        for kind, shape in product(range(19), (VECTOR, IMAGE))
    ),
    *(
        Case("Eltwise", params, (shape,) * count)
        for params in _ELTWISE
        for shape in RANKS
        for count in ((3,) if 1 in params else (2, 3))
    ),
    *(Case("Scale", {0: shape[0], 1: bias}, (shape,)) for shape in RANKS for bias in (0, 1)),
    *(Case("Scale", {0: -233}, (shape, (shape[0],))) for shape in RANKS),
    *(Case("Bias", {0: shape[0]}, (shape,)) for shape in RANKS),
]

CASES = [*ELEMENTWISE, *UNARY, *COMBINING]
