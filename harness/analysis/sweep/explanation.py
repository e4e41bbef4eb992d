"""From suspects to findings: the smallest case that shows a fault, and what causes it there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.analysis.attribution.causes import attribute
from harness.analysis.attribution.evidence import Table
from harness.analysis.attribution.experiments import ROUNDS, changed_run, suggested
from harness.analysis.sweep.cells import cell_record, finding_id
from harness.analysis.sweep.finding import Explained, SweepFinding
from harness.analysis.sweep.runs import run_words
from harness.analysis.sweep.suspects import CLEAR, FaultKind, FaultState, suspect_groups
from harness.cases.judgement import CaseOutcome
from harness.cases.layer_case import parse_case
from harness.cases.shrinking import shrink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.sweep.laboratory import Laboratory
    from harness.analysis.sweep.suspects import Suspect, SuspectGroup
    from harness.cases.layer_case import LayerCase
    from harness.domain.records import CellRecord
    from harness.domain.spec import RunSpec
    from harness.execution.case_runner import CaseRecord

PER_GROUP = 3
"""Findings that one group of suspects may end in; what is left is counted with the last."""
EXPERIMENTS = 24
"""Runs of the smallest case that may be added to prove a cause; each takes a few milliseconds."""


def explain(
    groups: Sequence[SuspectGroup], laboratory: Laboratory, *, evaluations: int
) -> Iterator[Explained]:
    """Yield findings, in the order of the groups.

    Args:
        groups: what is wrong.
        laboratory: measures cases.
        evaluations: how many cases may be tried to make one smaller.
    """
    told: set[tuple[str, str, tuple[FaultState, ...]]] = set()
    for group in groups:
        left = list(group.suspects)
        for _ in range(PER_GROUP):
            if not left:
                break
            explained = _explained(left, laboratory, evaluations)
            left = _others(left[0], left[1:], explained, laboratory)
            finding = explained.finding
            cases = {s.case for s in group.suspects} - {s.case for s in left}
            finding = finding.model_copy(update={"cases": len(cases)})
            key = (finding.case, finding.run, finding.states)
            if FaultState.BAD in finding.states and key not in told:
                told.add(key)
                yield replace(explained, finding=finding)


def _explained(suspects: Sequence[Suspect], laboratory: Laboratory, evaluations: int) -> Explained:
    """Return the finding of the first suspect."""
    suspect = suspects[0]
    original = smallest = parse_case(suspect.case)
    if suspect.kind is not FaultKind.NARROW:
        # What a narrow format costs is much the same whatever the case.
        smallest = shrink(
            original, lambda case: _shows(case, suspect, laboratory), budget=evaluations
        )
    tables = laboratory.tables(smallest)
    seen = _same_fault(tables, suspect)
    if seen is None:
        # It shows now and then: as it was found it is told, and no smaller.
        smallest, seen, tables = original, suspect, laboratory.tables(original)
    table = _CaseTable(smallest, laboratory)
    for place, record in enumerate(tables):
        if record:
            table.add(place, record, laboratory.subjects[place].runs)
    table.prove()
    records = tuple(table.cells.values())
    finding = SweepFinding(
        id=finding_id(suspect.layer, smallest.id, suspect.kind),
        layer=suspect.layer,
        kind=suspect.kind,
        case=smallest.id,
        found_as=suspect.case,
        run=run_words(laboratory.run(suspect.run)),
        flags=laboratory.bench.records[0].flags,
        builds=tuple(subject.label for subject in laboratory.subjects),
        states=seen.states,
        verdicts=seen.verdicts,
        cases=1,
        cells=tuple(record.cell for record in records),
    )
    return Explained(
        finding=finding,
        records=records,
        causes=attribute(records, laboratory.tolerance),
    )


def _shows(case: LayerCase, suspect: Suspect, laboratory: Laboratory) -> bool:
    """Return whether a case shows the same kind of fault, in the same builds and in no other."""
    tables: list[CaseRecord | None] = [None] * len(laboratory.subjects)
    # The builds that have it first: most cases that are tried do not show it.
    order = sorted(
        range(len(tables)), key=lambda place: suspect.states[place] is not FaultState.BAD
    )
    for place in order:
        if suspect.states[place] is FaultState.UNKNOWN:
            continue
        names = (suspect.run, *sorted(suspect.clean_runs)[:1])
        runs = [run for run in laboratory.subjects[place].runs if run.name in names]
        # What is left in the end is measured again, and told only if it is the same then.
        record = laboratory.record(place, case, runs, confirm=False)
        if record is None or suspect.run not in record.verdicts:
            return False
        tables[place] = record
        is_bad = record.verdicts[suspect.run].outcome is not CaseOutcome.OK
        if is_bad is not (suspect.states[place] is FaultState.BAD):
            return False
    found = _same_fault(tables, suspect)
    # Not one at the very limit, which the next build may be on the other side of by chance.
    return found is not None and found.excess >= min(suspect.excess, CLEAR)


def _same_fault(tables: Sequence[CaseRecord | None], suspect: Suspect) -> Suspect | None:
    """Return the suspect in other tables of one case, if it is the same fault there."""
    groups = suspect_groups([[record] if record else [] for record in tables])
    for group in groups:
        for other in group.suspects if group.states == suspect.states else ():
            if (other.kind, other.run) == (suspect.kind, suspect.run):
                return other
    return None


@dataclass
class _CaseTable:
    """All runs of one case as the cells of a table."""

    case: LayerCase
    laboratory: Laboratory
    cells: dict[str, CellRecord] = field(default_factory=dict)
    specs: dict[str, tuple[int, RunSpec]] = field(default_factory=dict)
    """Build and run options of each cell."""

    def add(
        self, place: int, record: CaseRecord, runs: Sequence[RunSpec], *, experiment: bool = False
    ) -> None:
        """Take in what became of the case in a build."""
        subject = self.laboratory.subjects[place]
        known = {"version": subject.label, "options": dict(subject.defaults)}
        build = self.laboratory.bench.records[place].model_copy(update=known)
        for run in runs:
            if run.name not in record.verdicts:
                continue
            cell = cell_record(
                self.case,
                run,
                record.verdicts[run.name],
                build,
                self.laboratory.tolerance,
                words=run_words(run),
            )
            if cell.cell not in self.cells:
                self.cells[cell.cell] = cell.model_copy(update={"experiment": experiment})
                self.specs[cell.cell] = (place, run)

    def prove(self) -> None:
        """Measure what proves causes, as after a matrix."""
        left = EXPERIMENTS
        for _ in range(ROUNDS):
            new = self._wanted()[:left]
            left -= len(new)
            for place in sorted({place for place, _ in new}):
                runs = [run for there, run in new if there == place]
                record = self.laboratory.record(place, self.case, runs)
                if record:
                    self.add(place, record, runs, experiment=True)
            if not new:
                break

    def _wanted(self) -> list[tuple[int, RunSpec]]:
        """Return the experiments that are still to be done."""
        known = {(place, run_words(run)) for place, run in self.specs.values()}
        wanted: dict[tuple[int, str], tuple[int, RunSpec]] = {}
        for each in suggested(Table(self.cells.values(), self.laboratory.tolerance)):
            if each.needs_build or not all(setting.after for setting in each.change):
                continue
            place, base = self.specs[each.base]
            run = changed_run(base, each.change)
            wanted[place, run_words(run)] = (place, run)
        return [pair for key, pair in wanted.items() if key not in known]


def _others(
    first: Suspect, suspects: Sequence[Suspect], explained: Explained, laboratory: Laboratory
) -> list[Suspect]:
    """Return the suspects of a group that have another fault than its first, which is explained.

    Theirs is the same if what was proved to clear the fault clears it there as well, which is
    measured; and if nothing clears the fault, if it shows with the same options.
    """
    changes = [
        fix.change
        for fix in explained.fixes
        if fix.proved and all(setting.axis == "run" for setting in fix.change)
    ]
    if not changes:
        return [suspect for suspect in suspects if suspect.run not in first.faulty_runs]
    tried = {
        suspect: [
            run
            for change in changes
            if run_words(run := changed_run(laboratory.run(suspect.run), change))
            != run_words(laboratory.run(suspect.run))
        ]
        for suspect in suspects
    }
    left = {suspect: tried[suspect] for suspect in suspects}
    for place in range(len(laboratory.subjects)):
        there = [s for s in suspects if s.states[place] is FaultState.BAD and left[s]]
        records = laboratory.records(place, [(parse_case(s.case), left[s]) for s in there])
        for suspect, record in zip(there, records, strict=True):
            # What clears it in every build that has it.
            left[suspect] = [
                run for run in left[suspect] if record.verdicts[run.name].outcome is CaseOutcome.OK
            ]
    return [suspect for suspect in suspects if not left[suspect]]
