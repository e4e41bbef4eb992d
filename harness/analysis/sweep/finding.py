"""What a sweep finds, as values that are written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.sweep.suspects import FaultKind, FaultState
from harness.cases.judgement import CaseVerdict
from harness.domain.base import StoredValue
from harness.domain.spec import THREADS

if TYPE_CHECKING:
    from harness.analysis.attribution.causes import Cause, Fix
    from harness.domain.records import CellRecord


class CommitFound(StoredValue):
    """What a bisection says of one change of a finding."""

    before: str
    """The version before it; empty where it was looked for in all older ones."""
    after: str
    """The version behind it."""
    becomes_bad: bool
    """Whether the fault comes, or goes."""
    commit: str = ""
    """Full hash, or the release where there is no history; empty if it is not one."""
    title: str = ""
    certainty: float = 1.0
    suspects: tuple[str, ...] = ()
    """Where several were left."""
    problem: str = ""
    """Why there is no answer."""


class SweepFinding(StoredValue):
    """A fault of a layer, by the smallest case that shows it."""

    id: str
    layer: str
    kind: FaultKind
    case: str
    """Id of the smallest case."""
    found_as: str
    """Id of the case that it was found with."""
    run: str
    """Run options that show it, as `--run` takes them."""
    flags: str
    builds: tuple[str, ...]
    """Labels of the builds that were compared, oldest first."""
    states: tuple[FaultState, ...]
    """What each of them does with the smallest case."""
    verdicts: tuple[CaseVerdict | None, ...]
    cases: int
    """How many cases of the sweep show it."""
    cells: tuple[str, ...] = ()
    """Ids of the cells that its causes rest on."""
    commits: tuple[CommitFound, ...] = ()
    """What made each change, where that was bisected."""

    @property
    def bad(self) -> tuple[str, ...]:
        """The builds that have it."""
        return self._where(FaultState.BAD)

    @property
    def good(self) -> tuple[str, ...]:
        """The builds that do not have it."""
        return self._where(FaultState.GOOD)

    @property
    def is_change(self) -> bool:
        """Whether builds differ in it."""
        return bool(self.bad and self.good)

    @property
    def worst(self) -> CaseVerdict:
        """The verdict of the build that has it worst."""
        bad = [
            v for v, s in zip(self.verdicts, self.states, strict=True) if v and s is FaultState.BAD
        ]
        return max(bad, key=lambda verdict: verdict.error)

    def _where(self, state: FaultState) -> tuple[str, ...]:
        return tuple(b for b, s in zip(self.builds, self.states, strict=True) if s is state)


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A finding with the cells that it rests on."""

    finding: SweepFinding
    records: tuple[CellRecord, ...]
    causes: tuple[Cause, ...]

    @property
    def shown_by(self) -> tuple[CellRecord, ...]:
        """The cells that show it: of its own run options, in the builds that have it."""
        return tuple(
            record
            for record in self.records
            if record.run == self.finding.run and record.version in self.finding.bad
        )

    @property
    def fixes(self) -> tuple[Fix, ...]:
        """What stops the finding with its own run options, those that were proved first.

        Another number of threads than one is left out: where it stops a fault it does so by how
        this case is divided, and the next one is divided otherwise. So is what makes wrong values
        imprecise ones.
        """
        clean = {record.cell for record in self.records if record.verdict.is_clean}
        own = {record.cell for record in self.shown_by}
        found = [
            fix
            for cause in self.causes
            for fix in cause.fixes
            if any(cell in own and other in clean for cell, other in fix.pairs)
            and not _divides_otherwise(fix)
        ]
        return tuple(sorted(found, key=lambda fix: not fix.proved))


def _divides_otherwise(fix: Fix) -> bool:
    return any(setting.name == THREADS and setting.after != "1" for setting in fix.change)
