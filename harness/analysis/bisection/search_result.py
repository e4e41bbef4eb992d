"""The end of a search over one history, with all that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.bisection.answers import Answer
    from harness.analysis.bisection.criterion import Criterion
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.point_outcomes import Standing
    from harness.analysis.bisection.submodel import Subject


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The end of a search, with all that was measured."""

    points: Sequence[Point]
    subject: Subject
    criterion: Criterion
    standings: Mapping[int, Standing]
    """By point: what all of its own measurements amount to."""
    groups: int
    """How many different libraries the points give, as far as that is known."""
    answer: Answer
    """About points."""
    measurements: dict[str, list[Measurement]]
    """By point: those of the subject itself."""
    whole: dict[str, Measurement]
    """By point: the whole model, where it was run to confirm."""
    count: int
    """Measurements that were taken into account."""

    @property
    def values(self) -> dict[int, list[float]]:
        """The numbers of the subject's own measurements, by point."""
        watched, metric = self.subject.watched, self.criterion.metric
        seen = {
            point: [
                each.observation(watched, metric).value
                for each in self.measurements.get(self.points[point].id, ())
            ]
            for point in self.standings
        }
        return {
            point: [value for value in found if value is not None] for point, found in seen.items()
        }
