"""What is to be measured of a known fault, and whether what was measured is what it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.cases.judgement import CaseOutcome
from harness.domain.formatting import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.advisories.advisory import Advisory
    from harness.cases.judgement import CaseVerdict
    from harness.domain.spec import FlagSet, Revision, RunSpec

OTHER_SIZE = 4.0
"""An error that differs from the one written down by more than this factor is remarked on."""


class Role(StrEnum):
    """Why a case is run in a version."""

    BAD = "bad"
    GOOD = "good"
    FIX = "fix"
    """With what clears it, in a version that has it."""


class TrialState(StrEnum):
    """What came of it."""

    AS_EXPECTED = "as expected"
    DIFFERS = "differs"
    NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A version to run an advisory in."""

    revision: Revision
    faulty: bool
    words: str = ""
    """What it is besides, such as `introduces it`."""

    @property
    def name(self) -> str:
        """The version in messages."""
        return f"{self.revision.label} ({self.words})" if self.words else self.revision.label


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of an advisory's case."""

    advisory: Advisory
    place: Place
    flags: FlagSet
    run: RunSpec
    role: Role

    @property
    def name(self) -> str:
        """The trial in messages."""
        fixed = f" with {self.advisory.fix}" if self.role is Role.FIX else ""
        return f"{self.advisory.id} in {self.place.name}{fixed}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a trial."""

    trial: Trial
    verdict: CaseVerdict | None
    reason: str = ""
    """Why it was not run."""

    @property
    def state(self) -> TrialState:
        """Whether it is as the advisory says."""
        if self.verdict is None:
            return TrialState.NOT_RUN
        right = (
            shows(self.trial.advisory, self.verdict)
            if self.trial.role is Role.BAD
            else is_clean(self.trial.advisory, self.verdict)
        )
        return TrialState.AS_EXPECTED if right else TrialState.DIFFERS

    @property
    def found(self) -> str:
        """What was found, in words."""
        if self.verdict is None:
            return self.reason
        verdict = self.verdict
        kind = f"{verdict.outcome} by {verdict.narrow}" if verdict.narrow else str(verdict.outcome)
        error = f" {number(verdict.error)}" if verdict.error else ""
        return f"{kind}{error}{f' ({verdict.reason})' if verdict.reason else ''}"

    @property
    def remark(self) -> str:
        """What is odd about it though it is as expected; empty if nothing is."""
        wanted = self.trial.advisory.error
        if self.verdict is None or self.trial.role is not Role.BAD or not wanted:
            return ""
        apart = max(self.verdict.error, wanted) / min(self.verdict.error or wanted, wanted)
        if apart <= OTHER_SIZE:
            return ""
        return f"error {number(self.verdict.error)}, not {number(wanted)}"


def shows(advisory: Advisory, verdict: CaseVerdict) -> bool:
    """Return whether a verdict is the fault that an advisory tells of."""
    if advisory.expect == "narrow":
        return verdict.outcome.is_fault and bool(verdict.narrow)
    # Another shape is no fault by itself; here it is known to be one.
    counts = verdict.is_fault or verdict.outcome is CaseOutcome.SHAPE
    return counts and verdict.outcome in _ALIKE.get(advisory.expect, (advisory.expect,))


_ALIKE = {"unstable": (CaseOutcome.UNSTABLE, CaseOutcome.BROKEN, CaseOutcome.DROP)}
"""What nobody wrote may happen to be the same twice."""


def is_clean(advisory: Advisory, verdict: CaseVerdict) -> bool:
    """Return whether a verdict says that there is nothing to report.

    Where the fault is what a narrow format costs, that must be gone, too.
    """
    if advisory.expect == "narrow":
        return verdict.outcome is CaseOutcome.OK
    return verdict.outcome is CaseOutcome.OK or bool(verdict.narrow)


def trials(
    advisory: Advisory,
    places: Sequence[Place],
    flags: FlagSet,
    run: RunSpec,
    fixed: RunSpec | None,
) -> Iterator[Trial]:
    """Yield what is to be measured.

    Args:
        advisory: the fault.
        places: versions.
        flags: the build flags that show it.
        run: the run options that show it.
        fixed: those that clear it; None if it takes something else.
    """
    for place in places:
        role = Role.BAD if place.faulty else Role.GOOD
        first = Trial(advisory=advisory, place=place, flags=flags, run=run, role=role)
        yield first
        if place.faulty and fixed is not None:
            yield replace(first, run=fixed, role=Role.FIX)


def releases(
    advisory: Advisory, known: Mapping[str, Revision]
) -> tuple[list[Place], dict[str, bool]]:
    """Return the releases to run an advisory in, and those that cannot be had, with their state.

    Args:
        advisory: the fault.
        known: where releases come from, by label.
    """
    states = dict.fromkeys(advisory.bad, True) | dict.fromkeys(advisory.good, False)
    places = [
        Place(revision=known[label], faulty=faulty)
        for label, faulty in sorted(states.items())
        if label in known
    ]
    return places, {label: states[label] for label in sorted(states) if label not in known}
