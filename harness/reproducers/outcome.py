"""What programs said of their numbers, and whether that shows the finding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.build.programs import Ran
    from harness.reproducers.reproducer import Side

Fate = Literal["passes", "fails", "crashes", "not compiled", "not tried"]

_LINE = re.compile(r"^\[(?P<run>[^\]]*)\] (?P<what>.*): (?P<end>ok|FAIL)$", re.MULTILINE)
_ERROR = re.compile(r"max error (\S+) \(limit")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one program with one build and set of run options."""

    fate: Fate
    detail: str = ""
    """What it said, or why it said nothing."""
    error: float | None = None
    """The largest absolute error that it told."""


@dataclass(frozen=True, kw_only=True)
class SideOutcome:
    """What became of both programs on one side."""

    side: Side
    alone: Outcome
    test: Outcome

    @property
    def tried(self) -> tuple[tuple[str, Outcome], ...]:
        """The programs that were tried, by what they are called."""
        pairs = (("the stand-alone program", self.alone), ("the test", self.test))
        return tuple((name, each) for name, each in pairs if each.fate != "not tried")


def outcome_of(ran: Ran | None, run: str, missing: str = "") -> Outcome:
    """Return what a program said of a set of run options.

    Args:
        ran: what became of it; None if it was not tried.
        run: what the program calls the set.
        missing: why it was not tried.
    """
    if ran is None:
        return Outcome(fate="not tried", detail=missing)
    if ran.error:
        return Outcome(fate="not compiled", detail=ran.error)
    lines = [found for found in _LINE.finditer(ran.output) if found["run"] == run]
    if not lines:
        return Outcome(fate="crashes", detail=ran.fate)
    errors = [float(found[1]) for line in lines if (found := _ERROR.search(line["what"]))]
    worst = [line for line in lines if line["end"] == "FAIL"] or lines
    return Outcome(
        fate="fails" if worst[0]["end"] == "FAIL" else "passes",
        detail=worst[0]["what"],
        error=max(errors, default=None),
    )


def shortcomings(sides: Iterable[SideOutcome]) -> list[str]:
    """Return what keeps the programs from showing the finding; nothing if they show it.

    A bad side has to fail or crash, a good one to pass, by each program that was tried.
    """
    found = []
    for side in sides:
        right = ("fails", "crashes") if side.side.is_bad else ("passes",)
        where = f"{side.side.words} ({side.side.revision.label}, {side.side.run.name})"
        found += [
            f"{name} {_verb(each)} on the {where} side: {each.detail}"
            for name, each in side.tried
            if each.fate not in right
        ]
        if not side.tried:
            found.append(f"nothing was tried on the {where} side")
    return found


def _verb(outcome: Outcome) -> str:
    return "does not compile" if outcome.fate == "not compiled" else outcome.fate
