"""Attention, rotary embeddings, and layers with a state.

Attention goes without what it keeps of earlier passes: how that lies in memory belongs to the
version, and each reads only what it wrote itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.cases.generation.linear import int8_or
from harness.cases.generation.pools import TAME
from harness.cases.generation.sketch import Sketch, weighted

if TYPE_CHECKING:
    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase, Shape

_LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 31)
_CALM = (*("normal",) * 4, "uniform", "tiny", "zeros")
"""Of large scores, softmax is a choice of one."""


def _multi_head(case: LayerCase, choice: Choice) -> LayerCase | None:
    embed = choice["heads"] * choice["per head"]
    query, key = choice["query"] or embed, choice["key"] or embed
    value = choice["value"] or embed
    places, others = choice["places"], choice["others"]
    inputs = choice["inputs"]
    if inputs == 1:
        query = key = value = embed
        others = places
    if inputs == 2:
        value = key
    shapes: list[Shape] = [(places, query), (others, key), (others, value)]
    del shapes[inputs:]
    if case.plain.get(5):
        mask: Shape = (places, others)
        shapes.append((choice["heads"], *mask) if choice["mask by head"] else mask)
    sizes: dict[int, Any] = {} if key == value == embed else {3: key, 4: value}
    return replace(case, shapes=tuple(shapes)).with_params({0: embed, 1: choice["heads"], **sizes})


def _multi_head_fit(case: LayerCase) -> LayerCase | None:
    """Let the sizes of weights follow from the inputs."""
    layer, shapes = case.layer, case.shapes
    embed, heads = layer.integer(0, 0), layer.integer(1, 1)
    if embed < 1 or heads < 1 or embed % heads or len(shapes[0]) != 2:
        return None
    return int8_or(case.with_params({2: shapes[0][1] * embed}), 18)


def _sdpa(case: LayerCase, choice: Choice) -> LayerCase | None:
    heads, shared, width = choice["heads"], choice["shared"], choice["per head"]
    out = choice["value"] or width
    places, others = choice["places"], choice["others"]
    own = max(1, heads // shared)
    heads = own * shared
    shapes: list[Shape] = [(heads, places, width), (own, others, width), (own, others, out)]
    if case.plain.get(5):
        mask: Shape = (places, others)
        masks: dict[str, Shape] = {"plane": mask, "one": (1, *mask), "each": (heads, *mask)}
        shapes.append(masks[choice["mask"]])
    return replace(case, shapes=tuple(shapes))


def _sdpa_fit(case: LayerCase) -> LayerCase | None:
    return int8_or(case, 18)


def _rotary(case: LayerCase, choice: Choice) -> LayerCase | None:
    heads, places, half = choice["heads"], choice["places"], choice["half"]
    angles = (places + choice["spare"], half)
    return replace(case, shapes=((heads, places, 2 * half), angles, angles))


def _recurrent(case: LayerCase, choice: Choice) -> LayerCase | None:
    states = 2 if case.type == "LSTM" else 1
    shapes: list[Shape] = [(choice["places"], choice["size"])]
    ways = 2 if case.plain.get(2) == 2 else 1
    output = case.layer.integer(0, 0)
    hidden = case.layer.integer(3, output)
    if choice["state"] == "in":
        shapes += [(ways, output), (ways, hidden)][:states]
    outputs = 1 if choice["state"] == "none" else 1 + states
    return replace(case, shapes=tuple(shapes), outputs=outputs)


_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _recurrent_fit(case: LayerCase) -> LayerCase | None:
    """Let the number of weights follow, and states from the parameters."""
    layer, shapes = case.layer, case.shapes
    output = layer.integer(0, 0)
    hidden = layer.integer(3, output)
    if output < 1 or hidden < 1 or len(shapes[0]) != 2:
        return None
    ways = 2 if layer.integer(2, 0) == 2 else 1
    states = [(ways, output), (ways, hidden)][: len(shapes) - 1]
    count = ways * _GATES[case.type] * hidden * shapes[0][1]
    case = replace(case, shapes=(shapes[0], *states)).with_params({1: count})
    if layer.integer(8, 0) and hidden != output:
        return None
    return int8_or(case, 8)


def _steps(**params: tuple[Any, ...]) -> Sketch:
    return weighted(
        ranks=(),
        params={
            0: (1, 2, 3, 4, 5, 7, 8, 9, 16, 17),
            2: (None, 0, 1, 2),
            8: (None, None, None, 1),
            **{int(key[1:]): candidates for key, candidates in params.items()},
        },
        more={
            "places": (1, 2, 3, 5, 8, 12),
            "size": (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31),
            "state": ("none", "none", "out", "in"),
        },
        arrange=_recurrent,
        fit=_recurrent_fit,
        values=(*_CALM, "outlier"),
        weights=(*_CALM, "normal"),
    )


SKETCHES: dict[str, Sketch] = {
    "MultiHeadAttention": weighted(
        ranks=(),
        params={5: (None, None, 0, 1), 6: (None, None, 0.4), 18: (*(None,) * 5, 2)},
        more={
            "heads": (1, 2, 3, 4, 8),
            "per head": (1, 2, 3, 4, 5, 8, 16),
            "query": (0, 0, 5, 8, 12),
            "key": (0, 0, 7, 8, 20),
            "value": (0, 0, 9, 8, 16),
            "places": _LENGTHS,
            "others": _LENGTHS,
            "inputs": (1, 2, 3),
            "mask by head": (False, True),
        },
        arrange=_multi_head,
        fit=_multi_head_fit,
        values=(*_CALM, "outlier"),
        weights=(*_CALM, "normal"),
    ),
    "SDPA": Sketch(
        ranks=(),
        params={5: (None, 0, 1), 6: (None, None, 0.3), 18: (*(None,) * 5, 2)},
        more={
            "heads": (1, 2, 4, 6, 8),
            "shared": (1, 1, 2, 4),
            "per head": (1, 2, 4, 6, 8, 16, 17),
            "value": (0, 0, 3, 8),
            "places": _LENGTHS,
            "others": _LENGTHS,
            "mask": ("plane", "one", "each"),
        },
        arrange=_sdpa,
        fit=_sdpa_fit,
        values=_CALM,
    ),
    "RotaryEmbed": Sketch(
        ranks=(),
        params={0: (None, 0, 1)},
        more={
            "heads": (1, 2, 3, 4, 8),
            "places": _LENGTHS,
            "half": (1, 2, 3, 4, 5, 8, 9, 16),
            "spare": (0, 0, 3),
        },
        arrange=_rotary,
        values=(*TAME, "huge"),
    ),
    "LSTM": _steps(p3=(None, None, None, 2, 5, 8)),
    "GRU": _steps(),
    "RNN": _steps(),
}
