"""Values between elements, windows, diagonals, spectra, and what counts in eight bits."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from harness.cases.generation.convolving import places_of
from harness.cases.generation.pools import TAME, WEIGHTS
from harness.cases.generation.sketch import Sketch
from harness.definition import sliding
from harness.definition.sampling import REFLECTION

if TYPE_CHECKING:
    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase

SAME = (-233, -234)
_SMOOTH = ("normal", "normal", "normal", "uniform", "tiny", "huge", "zeros", "outlier")


def _interp(case: LayerCase, choice: Choice) -> LayerCase | None:
    way, (shape,) = choice["way"], case.shapes
    height, width = choice["size"]
    if way == "reference":
        return replace(case, shapes=(shape, (2, height, width))).with_params({5: 1})
    if way == "scale":
        first, second = choice["scale"]
        return case.with_params({1: first, 2: second})
    return case.with_params({3: height, 4: width})


def _interp_fit(case: LayerCase) -> LayerCase | None:
    """Let scales give whole extents; corners mean nothing to nearest neighbours.

    Where an extent is cut off, versions differ in whether the step is by the scale or by the
    extents.
    """
    if case.layer.integer(0, 0) == 1:
        case = case.with_params({6: None})
    extents = case.shapes[0][:0:-1] if len(case.shapes[0]) > 1 else (1, 1)
    scales = (case.plain.get(key, 1.0) for key in (2, 1))
    if any(n * s % 1 for n, s in zip(extents, scales, strict=False) if isinstance(s, float)):
        return None
    return case


def _grid(case: LayerCase, choice: Choice) -> LayerCase | None:
    shape = case.shapes[0]
    places = choice["places"][-(len(shape) - 1) :]
    count = len(shape) - 1
    grid = (count, *places) if case.plain.get(3) else (*places, count)
    first = case.values[0]
    return replace(case, shapes=(shape, grid), values=(first, choice["where"]))


def _grid_fit(case: LayerCase) -> LayerCase | None:
    """Let what is reflected be within the picture, for far outside kernels differ."""
    if case.layer.integer(1, 1) == REFLECTION:
        return replace(case, values=(case.values[0], "uniform"))
    return case


def _unfold_fit(case: LayerCase) -> LayerCase | None:
    if case.layer.integer(4, 0) in SAME:
        case = case.with_params(dict.fromkeys((14, 15, 16)))
    return case


def _fold(case: LayerCase, _: Choice) -> LayerCase | None:
    """Give Fold as many columns as its output has windows."""
    channels, height, width = case.shapes[0]
    case = case.with_params({20: width, 21: height})
    layer = case.layer
    kernel = layer.integer(11, layer.integer(1, 1)), layer.integer(1, 1)
    places = places_of(sliding.windows(layer, 2), kernel, (height, width))
    if min(places) < 1:
        return None
    return replace(case, shapes=((channels * prod(kernel), prod(places)),))


def _windows(**more: tuple[Any, ...]) -> dict[int, tuple[Any, ...]]:
    rare = (None,) * 4
    return {
        1: (1, 2, 3, 3, 4),
        2: (*rare, 2),
        3: (*rare, 2, 3),
        4: (None, None, 0, 1, 2, *more.get("same", ())),
        11: (*rare, 1, 2),
        12: (*rare, 1, 2),
        13: (*rare, 1, 2),
        14: (*rare, 0, 1),
        15: (*rare, 0, 2),
        16: (*rare, 0, 1),
    }


def _spectra(case: LayerCase) -> LayerCase | None:
    """Let windows fit into what is transformed."""
    layer = case.layer
    size = layer.integer(0, 0)
    if layer.integer(3, size) > size:
        return None
    return case if layer.integer(2, size // 4) >= 1 else None


def _inverse(case: LayerCase, choice: Choice) -> LayerCase | None:
    size = case.layer.integer(0, 0)
    bins = size if choice["two sides"] else size // 2 + 1
    return replace(case, shapes=((bins, choice["frames"], 2),))


def _inverse_fit(case: LayerCase) -> LayerCase | None:
    """Windows overlap by at least half, or some samples are a quotient of two small numbers."""
    layer = case.layer
    size = layer.integer(0, 0)
    window = layer.integer(3, size)
    return _spectra(case) if 2 * layer.integer(2, size // 4) <= window else None


_SPECTRUM: dict[int, tuple[Any, ...]] = {
    0: (8, 9, 16, 4, 31, 64),
    2: (None, None, 1, 2, 3, 5),
    3: (None, None, None, 5, 6, 8, 16),
    4: (None, 0, 1, 2),
    7: (None, 0, 1, 2),
}


def _per_row(*keys: int) -> Any:
    """Return what lets numbers be one for all, or one for each of the outermost axis.

    A vector has one for all, for ncnn reads no more.
    """

    def fit(case: LayerCase) -> LayerCase | None:
        rows = case.shapes[0][0] if len(case.shapes[0]) > 1 else 1
        given = {key: case.plain.get(key) for key in keys}
        return case.with_params(
            {key: (n if n in (None, 0, 1) else rows) for key, n in given.items()}
        )

    return fit


def _requantize(case: LayerCase, choice: Choice) -> LayerCase | None:
    return case.with_params(choice["activation"])


SKETCHES: dict[str, Sketch] = {
    "Interp": Sketch(
        params={0: (1, 2, 3), 6: (None, None, 0, 1)},
        ranks=(1, 2, 3),
        more={
            "way": ("size", "scale", "reference"),
            "size": ((1, 1), (4, 5), (8, 8), (9, 13), (16, 24), (7, 3), (12, 12)),
            "scale": (
                (2.0, 2.0),
                (0.5, 0.5),
                (1.5, 0.75),
                (0.75, 1.25),
                (0.25, 0.25),
                (2.0, 3.0),
                (3.0, 1.0),
                (4.0, 4.0),
            ),
        },
        arrange=_interp,
        fit=_interp_fit,
        values=_SMOOTH,
    ),
    "GridSample": Sketch(
        params={
            0: (None, 1, 2, 3),
            1: (None, 1, 2, 3),
            2: (None, 0, 1),
            3: (None, 0, 1),
        },
        ranks=(3, 4),
        more={
            "places": ((1, 1, 1), (2, 4, 7), (1, 5, 5), (3, 3, 8), (1, 16, 9)),
            "where": ("uniform", "uniform", "normal"),
        },
        arrange=_grid,
        fit=_grid_fit,
        values=("normal", "normal", "uniform", "tiny", "zeros"),
    ),
    "Unfold": Sketch(
        ranks=(3,),
        params={**_windows(same=SAME), 18: (None, None, 0.5)},
        fit=_unfold_fit,
    ),
    "Fold": Sketch(
        ranks=(3,),
        outer=(1, 3, 4, 5, 8, 12, 16),
        params=_windows(),
        arrange=_fold,
    ),
    "Diag": Sketch(ranks=(1, 2), params={0: (None, 0, 1, -1, 2, -2, 3)}),
    "Spectrogram": Sketch(
        ranks=(1,),
        outer=(40, 41, 64, 100, 200, 16),
        params={
            **_SPECTRUM,
            1: (None, 0, 1, 2),
            5: (None, 0, 1),
            6: (None, 0, 1, 2),
            8: (None, 0, 1),
        },
        fit=_spectra,
        values=TAME,
    ),
    "InverseSpectrogram": Sketch(
        ranks=(),
        params={**_SPECTRUM, 1: (None, 0, 1, 2), 5: (None, 0, 1)},
        more={"frames": (2, 3, 7, 12), "two sides": (False, True)},
        arrange=_inverse,
        fit=_inverse_fit,
        values=TAME[:-1],
    ),
    "Quantize": Sketch(params={0: (1, 2)}, fit=_per_row(0), values=TAME, weights=WEIGHTS[:1]),
    "Dequantize": Sketch(
        params={0: (1, 2), 1: (None, 0, 1, 2)},
        fit=_per_row(0, 1),
        values=("int32-5000", "int32-9", "int32-1000000"),
        weights=WEIGHTS,
    ),
    "Requantize": Sketch(
        params={0: (1, 2), 1: (1, 2), 2: (None, 0, 1, 2)},
        more={
            "activation": (
                {},
                {},
                {3: 1},
                {3: 2, 4: (0.25,)},
                {3: 3, 4: (-0.5, 1.5)},
                {3: 4},
                {3: 6, 4: (0.2, 0.5)},
            )
        },
        arrange=_requantize,
        fit=_per_row(0, 1, 2),
        values=("int32-50", "int32-9", "int32-5000"),
        weights=WEIGHTS[:6],
    ),
}
