"""What a search asks for next, and what it ends with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.domain.outcomes import Outcome

CERTAIN = 0.99
"""An answer that is less certain is a guess and is called one."""


class TransitionChoice(StrEnum):
    """Which of several transitions is bisected."""

    LAST = "last"
    """The last one in the direction asked for: it explains why the newer end is as it is."""
    FIRST = "first"
    ALL = "all"
    """Each one, in both directions."""


class Purpose(StrEnum):
    """Why a point is to be measured."""

    END = "end"
    SCAN = "scan"
    SEARCH = "search"
    CHECK = "check"
    """Is it still as after the change that was found?"""
    CONFIRM = "confirm"
    """It was measured before; the measurement must be a new one, not a remembered one."""


@dataclass(frozen=True)
class Probe:
    """The next point to measure."""

    index: int
    purpose: Purpose


@dataclass(frozen=True)
class Transition:
    """Two points with different verdicts and none in between that could be tested."""

    before: int
    after: int
    becomes: Outcome
    """`BAD` or `GOOD`: the verdict of `after`, and the opposite of that of `before`."""
    suspects: tuple[int, ...]
    """The points of which one made the change."""


class AnswerKind(StrEnum):
    """How a search ended."""

    FOUND = "found"
    SUSPECTS = "suspects"
    """One of several points made the change; those between cannot be tested."""
    NOT_REPRODUCIBLE = "not-reproducible"
    """Both ends have the same verdict."""
    SWAPPED = "swapped"
    """The good end is bad and the bad end is good."""
    UNTESTABLE = "untestable"
    """An end has no verdict."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The end of a search."""

    kind: AnswerKind
    reason: str
    """What was seen, as a sentence without numbers or names of revisions."""
    transition: Transition | None = None
    """The one asked for; with `Target.ALL` the last in the direction asked for."""
    certainty: float = 0.0
    """Probability that the points at both of its sides are as said."""
    checked: tuple[int, ...] = ()
    """Points after it that were clearly measured, up to the last one: all as after the change."""
    transitions: tuple[Transition, ...] = ()
    """All that the measurements show, oldest first; those not asked for are not narrowed."""
    doubtful: tuple[int, ...] = ()
    """Sides of the bisected transitions whose verdict was near the threshold, if repeatable."""
    unstable: tuple[int, ...] = ()
    """Points whose measurements contradict each other; they were treated as not testable."""
    untested: tuple[int, ...] = ()
    """Suspects never tried, because too many before them could not be tested."""

    @property
    def suspects(self) -> tuple[int, ...]:
        """The points of which one made the change asked for; exactly one if it was found."""
        return self.transition.suspects if self.transition else ()
