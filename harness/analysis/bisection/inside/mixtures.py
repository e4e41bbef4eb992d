"""Mixtures of before and after: what each is, and which part of the difference matters."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from harness.analysis.bisection.point_outcomes import PointOutcome, settle
from harness.analysis.delta_debugging import Progress, Result
from harness.domain.formatting import count
from harness.domain.outcomes import Outcome
from harness.util.errors import UnbuildableError

if TYPE_CHECKING:
    from harness.analysis.bisection.criterion import Criterion, Observation

T = TypeVar("T", bound=Hashable)
_SHOWN = 6
"""Items that a line of evidence names; more are counted."""


@dataclass(kw_only=True)
class Mixtures(Generic[T]):
    """What became of the mixtures that were measured; a mixture is the items that are as after."""

    measure: Callable[[frozenset[T], int], Observation]
    """Measures a mixture for the nth time, from 0.

    `UnbuildableError`: it cannot be compiled, since a file is missing.
    """
    criterion: Criterion
    becomes: Outcome
    """What all items together make it: `BAD`, or `GOOD`."""
    lead: int = 1
    """By how many measurements a verdict must lead: more than one where measurements err."""
    _known: dict[frozenset[T], Outcome] = field(default_factory=dict)
    _seen: dict[frozenset[T], str] = field(default_factory=dict)
    """The last value of each mixture, or what happened instead."""

    def outcome(self, items: frozenset[T]) -> Outcome:
        """Return what a mixture is, measured until that stands."""
        if items not in self._known:
            self._known[items] = self._settled(items)
        return self._known[items]

    def result(self, items: frozenset[T]) -> Result:
        """Return what a mixture does: it fails where it has the effect of all items."""
        outcome = self.outcome(items)
        if not outcome.decides:
            return Result.UNRESOLVED
        return Result.FAIL if outcome is self.becomes else Result.PASS

    def described(self, items: frozenset[T]) -> str:
        """Return what came of a mixture, in words."""
        return self._seen.get(items, "not measured")

    def _settled(self, items: frozenset[T]) -> Outcome:
        outcomes: list[PointOutcome] = []
        while True:
            try:
                observation = self.measure(items, len(outcomes))
            except UnbuildableError as error:
                # A file that is included is not there: it is in the rest of the change.
                what = str(error).partition(". ")[0]  # and not how to install it
                self._seen[items] = f"not testable: {what}"
                return Outcome.SKIP
            judged = self.criterion.judge(observation)
            self._seen[items] = f"{judged.outcome}: {judged.reason}"
            outcomes.append(PointOutcome(0, judged.outcome, judged.near))
            outcome = settle(outcomes, self.lead).outcome
            if outcome:
                return outcome


def telling(
    say: Callable[[str], None], what: str, items: Sequence[T], state: str
) -> Callable[[Progress[T]], None]:
    """Return what tells where a search among items stands.

    Args:
        say: what is told a line.
        what: what the items are called.
        items: those that are searched; others that are applied besides do not count.
        state: what is said of those that are applied.
    """
    own = frozenset(items)

    def progress(now: Progress[T]) -> None:
        say(
            f"inside: {count(now.candidate, what)} under suspicion, "
            f"{len(now.subset & own)} of {len(own)} {state}"
        )

    return progress


def first_of(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
