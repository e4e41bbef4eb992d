"""Cases in an order that is always the same, and that meets every candidate early."""

from __future__ import annotations

from itertools import count as counting
from random import Random
from typing import TYPE_CHECKING, Any

from harness.cases.generation.catalogue import SKETCHES, is_well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.cases.generation.sketch import Sketch
    from harness.cases.layer_case import LayerCase

TRIES = 400
"""Choices that are tried for one case until the parts of one go together."""
PATIENCE = 20
"""Indices that are tried per case that is wanted; a type may have few cases."""


def generate(kind: str, *, seed: int, count: int) -> Iterator[LayerCase]:
    """Yield different cases of one layer type; if more are asked for, the first ones are the same.

    Each coordinate of a case (a parameter, an extent, a distribution, …) goes through its
    candidates in an order of its own, which is drawn anew when all have been taken. So all of them
    are met early, and each along with many of the others.

    Args:
        kind: a type in `SKETCHES`.
        seed: of all that is drawn.
        count: how many; fewer come where the type has no more.
    """
    sketch, seen = SKETCHES[kind], set[str]()
    for index in counting():
        if len(seen) == count or index > PATIENCE * count:
            return
        case = _case(kind, sketch, seed, index)
        if case is not None and case.id not in seen:
            seen.add(case.id)
            yield case


def _case(kind: str, sketch: Sketch, seed: int, index: int) -> LayerCase | None:
    """Return the case of an index, whose choices hang on nothing else."""
    coordinates = sketch.coordinates()
    turn = {
        name: _in_turn(candidates, f"{seed}/{kind}/{name}", index)
        for name, candidates in coordinates.items()
    }
    random = Random(f"{seed}/{kind}/{index}")
    names = list(coordinates)
    # One coordinate keeps its value, the others give way to it until all go together.
    round_, place = divmod(index, len(names))
    kept = names[place]
    turn[kept] = _in_turn(coordinates[kept], f"{seed}/{kind}/{kept}/kept", round_)
    choice = turn
    for attempt in range(TRIES):
        case = sketch.case(kind, choice)
        if case is not None and is_well_formed(case):
            return case
        share = 1 / (1 + attempt / 8)
        choice = {
            name: turn[name]
            if name == kept or random.random() < share
            else random.choice(candidates)
            for name, candidates in coordinates.items()
        }
    return None


def _in_turn(candidates: Sequence[Any], key: str, index: int) -> Any:
    cycle, place = divmod(index, len(candidates))
    order = list(candidates)
    Random(f"{key}/{cycle}").shuffle(order)
    return order[place]
