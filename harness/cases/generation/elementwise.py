"""Layers that work on each element alone, and of two blobs element by element."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.cases.generation.pools import POSITIVE, TAME, VALUES
from harness.cases.generation.sketch import Sketch, along, weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase, Shape


def _alone(values: tuple[str, ...] = VALUES, **params: Sequence[Any]) -> Sketch:
    """Return a sketch of a function; parameters are called `p0`, ….

    Without any it is the plainest sketch there is.
    """
    return Sketch(params={int(key[1:]): tuple(v) for key, v in params.items()}, values=values)


SLOPES = (None, 0.25, 0.1, 0.0, -0.5)


def _slopes(case: LayerCase) -> LayerCase | None:
    """Give PReLU one slope for all, or one for each of the outermost axis."""
    return case.with_params({0: 1 if case.plain.get(0) == 1 else case.shapes[0][0]})


def _sized(case: LayerCase) -> LayerCase | None:
    """Give the layer one number for each element of the outermost axis."""
    return case.with_params({0: case.shapes[0][0]})


def _scale(case: LayerCase) -> LayerCase | None:
    if case.plain.get(0) != -233:
        return _sized(replace(case, shapes=case.shapes[:1]))
    # A factor from another layer comes without a bias.
    shapes = (case.shapes[0], (case.shapes[0][0],))
    return replace(case, shapes=shapes, storage="fp32").with_params({1: None})


def _two(shape: Shape, form: str) -> Shape:
    """Return the shape of a blob that broadcasts to another one."""
    if form.startswith("ones"):
        keep = form.removeprefix("ones-")
        names = "cdhw"[:1] + "cdhw"[-(len(shape) - 1) :] if len(shape) > 1 else "w"
        return tuple(n if name in keep else 1 for n, name in zip(shape, names, strict=True))
    return {
        "same": shape,
        "one": (1,),
        "outer": shape[:1],
        "inner": shape[-1:],
        "outer two": shape[:2],
        "outer three": shape[:3],
    }[form]


FORMS = (
    "same",
    "same",
    "one",
    "outer",
    "inner",
    "outer two",
    "outer three",
    *(f"ones-{keep}" for keep in ("c", "h", "w", "hw", "cw", "ch", "d", "dh", "cd", "cdh", "dhw")),
)


def _broadcast(case: LayerCase, choice: Choice) -> LayerCase | None:
    (shape,) = case.shapes
    if choice["form"] == "scalar":
        return case.with_params({1: 1, 2: choice["scalar"]})
    other = _two(shape, choice["form"])
    if choice["also"]:
        shape = _two(shape, choice["also"])
    shapes = (shape, other)
    return replace(case, shapes=shapes[::-1] if choice["swapped"] else shapes)


_WHOLE = frozenset({10, 11, 12, 13, 15, 16, 17, 18})
"""Operators that jump: their values are drawn where few elements are close to a jump."""
_POWERS = frozenset({6, 9})
_QUOTIENTS = frozenset({3, 8, 10, 11, 12, 13, 15, 16, 17, 18})
_VANISHING = frozenset({"zeros", "denormal"})


def _binary_fit(case: LayerCase) -> LayerCase | None:
    kind = case.plain.get(0, 0)
    if kind in _POWERS:
        return replace(case, values=("positive",))
    if kind in _WHOLE and "denormal" in case.values:
        return None
    # What a quotient by zero is depends on how a reciprocal is taken.
    return None if kind in _QUOTIENTS and _VANISHING & set(case.values) else case


_RANGES = {
    **dict.fromkeys((5, 6, 8, 17, 27), ("positive",)),
    **dict.fromkeys((12, 13, 26), ("uniform",)),
}
_GROWING = frozenset({7, 11, 21, 22, 24})


def _unary_fit(case: LayerCase) -> LayerCase | None:
    kind = case.layer.integer(0, 0)
    if kind in _RANGES:
        return replace(case, values=_RANGES[kind])
    if kind == _ARCCOSH:
        # Beyond one.
        return replace(case, values=("huge",)) if case.values != ("outlier",) else case
    if kind == _RECIPROCAL and _VANISHING & set(case.values):
        return None
    return None if kind in _GROWING and case.values == ("huge",) else case


_ARCCOSH, _RECIPROCAL = 25, 15


def _eltwise(case: LayerCase, choice: Choice) -> LayerCase | None:
    case = replace(case, shapes=case.shapes * choice["count"])
    if choice["coefficients"] and case.plain.get(0) == 1:
        return case.with_params({1: (0.5, -1.5, 2.0, 1.0)[: choice["count"]]})
    return case


_SMOOTH = (None, 0.5, 1.5)
_INNER_LINE: dict[str, Any] = {"p1": (None, 0.5, 2.0), "p2": (None, 1.5)}

SKETCHES: dict[str, Sketch] = {
    "AbsVal": _alone(),
    "BNLL": _alone(),
    "CELU": _alone(p0=(None, 0.5, 2.0)),
    "Clip": Sketch(
        params={0: (None, -0.5, 0.0), 1: (None, 0.75, 6.0)},
    ),
    "Dropout": _alone(p0=(None, 0.5, 0.5)),
    "ELU": _alone(p0=(None, 0.5, 2.0)),
    "Erf": _alone(),
    "Exp": _alone(TAME, p0=(None, 2.0), **_INNER_LINE),
    "GELU": _alone(p0=(None, 1)),
    "HardSigmoid": _alone(p0=(None, 0.3), p1=(None, 0.4)),
    "HardSwish": _alone(p0=(None, 0.3), p1=(None, 0.4)),
    "Log": _alone(POSITIVE, p0=(None, 2.0), p1=(None, 0.5), p2=(None, 1.5)),
    "Mish": _alone(),
    "Power": _alone(POSITIVE, p0=(None, 2.0, 2.5, -1.0), **_INNER_LINE),
    "PReLU": weighted(params={0: (1, 2)}, fit=_slopes, storages=("fp32",)),
    "ReLU": _alone(p0=SLOPES),
    "SELU": _alone(p0=_SMOOTH, p1=_SMOOTH),
    "Shrink": _alone(p0=(None, 0.25), p1=(None, 0.3)),
    "Sigmoid": _alone(),
    "Softplus": _alone(),
    "Swish": _alone(),
    "TanH": _alone(),
    "Threshold": _alone(p0=(None, 0.5)),
    "GLU": Sketch(
        ranks=(1, 2, 3),
        outer=(2, 4, 8, 6, 16, 24, 32, 3, 5),
        params={0: (0, 1, 2, -1)},
        fit=along,
    ),
    "UnaryOp": Sketch(params={0: tuple(range(28))}, fit=_unary_fit),
    "BinaryOp": Sketch(
        params={0: tuple(range(19))},
        more={
            "form": (*FORMS, "scalar", "scalar", "scalar"),
            "also": (*("",) * 5, "ones-c", "ones-h", "ones-w", "ones-ch", "ones-hw"),
            "swapped": (False, True),
            "scalar": (1.75, 0.5, -2.0),
        },
        arrange=_broadcast,
        fit=_binary_fit,
        values=(*VALUES, *POSITIVE),
    ),
    "Eltwise": Sketch(
        params={0: (0, 1, 2)},
        more={"count": (2, 2, 3, 4), "coefficients": (False, True)},
        arrange=_eltwise,
    ),
    "Scale": weighted(params={0: (1, 1, -233), 1: (None, 1)}, fit=_scale, storages=("fp32",)),
    "Bias": weighted(params={0: (1,)}, fit=_sized, storages=("fp32",)),
}
