"""How far a sweep is, in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.domain.formatting import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.execution.case_runner import CaseRecord

ENOUGH = 20
"""Cases after which the time left can be told."""


class SweepProgress:
    """Counts the cases that are done in all builds, and the faults among them."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        cases: int,
        budget: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            say: told how far it is.
            cases: how many there are at most in all builds together.
            budget: seconds that all may take; 0 for no limit.
            clock: tells seconds.
        """
        self._say = say
        self._cases = cases
        self._known = 0
        self._budget = budget
        self._clock = clock
        self._started = clock()
        self._done = 0
        self._faults = 0

    def resumed(self, cases: int) -> None:
        """Take cases for done that an interrupted sweep left."""
        self._known += cases

    def __call__(self, label: str, record: CaseRecord) -> None:
        """Tell that a case has been run in a build."""
        self._done += 1
        self._faults += bool(record.faults)
        done = self._known + self._done
        self._say(
            f"cases: {done} of {max(self._cases, done)}, "
            f"{count(self._faults, 'case')} with faults so far{self._left()} ({label})"
        )

    def _left(self) -> str:
        if self._done < ENOUGH:
            return ""
        gone = self._clock() - self._started
        left = max(0, self._cases - self._known - self._done) * gone / self._done
        if self._budget:
            left = min(left, max(0.0, self._budget - gone))
        return f", about {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time in words, such as `40 s`, `12 min` or `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 90 else f"{minutes} min"
