"""Products of matrices, attention, recurrent layers."""

from __future__ import annotations

from itertools import product

from tests.definition.cases import ACTIVATIONS, Case, int8, int32, positive, within

_GEMM_FORMS = ((0, 0, 1.0, 1.0), (1, 0, 0.5, 2.0), (0, 1, 2.0, 0.5), (1, 1, 1.5, 1.0))
LINEAR = [
    *(
        Case("InnerProduct", {0: 5, 1: bias, 2: 5 * size, **activation}, (shape,))
        for activation in ACTIVATIONS
        for bias, shape, size in ((1, (24,), 24), (0, (3, 24), 24), (1, (2, 3, 4), 24))
    ),
    Case("InnerProduct", {0: 5, 1: 1, 2: 5 * 24}, ((6, 4),)),
    Case("InnerProduct", {0: 5, 1: 1, 2: 5 * 48}, ((2, 2, 3, 4),)),
    *(
        Case("Gemm", {0: alpha, 1: beta, 2: ta, 3: tb, 14: out, 11: n1m}, shapes)
        for ta, tb in product((0, 1), repeat=2)
        for out, n1m, alpha, beta in _GEMM_FORMS
        for c in ((), (1,), (6,), (4,), (6, 1), (6, 4), (1, 4))
        for shapes in [
            (((5, 6) if ta else (6, 5)), ((4, 5) if tb else (5, 4))) + ((c,) if c else ())
        ]
    ),
    *(
        Case("Gemm", {2: ta, 3: tb, 4: 1, 7: 6, 9: 5, 0: 0.5}, ((4, 5) if tb else (5, 4),))
        for ta, tb in product((0, 1), repeat=2)
    ),
    *(
        Case("Gemm", {2: ta, 3: tb, 5: 1, 8: 4, 9: 5, 0: 0.5}, ((5, 6) if ta else (6, 5),))
        for ta, tb in product((0, 1), repeat=2)
    ),
    *(
        Case(
            "Gemm",
            {3: 1, 5: 1, 6: 1, 7: 6, 8: 4, 9: 5, 10: kind, 0: 0.5, 1: 2.0, 14: out},
            ((6, 5),),
        )
        for kind, out in product((-1, 0, 1, 2, 3, 4), (0, 1))
    ),
    Case("Gemm", {4: 1, 5: 1, 7: 6, 8: 4, 9: 5, 3: 1}, ((6, 4),)),
    Case("Gemm", {3: 1}, ((6, 1, 5), (4, 1, 5))),
    *(
        Case("Gemm", {2: ta, 3: tb, 18: 2, 0: 0.5}, shapes)
        for ta, tb in product((0, 1), repeat=2)
        for shapes in [(((5, 6) if ta else (6, 5)), ((4, 5) if tb else (5, 4)), (6, 4))]
    ),
    Case(
        "Gemm",
        {3: 1, 5: 1, 6: 1, 8: 4, 9: 5, 10: 4, 18: 2, 0: 0.5, 1: 2.0},
        ((6, 5),),
        tensors={"B": int8, "B_scale": positive},
    ),
    Case("Gemm", {3: 1}, ((5,), (4, 5))),
    *(
        Case("MatMul", {0: transposed}, shapes)
        for transposed, shapes in (
            (0, ((5,), (5,))),
            (0, ((3, 5), (5, 4))),
            (1, ((3, 5), (4, 5))),
            (0, ((5,), (5, 4))),
            (1, ((5,), (4, 5))),
            (0, ((3, 5), (5,))),
            (0, ((5,), (2, 5, 4))),
            (0, ((5,), (2, 3, 5, 4))),
            (0, ((2, 3, 5), (5,))),
            (0, ((2, 6, 3, 5), (5,))),
            (0, ((2, 3, 5), (2, 5, 4))),
            (1, ((2, 3, 5), (2, 4, 5))),
            (0, ((2, 3, 5), (5, 4))),
            (0, ((3, 5), (2, 5, 4))),
            (0, ((1, 3, 5), (2, 5, 4))),
            (0, ((2, 3, 5), (1, 5, 4))),
            (0, ((2, 6, 3, 5), (2, 6, 5, 4))),
            (1, ((2, 6, 3, 5), (2, 6, 4, 5))),
            (0, ((2, 6, 3, 5), (6, 5, 4))),
            (0, ((6, 3, 5), (2, 6, 5, 4))),
            (0, ((2, 6, 3, 5), (5, 4))),
            (0, ((3, 5), (2, 6, 5, 4))),
            (0, ((2, 1, 3, 5), (1, 6, 5, 4))),
        )
    ),
    *(
        Case("Einsum", {0: tuple(map(ord, equation))}, shapes)
        for equation, shapes in (
            ("ik,kj->ij", ((3, 4), (4, 5))),
            ("ijl,ilk->ijk", ((2, 3, 4), (2, 4, 5))),
            ("ijm,mkl->ijkl", ((2, 3, 4), (4, 5, 2))),
            ("ji->ij", ((3, 4),)),
            ("ij->i", ((3, 4),)),
            ("i,j->ij", ((3,), (4,))),
            ("ijk,ijk->i", ((2, 3, 4), (2, 3, 4))),
            ("ii", ((4, 4),)),
        )
    ),
    *(Case("Embed", {0: 5, 1: 9, 2: bias, 3: 45}, ((6,),), values=int32(12)) for bias in (0, 1)),
    Case(
        "Embed",
        {0: 5, 1: 9, 2: 1, 3: 45, 18: 1},
        ((6,),),
        values=int32(12),
        tensors={"weight": int8, "weight_scale": positive},
    ),
]

