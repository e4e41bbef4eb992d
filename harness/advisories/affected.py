"""Which versions have a fault, by the releases it was seen in and the dates of two commits."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from harness.advisories.condition import NO, YES, Answer
from harness.domain.versions import date_of

if TYPE_CHECKING:
    from harness.advisories.advisory import Advisory

SAME_DAY = datetime.timedelta(days=1)
"""Where a commit and a release are no farther apart, the date does not say which came first."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Releases that have a fault, without one in between that has not."""

    first: str
    last: str
    before: str
    """The last one without it; empty if none is known."""
    after: str
    """The first one without it again; empty if none is known."""

    @property
    def words(self) -> str:
        """The span, such as `20250428 to 20250916, repaired in 20260113`."""
        if not self.after:
            return f"{'' if self.before else 'at least '}since {self.first}"
        place = self.first if self.first == self.last else f"{self.first} to {self.last}"
        return f"{place}, repaired in {self.after}"


def affected(advisory: Advisory, version: str) -> Answer:
    """Return whether a version has a fault.

    A version between two releases that have it has it, too; on the way from one without to one with
    it, or back, the date of the commit decides, where it is known.

    Args:
        advisory: the fault.
        version: a label with a date, such as `20250910`.
    """
    states = releases(advisory)
    if version in states:
        return YES if states[version] else NO
    day = date_of(version)
    if not day:
        return Answer(met=None, missing=(f"the date of version {version}",))
    older = [has for release, has in states.items() if date_of(release) <= day]
    newer = [has for release, has in states.items() if date_of(release) >= day]
    before = older[-1] if older else None
    after = newer[0] if newer else None
    if before is after:
        return YES if before else NO
    if after:
        return _changed(advisory, version, "introduced", becomes=True)
    if before:
        return _changed(advisory, version, "repaired", becomes=False)
    return NO


def _changed(advisory: Advisory, version: str, what: str, *, becomes: bool) -> Answer:
    """Return the state of a version in a gap in which it changes, by the date of the commit."""
    day = datetime.date.fromisoformat(date_of(version))
    on: datetime.date | None = getattr(advisory, f"{what}_on")
    commit = getattr(advisory, what)
    if on is not None and abs(day - on) > SAME_DAY and _within(on, advisory, day):
        return YES if (day > on) is becomes else NO
    named = f" by commit {commit}" if commit else ""
    return Answer(met=None, missing=(f"whether it is {what}{named} in version {version}",))


def _within(on: datetime.date, advisory: Advisory, day: datetime.date) -> bool:
    """Whether a commit lies between the same two known releases as a day."""
    known = [datetime.date.fromisoformat(date_of(release)) for release in releases(advisory)]
    return not any(min(on, day) < other <= max(on, day) - SAME_DAY for other in known)


def span(advisory: Advisory, version: str) -> Span:
    """Return the span of a fault in which a version lies, or the nearest one."""
    runs = [
        (has, tuple(release for release, _ in group))
        for has, group in groupby(releases(advisory).items(), key=lambda item: item[1])
    ]
    spans = [
        Span(
            first=same[0],
            last=same[-1],
            before=runs[at - 1][1][-1] if at else "",
            after=runs[at + 1][1][0] if at + 1 < len(runs) else "",
        )
        for at, (has, same) in enumerate(runs)
        if has
    ]
    day = date_of(version)
    return next((s for s in spans if day <= date_of(s.last)), spans[-1])


def releases(advisory: Advisory) -> dict[str, bool]:
    """Return whether each known release has the fault, oldest first."""
    states = dict.fromkeys(advisory.bad, True) | dict.fromkeys(advisory.good, False)
    return dict(sorted(states.items()))
