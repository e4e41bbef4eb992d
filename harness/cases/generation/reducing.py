"""Reductions, normalisations, pooling."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from harness.cases.generation.pools import (
    AXES,
    LENGTHS,
    PACKED,
    TAME,
    VALUES,
    WEIGHTS,
    is_axis,
    subsets,
)
from harness.cases.generation.sketch import Sketch, along

if TYPE_CHECKING:
    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase

_SETS = tuple(dict.fromkeys(s for n in (1, 2, 3, 4) for s in subsets(n)))
_LOGS, _EXPONENTIALS, _PRODUCTS = 9, 10, 6


def _reduction(case: LayerCase, choice: Choice) -> LayerCase | None:
    axes = choice["axes"]
    if axes is None:
        return case.with_params({1: 1})
    return case.with_params({1: 0, 3: axes, 5: 1})


def _reduction_fit(case: LayerCase) -> LayerCase | None:
    kind, axes = case.layer.integer(0, 0), case.plain.get(3, ())
    if not isinstance(axes, tuple) or not all(is_axis(a, len(case.shapes[0])) for a in axes):
        return None
    if kind == _LOGS:
        return replace(case, values=("positive",))
    if kind in (_EXPONENTIALS, _PRODUCTS) and set(case.values) & {"huge", "outlier"}:
        return None
    return case


def _softmax(case: LayerCase) -> LayerCase | None:
    """An axis is only read where 1=1 stands; without, models mean the first one."""
    axis = case.plain.get(0, 0)
    return case if is_axis(axis, len(case.shapes[0])) and (case.plain.get(1) or not axis) else None


def _arg_max(case: LayerCase) -> LayerCase | None:
    """Equal numbers have no order among them that is worth knowing."""
    return case if case.layer.integer(1, 1) <= prod(case.shapes[0]) else None


def _rows(case: LayerCase, choice: Choice) -> LayerCase | None:
    shape = case.shapes[0]
    count = choice["axes"]
    if count > max(1, len(shape) - 1):
        return None
    return case.with_params({0: prod(shape[-count:])})


def _rows_fit(case: LayerCase) -> LayerCase | None:
    """The size is that of some inner axes."""
    shape = case.shapes[0]
    sizes = [prod(shape[-count:]) for count in range(1, max(2, len(shape)))]
    size = case.plain.get(0) if case.plain.get(0) in sizes else sizes[0]
    # One number alone is its own mean: what is left of it is chance.
    return None if size == 1 else case.with_params({0: size})


def _group_norm(case: LayerCase, choice: Choice) -> LayerCase | None:
    group, per = choice["group"], choice["per group"]
    shape = (group * per, *case.shapes[0][1:])
    return replace(case, shapes=(shape,)).with_params({0: group})


def _group_norm_fit(case: LayerCase) -> LayerCase | None:
    shape, group = case.shapes[0], case.layer.integer(0, 1)
    return None if prod(shape) == group else case.with_params({1: shape[0]})


def _instance_norm_fit(case: LayerCase) -> LayerCase | None:
    shape = case.shapes[0]
    return None if prod(shape[1:]) == 1 else case.with_params({0: shape[0]})


def _batch_norm_fit(case: LayerCase) -> LayerCase | None:
    return case.with_params({0: case.shapes[0][0]})


def _normalize(case: LayerCase) -> LayerCase | None:
    shared = case.layer.integer(1, 0)
    shape = case.shapes[0]
    return case.with_params({3: 1 if shared or len(shape) < 3 else shape[0]})


def _lrn(case: LayerCase) -> LayerCase | None:
    """Half as many on both sides: of an odd number, as in all libraries."""
    return case if case.layer.integer(1, 5) % 2 else None


def _pooling(case: LayerCase, choice: Choice) -> LayerCase | None:
    way = choice["way"]
    if way == "global":
        return case.with_params({**dict.fromkeys(_WINDOW), 4: 1})
    if way == "adaptive":
        keys = (8, 18, 28)[: len(case.shapes[0]) - 1]
        sizes = dict(zip(keys, choice["sizes"], strict=False))
        if len(keys) == 1 and sizes[8] < 1:
            return None
        return case.with_params({**dict.fromkeys(_WINDOW), 7: 1, **sizes})
    if way in _HALVING:
        changes = {**dict.fromkeys(_WINDOW), 1: _HALVING[way], 2: 2}
        kept = {key: case.plain.get(key) for key in (3, 5, 6)}
        return case.with_params({**changes, **kept})
    return case


_WINDOW = (1, 2, 3, 5, 6, 11, 12, 13, 14, 15, 16, 21, 22, 23)
_SAME_MODES = (2, 3)
_HALVING = {"halving by two": 2, "halving by three": 3}
"""Kernels by the step of two, the most usual, for which there is code of their own."""


def _pooling_fit(case: LayerCase) -> LayerCase | None:
    """Pad by less than half of the kernel, as all libraries ask for."""
    layer = case.layer
    if layer.integer(4, 0) or layer.integer(7, 0):
        return case
    if layer.integer(5, 0) in _SAME_MODES:
        return case.with_params(dict.fromkeys((3, 13, 14, 15, 16, 23)))
    width = layer.integer(1, 1)
    left = layer.integer(3, 0)
    kernels = (width, layer.integer(11, width), layer.integer(21, width))
    before = (left, layer.integer(13, left), layer.integer(23, left))
    after = [layer.integer(key, b) for key, b in zip((14, 15, 16), before, strict=True)]
    pairs = zip(kernels, before, after, strict=True)
    axes = list(pairs)[: len(case.shapes[0]) - 1]
    return case if all(2 * max(b, a) <= k for k, b, a in axes) else None


def _mvn(case: LayerCase) -> LayerCase | None:
    """Let there be more than one number to have a deviation."""
    shape = case.shapes[0]
    across = case.layer.integer(1, 0) or len(shape) < 3
    return None if prod(shape if across else shape[1:]) == 1 else case


def _pool(ndim: int) -> Sketch:
    rare = (None,) * 4
    params: dict[int, tuple[Any, ...]] = {
        0: (0, 1),
        1: (2, 1, 3, 3, 5, 5, 7),
        2: (None, 1, 2, 2, 3),
        3: (None, None, 0, 1, 2),
        5: (None, 0, 1, 2, 3),
        6: (None, None, 0, 1),
        14: (*rare, 0, 1),
    }
    if ndim > 1:
        params |= {11: (*rare, 1, 2, 3), 12: (*rare, 1, 2), 13: (*rare, 0, 1), 15: (*rare, 0, 1)}
    if ndim > 2:
        params |= {21: (*rare, 1, 2), 22: (*rare, 1, 2), 23: (*rare, 0, 1), 16: (*rare, 0, 1)}
    return Sketch(
        ranks=(ndim + 1,),
        outer=PACKED,
        params=params,
        more={
            "way": (*("window",) * 5, *tuple(_HALVING) * 2, "global", "adaptive"),
            "sizes": ((1, 1, 1), (3, 2, 1), (2, 3, 2), (-233, 2, 2), (4, -233, 1), (5, 4, 3)),
        },
        arrange=_pooling,
        fit=_pooling_fit,
    )


_EPSILON = (None, 1e-5, 0.01)
_AFFINE = (None, 0, 1)
_NORMS: dict[str, Any] = {"weights": WEIGHTS}
_ROW_NORM = Sketch(
    outer=LENGTHS,
    params={1: _EPSILON, 2: _AFFINE},
    more={"axes": (1, 2, 3)},
    arrange=_rows,
    fit=_rows_fit,
    **_NORMS,
)

SKETCHES: dict[str, Sketch] = {
    "Reduction": Sketch(
        params={0: tuple(range(11)), 2: (None, None, 1.5), 4: (None, 0, 1)},
        more={"axes": (None, *_SETS, (-1,), (-2,), (0, -1))},
        arrange=_reduction,
        fit=_reduction_fit,
        values=(*VALUES, "positive"),
    ),
    "Softmax": Sketch(
        outer=LENGTHS,
        params={0: (None, *AXES), 1: (1, 1, 1, None)},
        fit=_softmax,
    ),
    "ArgMax": Sketch(
        ranks=(1, 2, 3),
        outer=(4, 1, 3, 8, 12, 16, 17, 32),
        params={0: (None, 0, 1), 1: (None, 1, 2, 3, 5)},
        fit=_arg_max,
        values=("normal", "tiny", "huge", "outlier"),
    ),
    "CumulativeSum": Sketch(ranks=(1, 2, 3), params={0: (0, 1, 2, -1, -2, -3)}, fit=along),
    "StatisticsPooling": Sketch(ranks=(3, 4), params={0: (None, 0, 1)}),
    "LayerNorm": _ROW_NORM,
    "RMSNorm": _ROW_NORM,
    "GroupNorm": Sketch(
        params={2: _EPSILON, 3: _AFFINE},
        more={"group": (1, 2, 3, 4, 8), "per group": (1, 2, 3, 4, 5, 8, 16)},
        arrange=_group_norm,
        fit=_group_norm_fit,
        **_NORMS,
    ),
    "InstanceNorm": Sketch(
        ranks=(3, 4),
        params={1: _EPSILON, 2: _AFFINE},
        fit=_instance_norm_fit,
        **_NORMS,
    ),
    "BatchNorm": Sketch(params={1: (None, 1e-5, 0.01)}, fit=_batch_norm_fit, **_NORMS),
    "MVN": Sketch(
        ranks=(2, 3, 4), params={0: (None, 0, 1), 1: (None, 0, 1), 2: (None, 0.01)}, fit=_mvn
    ),
    "Normalize": Sketch(
        ranks=(2, 3, 4),
        params={
            0: (None, 0, 1),
            1: (None, 0, 1),
            2: (None, 0.01, 1e-6),
            4: (None, 0, 1),
            9: (None, 0, 1, 2),
        },
        fit=_normalize,
        **_NORMS,
    ),
    "LRN": Sketch(
        ranks=(3,),
        params={
            0: (None, 0, 1),
            1: (None, 3, 5, 1),
            2: (None, 0.5, 1e-4),
            3: (None, 0.5),
            4: (None, 2.0),
        },
        fit=_lrn,
        values=TAME,
    ),
    "Pooling1D": _pool(1),
    "Pooling": _pool(2),
    "Pooling3D": _pool(3),
}
