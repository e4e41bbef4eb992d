"""What a search will ask for next, before it is known what comes of what it asks for now.

Whoever measures several points at the same time takes those that the search is most likely to come
to. So it goes the way that it goes with one at a time, and ends with the same answer, in fewer
turns: k points cut an interval into k + 1 parts where every outcome is as likely as the other.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from harness.analysis.bisection.answers import Answer, Probe, Purpose
from harness.analysis.bisection.point_outcomes import PointOutcome
from harness.domain.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.analysis.bisection.search import Search

USUAL = 0.9
"""How likely a measurement that is to confirm something does so."""
LEAST = 1e-3
"""What is less likely is not thought of."""

Place = tuple[int, bool]
"""A point, and whether the whole model is run there."""


def upcoming(
    search: Search, measured: Callable[[Search, Probe], Place], *, most: int
) -> list[Place]:
    """Return what will be measured next, what is asked for now first, then by how likely it is.

    Args:
        search: what is known.
        measured: where a search measures when it asks for a probe.
        most: how many at most.
    """
    found: dict[Place, None] = {}
    number = count()
    queue = [(-1.0, next(number), search)]
    while queue and len(found) < most:
        negative, _, now = heappop(queue)
        step = now.step
        if isinstance(step, Answer):
            continue
        found[measured(now, step)] = None
        for outcome, share in _chances(now, step).items():
            if -negative * share >= LEAST:
                after = now.record(PointOutcome(step.index, outcome))
                heappush(queue, (negative * share, next(number), after))
    return list(found)


def _chances(search: Search, step: Probe) -> dict[Outcome, float]:
    """Return how likely each outcome of a probe is, as far as the search tells."""
    usual = _usual(search, step)
    if usual is None:
        return {Outcome.GOOD: 0.5, Outcome.BAD: 0.5}
    other = Outcome.GOOD if usual is Outcome.BAD else Outcome.BAD
    return {usual: USUAL, other: 1 - USUAL}


def _usual(search: Search, step: Probe) -> Outcome | None:
    if step.purpose is Purpose.END:
        return search.expected[step.index]
    if step.purpose is Purpose.CHECK:
        return search.wanted[0].becomes
    standing = search.standings.get(step.index)
    decided = standing and standing.outcome and standing.outcome.decides
    return standing.outcome if standing and decided else None
