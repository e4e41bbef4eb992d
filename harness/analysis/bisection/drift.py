"""Steps of the error that do not cross the threshold: not the answer, but worth a mention."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.bisection.criterion import Criterion
    from harness.analysis.bisection.point_outcomes import Standing
    from harness.domain.outcomes import Outcome


@dataclass(frozen=True)
class Step:
    """Two points measured one after the other that count alike, though their errors differ."""

    before: int
    after: int
    values: tuple[float, float]
    """In the unit of the metric."""
    outcome: Outcome


def _is_clear(standing: Standing) -> bool:
    decides = standing.outcome is not None and standing.outcome.decides
    return decides and not (standing.doubtful or (standing.good and standing.bad))


def steps_beside(
    standings: Mapping[int, Standing], values: Mapping[int, Sequence[float]], criterion: Criterion
) -> tuple[Step, ...]:
    """Return the steps by which the error changes on one side of the threshold, oldest first.

    Args:
        standings: what the measurements of each point amount to.
        values: those measurements, in the unit of the metric.
        criterion: what is good; a step is a change by its `apart` at least.
    """
    metric, rules = criterion.metric, criterion.rules
    # Where measurements contradict each other, no single number says what a revision gives, and
    # near the threshold two that agree are no proof of the side.
    points = [
        point for point, each in sorted(standings.items()) if _is_clear(each) and values[point]
    ]
    found = []
    for before, after in pairwise(points):
        outcome = standings[before].outcome
        ends = median(values[before]), median(values[after])
        errors = [max(metric.error(value), rules.floor) for value in ends]
        stepped = max(errors) >= rules.apart * min(errors)
        if outcome and outcome is standings[after].outcome and stepped:
            found.append(Step(before, after, ends, outcome))
    return tuple(found)
