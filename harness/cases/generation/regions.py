"""Layers that look at regions of a picture; they have no definition but ncnn's naive kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.cases.generation.pools import CHANNELS, VALUES
from harness.cases.generation.sketch import Sketch

if TYPE_CHECKING:
    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase

_BOX = ("boxes",)
"""Corners of regions; with `spatial_scale` they are spread over the picture and beyond."""
_SIZES = (1, 2, 3, 5, 7)


def _on_picture(case: LayerCase, _: Choice) -> LayerCase | None:
    """Add a region, of four corners."""
    shapes = (case.shapes[0], (4,))
    return replace(case, shapes=shapes, values=(case.values[0], *_BOX))


def _by_position(case: LayerCase, choice: Choice) -> LayerCase | None:
    """Give each place of the output channels of its own."""
    case = _on_picture(case, choice) or case
    return _by_position_fit(case.with_params({3: choice["outputs"]}))


def _by_position_fit(case: LayerCase) -> LayerCase | None:
    layer = case.layer
    channels = layer.integer(3, 0) * layer.integer(0, 7) * layer.integer(1, 7)
    shapes = ((channels, *case.shapes[0][1:]), *case.shapes[1:])
    return replace(case, shapes=shapes) if channels else None


def _prior_box(case: LayerCase, choice: Choice) -> LayerCase | None:
    shape = case.shapes[0]
    given = {0: choice["smallest"], 1: choice["largest"], 2: choice["ratios"]}
    return replace(case, shapes=(shape, (3, 40, 60))).with_params(given)


def _prior_box_fit(case: LayerCase) -> LayerCase | None:
    """There is a largest size for each smallest one, or none at all."""
    smallest, largest = case.plain.get(0), case.plain.get(1)
    if not isinstance(smallest, tuple):
        return None
    same = isinstance(largest, tuple) and len(largest) == len(smallest)
    return case if largest is None or same else None


def _detections(case: LayerCase, choice: Choice) -> LayerCase | None:
    """Give locations, scores and boxes for as many priors."""
    priors, classes = choice["priors"], case.layer.integer(0, 0)
    shapes = ((4 * priors,), (priors * classes,), (2, 4 * priors))
    return replace(case, shapes=shapes, values=("normal", "positive", "boxes"))


def _regions(**more: Any) -> Sketch:
    return Sketch(
        **{
            "ranks": (3,),
            "params": {0: _SIZES, 1: _SIZES, 2: (1.0, 2.0, 0.5, 4.0)},
            "arrange": _on_picture,
            "values": VALUES[:8],
            **more,
        }
    )


SKETCHES: dict[str, Sketch] = {
    "ROIPooling": _regions(),
    "ROIAlign": _regions(
        params={
            0: _SIZES,
            1: _SIZES,
            2: (1.0, 2.0, 0.5, 4.0),
            3: (None, 0, 1, 2),
            4: (None, 0, 1),
            5: (None, 0, 1),
        }
    ),
    "PSROIPooling": _regions(
        params={0: (1, 2, 3), 1: (1, 2, 3), 2: (1.0, 2.0, 0.5, 4.0)},
        more={"outputs": (1, 2, 3, 4, 8)},
        arrange=_by_position,
        fit=_by_position_fit,
    ),
    "PriorBox": Sketch(
        ranks=(3,),
        outer=CHANNELS[:5],
        params={
            7: (None, 0, 1),
            8: (None, 0, 1),
            11: (None, 8.0),
            12: (None, 8.0),
            13: (None, 0.5),
        },
        more={
            "smallest": ((16.0,), (8.0, 16.0)),
            "largest": (None, (24.0,), (12.0, 24.0)),
            "ratios": (None, (2.0,), (2.0, 3.0)),
        },
        arrange=_prior_box,
        fit=_prior_box_fit,
        values=VALUES[:1],
    ),
    "DetectionOutput": Sketch(
        ranks=(),
        params={
            0: (2, 3, 5),
            1: (None, 0.5),
            2: (None, 10),
            3: (None, 5),
            4: (None, 0.9),
        },
        more={"priors": (1, 3, 8, 20)},
        arrange=_detections,
        values=VALUES[:1],
    ),
}