_MASK = within(-2, 0)
ATTENTION = [
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 144}, ((5, 12),)),
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 144, 6: 0.4}, ((5, 12),)),
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 144}, ((5, 12), (7, 12))),
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 144, 3: 8, 4: 9}, ((5, 12), (7, 8), (7, 9))),
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 120, 3: 8, 4: 9}, ((5, 10), (7, 8), (7, 9))),
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 144, 5: 1}, ((5, 12), (5, 5))),
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 144, 5: 1}, ((5, 12), (3, 5, 5))),
    Case(
        "MultiHeadAttention",
        {0: 12, 1: 3, 2: 144, 3: 8, 4: 9, 5: 1},
        ((5, 12), (7, 8), (7, 9), (5, 7)),
    ),
    Case("MultiHeadAttention", {0: 12, 1: 3, 2: 144, 7: 1}, ((1, 12), (12, 4), (12, 4)), 3),
    Case("SDPA", {}, ((4, 5, 6), (4, 7, 6), (4, 7, 6))),
    Case("SDPA", {18: 1}, ((4, 5, 6), (2, 7, 6), (2, 7, 6))),
    Case("SDPA", {5: 1, 18: 1}, ((4, 5, 6), (4, 7, 6), (4, 7, 6), (5, 7))),
    Case("SDPA", {6: 0.3}, ((4, 5, 6), (2, 7, 6), (2, 7, 3))),
    Case("SDPA", {5: 1}, ((4, 5, 6), (4, 7, 6), (4, 7, 6), (5, 7))),
    Case("SDPA", {5: 1}, ((4, 5, 6), (2, 7, 6), (2, 7, 6), (4, 5, 7))),
    Case("SDPA", {5: 1}, ((4, 5, 6), (2, 7, 6), (2, 7, 6), (1, 5, 7))),
    Case("SDPA", {7: 1}, ((4, 1, 6), (2, 1, 6), (2, 1, 3), (2, 7, 6), (2, 7, 3)), 3),
    Case("SDPA", {5: 1, 7: 1}, ((4, 2, 6), (2, 2, 6), (2, 2, 3), (2, 9), (2, 7, 6), (2, 7, 3)), 3),
    *(Case("RotaryEmbed", {0: kind}, ((4, 5, 8), (5, 4), (5, 4))) for kind in (0, 1)),
]

RECURRENT = [
    *(
        Case(kind, {0: 5, 1: 5 * 7 * gates * (1 + direction // 2), 2: direction}, shapes, outputs)
        for kind, gates, states in (("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1))
        for direction in (0, 1, 2)
        for shapes, outputs in (
            (((6, 7),), 1),
            (((6, 7),), 1 + states),
            (((6, 7), *((1 + direction // 2, 5),) * states), 1 + states),
        )
    ),
    *(
        Case("LSTM", {0: 3, 1: 5 * 7 * 4 * (1 + way // 2), 2: way, 3: 5}, ((6, 7),), outputs)
        for way in (0, 1, 2)
        for outputs in (1, 3)
    ),
    Case("LSTM", {0: 3, 1: 140, 2: 0, 3: 5}, ((6, 7), (1, 3), (1, 5)), 3),
]

_INT8_ATTENTION = {f"{side}_weight": int8 for side in ("q", "k", "v", "out")} | {
    f"{side}_scale": within(30, 60) for side in ("q", "k", "v", "out")
}
_INT8_STEPS = {"weight_xc": int8, "weight_hc": int8} | {
    name: within(60, 90) for name in ("weight_xc_scale", "weight_hc_scale")
}
QUANTISED = [
    *(
        Case("MultiHeadAttention", {0: 12, 1: 3, **params, 18: 2}, shapes, tensors=_INT8_ATTENTION)
        for params, shapes in (
            ({2: 144}, ((5, 12),)),
            ({2: 144, 3: 8, 4: 9}, ((5, 12), (7, 8), (7, 9))),
            ({2: 120, 3: 8, 4: 9, 5: 1}, ((5, 10), (7, 8), (7, 9), (5, 7))),
        )
    ),
    *(
        Case(
            kind,
            {0: 5, 1: 5 * 7 * gates * (1 + direction // 2), 2: direction, 8: 1},
            ((6, 7),),
            tensors=_INT8_STEPS,
        )
        for kind, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1))
        for direction in (0, 1, 2)
    ),
]

CASES = [*LINEAR, *ATTENTION, *RECURRENT, *QUANTISED]
