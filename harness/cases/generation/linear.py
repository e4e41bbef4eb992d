"""Products of matrices, and tables of words."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from harness.cases.generation.pools import ACTIVATIONS, INNER, LENGTHS, WEIGHTS
from harness.cases.generation.sketch import Sketch, weighted

if TYPE_CHECKING:
    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase, Shape

MAX_PRODUCTS = 1_000_000
_M = (1, 2, 3, 4, 5, 7, 8, 8, 9, 12, 15, 16, 17, 20, 31, 32, 33, 40)
_N = (1, 2, 3, 4, 5, 7, 8, 8, 9, 12, 13, 15, 16, 17, 20, 24, 31, 32, 33, 64)
_K = (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 24, 31, 32, 33, 64, 100)


def _inner_product(case: LayerCase, choice: Choice) -> LayerCase | None:
    return case.with_params(choice["activation"])


def _inner_product_fit(case: LayerCase) -> LayerCase | None:
    outputs = case.layer.integer(0, 0)
    shape = case.shapes[0]
    if outputs < 1:
        return None
    # A matrix is taken row by row if its rows are as long as the weights.
    size = shape[-1] if len(shape) == 2 else prod(shape)
    if outputs * prod(shape) > MAX_PRODUCTS:
        return None
    case = case.with_params({2: outputs * size})
    if not case.layer.integer(9, 0):
        case = case.with_params({9: None, 10: None})
    return int8_or(case, 8)


def int8_or(case: LayerCase, key: int) -> LayerCase | None:
    """Return the case, with what goes with eight bits if the parameter is set."""
    if not case.layer.integer(key, 0):
        return case
    if "denormal" in (*case.values, case.weights):
        return None
    return replace(case, storage="fp32")


def _gemm(case: LayerCase, choice: Choice) -> LayerCase | None:
    """Give a product its operands: constants by parameters, others by inputs."""
    m, n, k = choice["m"], choice["n"], choice["k"]
    if m * n * k > MAX_PRODUCTS:
        return None
    plain = case.plain
    shapes: list[Shape] = []
    if not plain.get(4):
        shapes.append((k, m) if plain.get(2) else (m, k))
    if not plain.get(5):
        shapes.append((n, k) if plain.get(3) else (k, n))
    form = choice["c"]
    forms: dict[Any, Shape] = {0: (1,), 1: (m,), 2: (m, 1), 3: (m, n), 4: (1, n), "n": (n,)}
    if plain.get(6):
        case = case.with_params({10: form if isinstance(form, int) else -1})
    elif form in forms:
        shapes.append(forms[form])
    changes = {7: m, 8: n, 9: k}
    return replace(case, shapes=tuple(shapes)).with_params(changes)


def _gemm_fit(case: LayerCase) -> LayerCase | None:
    """Let the sizes that are given follow from the inputs."""
    layer = case.layer
    constant = [layer.integer(key, 0) for key in (4, 5, 6)]
    shapes = list(case.shapes)
    if len(shapes) < 2 - sum(constant[:2]) or (not all(constant) and not shapes):
        return None
    sizes = {key: layer.integer(key, 0) for key in (7, 8, 9)}
    for place, trans, keys in ((0, 2, (7, 9)), (1, 3, (9, 8))):
        if constant[place]:
            continue
        shape = shapes.pop(0)
        if len(shape) != 2:
            return None
        pair = shape[::-1] if layer.integer(trans, 0) else shape
        sizes |= dict(zip(keys, pair, strict=True))
    if any(sizes[key] < 1 for key in (7, 8, 9)) or len(shapes) > (not constant[2]):
        return None
    # A size that no constant needs is zero in models.
    needed = {7: constant[0] or constant[2], 8: constant[1] or constant[2], 9: sum(constant[:2])}
    changes = {key: (sizes[key] if needed[key] else None) for key in sizes}
    case = case.with_params({**changes, **({} if constant[2] else {10: None})})
    if not any(constant):
        case = replace(case, storage="fp32", weights="normal")
    return int8_or(case, 18)


def _mat_mul(case: LayerCase, choice: Choice) -> LayerCase | None:
    m, n, k, (left, right) = choice["m"], choice["n"], choice["k"], choice["batches"]
    a: Shape = (k,) if left is None else (*left, m, k)
    pair = (n, k) if case.plain.get(0) else (k, n)
    b: Shape = (k,) if right is None else (*right, *pair)
    if prod(a) * prod(b) // k > MAX_PRODUCTS:
        return None
    return replace(case, shapes=(a, b))


_EQUATIONS = {
    "ik,kj->ij": ("ik", "kj"),
    "ijl,ilk->ijk": ("ijl", "ilk"),
    "ijm,mkl->ijkl": ("ijm", "mkl"),
    "ji->ij": ("ji",),
    "ij->i": ("ij",),
    "i,j->ij": ("i", "j"),
    "ijk,ijk->i": ("ijk", "ijk"),
    "ii": ("ii",),
}


def _einsum(case: LayerCase, choice: Choice) -> LayerCase | None:
    equation = choice["equation"]
    sizes = dict(zip("ijklm", choice["sizes"], strict=True))
    shapes = tuple(tuple(sizes[c] for c in term) for term in _EQUATIONS[equation])
    return replace(case, shapes=shapes).with_params({0: tuple(map(ord, equation))})


def _embed(case: LayerCase) -> LayerCase | None:
    layer = case.layer
    outputs, words = layer.integer(0, 0), layer.integer(1, 0)
    if min(outputs, words) < 1 or len(case.shapes[0]) != 1:
        return None
    case = replace(case, values=(f"int32-{words + 2}",)).with_params({3: outputs * words})
    return int8_or(case, 18)


SKETCHES: dict[str, Sketch] = {
    "InnerProduct": weighted(
        # A matrix has kernels of its own for each packing of its rows and of the outputs.
        ranks=(1, 2, 2, 2, 3, 4),
        outer=(*LENGTHS, 512),
        inner=INNER[:11],
        params={
            0: (1, 3, 4, 5, 7, 8, 8, 12, 15, 16, 16, 17, 24, 32, 33, 65),
            1: (None, 0, 1, 1),
            8: (*(None,) * 5, 1, 2),
        },
        more={"activation": ACTIVATIONS},
        arrange=_inner_product,
        fit=_inner_product_fit,
    ),
    "Gemm": weighted(
        ranks=(),
        params={
            0: (None, None, None, 0.5, 2.0),
            1: (None, None, None, 0.5, 2.0),
            2: (None, 0, 1, 1),
            3: (None, 0, 1),
            4: (None, None, 1),
            5: (None, None, 1),
            6: (None, None, 1),
            11: (None, None, None, 1),
            14: (None, None, None, 1),
            18: (*(None,) * 5, 2, 2),
        },
        more={"m": _M, "n": _N, "k": _K, "c": (-1, None, None, 0, 1, 2, 3, 4, "n")},
        arrange=_gemm,
        fit=_gemm_fit,
    ),
    "MatMul": Sketch(
        ranks=(),
        params={0: (None, 0, 1)},
        more={
            "m": _M,
            "n": _N,
            "k": _K,
            "batches": (
                ((), ()),
                ((), ()),
                (None, None),
                (None, ()),
                ((), None),
                (None, (3,)),
                ((3,), None),
                (None, (2, 3)),
                ((2, 3), None),
                ((3,), (3,)),
                ((8,), (8,)),
                ((3,), ()),
                ((), (3,)),
                ((1,), (3,)),
                ((3,), (1,)),
                ((2, 3), (2, 3)),
                ((2, 3), (3,)),
                ((3,), (2, 3)),
                ((2, 3), ()),
                ((), (2, 3)),
                ((2, 1), (1, 3)),
            ),
        },
        arrange=_mat_mul,
    ),
    "Einsum": Sketch(
        ranks=(),
        more={
            "equation": tuple(_EQUATIONS),
            "sizes": ((2, 3, 4, 5, 6), (4, 4, 8, 3, 5), (1, 5, 3, 2, 4), (8, 7, 4, 1, 3)),
        },
        arrange=_einsum,
    ),
    "Embed": weighted(
        ranks=(1,),
        outer=(1, 2, 3, 5, 8, 17, 33),
        params={
            0: (1, 3, 4, 5, 8, 15, 16, 33),
            1: (1, 2, 9, 40),
            2: (None, 0, 1),
            18: (None, None, None, 1),
        },
        fit=_embed,
        values=("int32-9",),
        weights=WEIGHTS,
    ),
}
