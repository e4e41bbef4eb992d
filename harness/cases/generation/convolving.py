"""Convolutions and deconvolutions, also grouped, in int8, and with kernels from blobs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from harness.cases.generation.pools import ACTIVATIONS, CHANNELS, FEW, PACKED, VALUES
from harness.cases.generation.sketch import Sketch, weighted
from harness.definition import sliding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase
    from harness.model.param import Layer

MAX_PRODUCTS = 2_000_000
SAME = (-233, -234)
_KERNELS = (1, 11, 21)
_PLANES = (
    (2, 3, 3),
    (1, 1, 1),
    (2, 4, 4),
    (3, 5, 7),
    (2, 6, 6),
    (2, 8, 8),
    (3, 7, 9),
    (2, 11, 13),
    (1, 14, 14),
    (2, 1, 17),
    (2, 17, 2),
    (4, 5, 5),
    (1, 20, 21),
)


def _dynamic_key(layer: Layer) -> int:
    return 28 if layer.type.startswith("Deconv") else 19


def _kernel(layer: Layer, ndim: int) -> tuple[int, ...]:
    width = layer.integer(1, 1)
    return tuple(layer.integer(key, width) for key in _KERNELS[:ndim])[::-1]


def _fit(case: LayerCase, *, ndim: int) -> LayerCase | None:
    """Let the number of weights follow, and the pads that go together."""
    if any(n < 1 for n in case.shapes[0]) or case.layer.integer(0, 0) < 1:
        return None
    layer = case.layer
    group = layer.integer(7, 1) if "DepthWise" in case.type else 1
    if len(case.shapes[0]) != ndim + 1 and not _is_flat(case):
        return None
    inputs, outputs = case.shapes[0][0], layer.integer(0, 0)
    if inputs % group or outputs % group:
        return None
    kernel = _kernel(layer, ndim)
    count = outputs * inputs // group * prod(kernel)
    if count * prod(case.shapes[0][1:]) > MAX_PRODUCTS:
        return None
    changes: dict[int, Any] = {6: count}
    if layer.integer(4, 0) in SAME:
        changes |= dict.fromkeys((14, 15, 16, 17, 24))
    if not layer.integer(9, 0):
        changes |= {9: None, 10: None}
    if layer.integer(_dynamic_key(layer), 0):
        return _with_blobs(case.with_params({**changes, 6: None, 8: None}), group, kernel)
    case = replace(case, shapes=case.shapes[:1])
    return _quantised(case.with_params(changes))


def _is_flat(case: LayerCase) -> bool:
    """Return whether a vector is convolved, which ncnn takes for an InnerProduct."""
    plain = case.plain
    only = all(plain.get(key) in (None, value) for key, value in _FLAT.items())
    return case.type == "Convolution" and len(case.shapes[0]) == 1 and only


_FLAT = {1: 1, 11: 1, 8: 0, 4: 0, 14: 0, 15: 0, 16: 0, 19: 0, 18: 0.0}


def _with_blobs(case: LayerCase, group: int, kernel: tuple[int, ...]) -> LayerCase | None:
    """Give a dynamic layer its kernel and bias as inputs."""
    inputs, outputs = case.shapes[0][0], case.layer.integer(0, 0)
    pair = outputs, inputs // group
    if case.type.startswith("Deconv"):
        pair = inputs, outputs // group
    bias = [(outputs,)] if case.layer.integer(5, 0) else []
    shapes = (case.shapes[0], (*pair, *kernel), *bias)
    return replace(case, shapes=shapes, storage="fp32", weights="normal")


_TERMS = {"Convolution": (1, 2, 101, 102), "ConvolutionDepthWise": (1, 2, 101, 102)}


def _quantised(case: LayerCase) -> LayerCase | None:
    if not case.layer.integer(8, 0):
        return case
    if "denormal" in (*case.values, case.weights):
        return None
    return replace(case, storage="fp32")


def _arrange(case: LayerCase, choice: Choice) -> LayerCase | None:
    case = case.with_params(choice["activation"])
    if choice.get("dynamic"):
        case = case.with_params({_dynamic_key(case.layer): 1})
    if choice.get("flat"):
        flat = dict.fromkeys((2, 3, 4, 8, 11, 12, 13, 14, 15, 16, 18, 19))
        return replace(case, shapes=((case.shapes[0][0],),)).with_params({**flat, 1: 1})
    if choice.get("usual"):
        width, stride, *channels = choice["usual"]
        case = case.with_params({**dict.fromkeys(_SHAPING), 1: width, 3: stride})
        if channels:
            inputs, outputs = channels
            case = replace(case, shapes=((inputs, *case.shapes[0][1:]),)).with_params({0: outputs})
    if choice.get("same"):
        ndim = len(case.shapes[0]) - 1
        return _same(_grouped(case, choice), choice["same"], choice["cuts"], ndim)
    return _grouped(case, choice)


_SHAPING = (2, 11, 12, 13, 21, 22, 23)
_USUAL = ((3, 1), (3, 2), (1, 1), (3, 1), (3, 2), (5, 1), (1, 2), (5, 2), (2, 1), (7, 2))
"""Width and stride of the squares for which there are kernels of their own, dilated by none."""
_OF_EACH = ((3, 1), (3, 2), (5, 1), (5, 2))
"""Those where each channel has a kernel of its own."""
_FROM_FEW = ((3, 1, 8, 8), (3, 1, 3, 8), (3, 2, 3, 8), (3, 1, 8, 3), (3, 1, 3, 4), (3, 2, 1, 4))
"""The same with inputs and outputs: of more than eight no kernel is asked that is made for few."""


def _grouped(case: LayerCase, choice: Choice) -> LayerCase:
    if "group" not in choice:
        return case
    group, factor = choice["group"], choice["factor"]
    if choice.get("usual"):
        group, factor = "each", 1
    inputs = case.shapes[0][0]
    if group == "each":
        return case.with_params({7: inputs, 0: inputs * factor})
    shape = (group * choice["per group"], *case.shapes[0][1:])
    outputs = group * choice["outputs per group"]
    return replace(case, shapes=(shape,)).with_params({7: group, 0: outputs})


def _sketch(*, ndim: int, transposed: bool = False, grouped: bool = False) -> Sketch:
    rare = (None,) * 4
    params: dict[int, tuple[Any, ...]] = {
        0: (1,) if grouped else CHANNELS,
        1: (1, 3, 3, 3, 2, 5, 4, 7) if ndim < 3 else (1, 3, 2, 3),
        2: (*rare, 2, 3),
        3: (*rare, 2, 2, 3),
        4: (None, None, 0, 1, 1, 2, 3, -233, -234),
        5: (None, 0, 1, 1),
        15: (*rare, 0, 1, 2),
    }
    if ndim > 1:
        params |= {
            11: (*rare, 1, 2, 3, 5),
            12: (*rare, 1, 2),
            13: (*rare, 1, 2),
            14: (*rare, 0, 1, 2),
            16: (*rare, 0, 1, 3),
        }
    if ndim > 2:
        params |= dict.fromkeys((17, 21, 22, 23, 24), (*rare, 1, 2))
    if transposed:
        params |= dict.fromkeys(_OUTPUT_PADS[ndim], (*rare, None, 1))
        params[4] = tuple(pad for pad in params[4] if pad not in SAME)
    else:
        params[18] = (None, None, None, 0.75)
    int8 = ndim == 2 and not transposed
    if int8:
        params[8] = (*(None,) * 6, 1, 2, 101, 102)
    more: dict[str, tuple[Any, ...]] = {"activation": ACTIVATIONS}
    if ndim == 2:
        usual = (*rare, *_OF_EACH) if grouped else (*rare, *rare[1:], *_USUAL, *_FROM_FEW)
        more["usual"] = usual
    if ndim < 3:
        more["dynamic"] = (*(False,) * 7, True)
    if grouped:
        more |= {
            "group": (*("each",) * 8, 1, 2, 3, 4, 8),
            "factor": (1, 1, 1, 1, 2),
            "per group": FEW,
            "outputs per group": FEW,
        }
    if transposed:
        more |= {"same": (*(None,) * 5, *SAME), "cuts": ((0, 0, 0), (1, 0, 2), (1, 2, 1))}
    elif int8 and not grouped:
        more["flat"] = (*(False,) * 9, True)
    return weighted(
        ranks=(ndim + 1,),
        outer=PACKED if grouped else CHANNELS,
        inner=_PLANES,
        params=params,
        more=more,
        arrange=_arrange,
        fit=partial(_fit_transposed if transposed else _fit, ndim=ndim),
    )


_OUTPUT_PADS = {1: (18,), 2: (18, 19), 3: (18, 19, 20)}
_OUTPUT_SIZES = {1: (20,), 2: (20, 21), 3: (25, 26, 27)}
"""Of width, height and depth."""


def _fit_transposed(case: LayerCase, *, ndim: int) -> LayerCase | None:
    """Let a size be given only where it says what is cut, and pad the output by less than a step.

    Of more than a step, or of another size, other libraries know nothing.
    """
    layer = case.layer
    if layer.integer(4, 0) not in SAME:
        case = case.with_params(dict.fromkeys(_OUTPUT_SIZES[ndim]))
    for key, (stride, _) in zip(_OUTPUT_PADS[ndim], _steps(layer), strict=False):
        if layer.integer(key, 0) >= stride:
            case = case.with_params({key: None})
    return _fit(case, ndim=ndim)


def _steps(layer: Layer) -> list[tuple[int, int]]:
    """Return stride and dilation along width, height and depth."""
    stride, dilation = layer.integer(3, 1), layer.integer(2, 1)
    return [
        (stride, dilation),
        (layer.integer(13, stride), layer.integer(12, dilation)),
        (layer.integer(23, stride), layer.integer(22, dilation)),
    ]


def _same(case: LayerCase, mode: int, cuts: tuple[int, ...], ndim: int) -> LayerCase | None:
    """Ask a deconvolution for an output that is smaller by so much than what it makes."""
    case = case.with_params({4: mode, **dict.fromkeys(_OUTPUT_PADS[ndim])})
    layer = case.layer
    extents, kernel = case.shapes[0][:0:-1], _kernel(layer, ndim)[::-1]
    sizes = [
        (n - 1) * stride + dilation * (k - 1) + 1 - cut
        for n, k, (stride, dilation), cut in zip(extents, kernel, _steps(layer), cuts, strict=False)
    ]
    return case.with_params(dict(zip(_OUTPUT_SIZES[ndim], sizes, strict=True)))


def _deformable(case: LayerCase) -> LayerCase | None:
    """Let the offsets, and the mask if there is one, follow from the places of the kernel."""
    made = _fit(replace(case, shapes=case.shapes[:1]), ndim=2)
    if made is None:
        return None
    layer, kernel = made.layer, _kernel(made.layer, 2)
    places = places_of(sliding.windows(layer, 2), kernel, made.shapes[0][1:])
    if min(places) < 1:
        return None
    taps = prod(kernel)
    offsets = [(2 * taps, *places), (taps, *places)][: max(1, len(case.shapes) - 1)]
    return replace(made, shapes=(made.shapes[0], *offsets))


def places_of(
    axes: Sequence[sliding.Window], kernel: Sequence[int], extents: Sequence[int]
) -> tuple[int, ...]:
    """Return at how many places a kernel stands along each axis, not all of them above zero."""
    return tuple(
        (n + axis.before + axis.after - axis.extent(k)) // axis.stride + 1
        for n, axis, k in zip(extents, axes, kernel, strict=True)
    )


def _masked(case: LayerCase, choice: Choice) -> LayerCase | None:
    case = case.with_params(choice["activation"])
    return replace(case, shapes=case.shapes * (3 if choice["masked"] else 2))


_SUFFIXES = {1: "1D", 2: "", 3: "3D"}
_PLAIN = _sketch(ndim=2)

SKETCHES: dict[str, Sketch] = {
    f"{kind}{grouping}{suffix}": _sketch(
        ndim=ndim, transposed=kind == "Deconvolution", grouped=bool(grouping)
    )
    for ndim, suffix in _SUFFIXES.items()
    for kind in ("Convolution", "Deconvolution")
    for grouping in ("", "DepthWise")
} | {
    "DeformableConv2D": weighted(
        ranks=(3,),
        inner=_PLANES,
        params={
            **{key: _PLAIN.params[key] for key in (0, 1, 2, 3, 5, 11, 12, 13, 14, 15, 16)},
            4: (None, 0, 1, 2, 3),
        },
        more={"activation": ACTIVATIONS, "masked": (False, True)},
        arrange=_masked,
        fit=_deformable,
        values=("normal", "normal", *VALUES[5:7], "zeros"),
    ),
}
