"""What was measured at the points of a range, and what several measurements amount to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.domain.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAD = 4
"""By how many a verdict must lead at a point once measurements have contradicted each other: where
one measurement in five errs, such a verdict is wrong once in 4^4 times (A. Wald, "Sequential Tests
of Statistical Hypotheses", Annals of Mathematical Statistics 16, 1945)."""
MOST = 30
"""Measurements after which a point without such a lead counts as unstable."""


@dataclass(frozen=True)
class PointOutcome:
    """One measurement. A list of these, in any order, is all that a search has to remember."""

    index: int
    outcome: Outcome
    near: bool = False
    """The value lies so near the threshold that noise might turn the verdict."""


@dataclass(frozen=True)
class Standing:
    """What all measurements of one point amount to."""

    outcome: Outcome | None
    """None while the point must be measured again before its verdict may be used."""
    good: int
    """Measurements that were good."""
    bad: int
    near: bool
    """One of the values was near the threshold."""
    doubtful: bool
    """The verdict stands, but one of its measurements was near the threshold or unstable."""

    @property
    def lead(self) -> int:
        """By how many measurements the verdict leads."""
        return abs(self.good - self.bad)

    @property
    def contradicts(self) -> bool:
        """Whether measurements contradict each other that were not near the threshold."""
        return bool(self.good and self.bad) and not self.near


def settle(outcomes: Iterable[PointOutcome], lead: int = 1) -> Standing:
    """Return the standing of one point from all its measurements (at least one).

    - A verdict stands when it leads by `lead`; one near the threshold, or beside one `UNSTABLE`,
      when it leads by two at least.
    - Verdicts that contradict each other near the threshold are noise there, and no more of them
      would tell: the point is unstable for good. So it is where it was measured and was not
      testable, where it was `UNSTABLE` twice, and where nothing leads after `MOST` measurements.
    """
    seen = list(outcomes)
    kinds = [each.outcome for each in seen]
    good, bad = kinds.count(Outcome.GOOD), kinds.count(Outcome.BAD)
    unstable, skipped = kinds.count(Outcome.UNSTABLE), kinds.count(Outcome.SKIP)
    near = any(each.near for each in seen)
    doubtful = unstable > 0 or near
    outcome: Outcome | None = None
    if unstable > 1 or (skipped and skipped < len(seen)) or (near and good and bad):
        outcome = Outcome.UNSTABLE
    elif skipped:
        outcome = Outcome.SKIP
    elif abs(good - bad) >= max(lead, 2 if doubtful else 1):
        outcome = Outcome.GOOD if good > bad else Outcome.BAD
    elif len(seen) >= MOST:
        outcome = Outcome.UNSTABLE
    return Standing(
        outcome,
        good=good,
        bad=bad,
        near=near,
        doubtful=doubtful or outcome is Outcome.UNSTABLE,
    )
