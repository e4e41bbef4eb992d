"""What was measured at the points of a range, and what several measurements amount to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.domain.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    confirmed: bool
    """At least two measurements agree on good or bad."""
    doubtful: bool
    """The verdict stands, but one of its measurements was near the threshold or unstable."""


def settle(outcomes: Iterable[PointOutcome]) -> Standing:
    """Return the standing of one point from all its measurements (at least one).

    - A clear verdict stands at once; one near the threshold stands when a second measurement
      agrees; after one `UNSTABLE`, two others must agree.
    - Two measurements that contradict each other (good and bad, measured and not testable), or a
      second `UNSTABLE`, make the point unstable for good.

    So no point asks for more than three measurements.
    """
    seen = list(outcomes)
    counts = Counter(each.outcome for each in seen)
    unstable = counts.pop(Outcome.UNSTABLE, 0)
    if len(counts) > 1 or unstable > 1 or (unstable and Outcome.SKIP in counts):
        return Standing(Outcome.UNSTABLE, confirmed=False, doubtful=True)
    if Outcome.SKIP in counts:
        return Standing(Outcome.SKIP, confirmed=False, doubtful=False)
    doubtful = unstable > 0 or any(each.near for each in seen)
    outcome, agreeing = next(iter(counts.items()), (None, 0))
    if agreeing < (2 if doubtful else 1):
        return Standing(None, confirmed=False, doubtful=doubtful)
    return Standing(outcome, confirmed=agreeing > 1, doubtful=doubtful)
