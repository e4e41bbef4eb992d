"""From suspects to findings: the smallest case that shows a fault, and what causes it there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.attribution.causes import attribute
from harness.analysis.attribution.evidence import Table
from harness.analysis.attribution.experiments import ROUNDS, changed_run, suggested
from harness.analysis.sweep.cells import cell_record, finding_id
from harness.analysis.sweep.runs import run_words
from harness.analysis.sweep.suspects import FaultKind, State, suspect_groups
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.cases.layer_case import parse_case
from harness.cases.shrinking import shrink
from harness.domain.base import StoredValue
from harness.model.integer_blobs import is_quantised
from harness.sources.options import QUANTISED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.analysis.attribution.causes import Cause
    from harness.analysis.sweep.suspects import Suspect, SuspectGroup
    from harness.build.builder import Build
    from harness.cases.layer_case import LayerCase
    from harness.domain.records import CellRecord
    from harness.domain.spec import OptionValue, RunSpec
    from harness.domain.verdict import Tolerance
    from harness.execution.case_runner import CaseRecord, CaseRunner

PER_GROUP = 3
"""Findings that one group of suspects may end in; what is left is counted with the last."""
EXPERIMENTS = 24
"""Runs of the smallest case that may be added to prove a cause; each takes a few milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One build of a sweep, with what is run in it."""

    label: str
    """Names it in the sweep: the version, or `version#2` for one that is there twice."""
    build: Build
    runs: tuple[RunSpec, ...]
    defaults: Mapping[str, OptionValue]
    """Options as the version sets them by itself, as far as its source tells."""
    unsupported: Callable[[LayerCase], str]
    """Why a case means nothing to this version; empty if it does."""

    def runs_of(self, case: LayerCase) -> tuple[RunSpec, ...]:
        """Return what a case is run with.

        Weights in int8 belong to a model, and without int8 inference ncnn does not read them.
        """
        if not is_quantised(case.layer):
            return self.runs
        return tuple(run for run in self.runs if dict(run.options).get(QUANTISED, True))


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """Measures any case in the builds of a sweep."""

    subjects: Sequence[Subject]
    runner: CaseRunner
    tolerance: Tolerance

    def record(
        self, place: int, case: LayerCase, runs: Sequence[RunSpec] = ()
    ) -> CaseRecord | None:
        """Return what becomes of a case in a build; None if it means nothing to that version."""
        subject = self.subjects[place]
        if subject.unsupported(case):
            return None
        (record,) = self.records(place, [(case, runs or subject.runs_of(case))])
        return record

    def records(
        self, place: int, requests: Sequence[tuple[LayerCase, Sequence[RunSpec]]]
    ) -> list[CaseRecord]:
        """Return what becomes of several cases in a build."""
        return list(self.runner.run(self.subjects[place].build, requests))


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
    states: tuple[State, ...]
    """What each of them does with the smallest case."""
    verdicts: tuple[CaseVerdict | None, ...]
    cases: int
    """How many cases of the sweep show it."""
    cells: tuple[str, ...] = ()
    """Ids of the cells that its causes rest on."""

    @property
    def bad(self) -> tuple[str, ...]:
        """The builds that have it."""
        return self._where(State.BAD)

    @property
    def good(self) -> tuple[str, ...]:
        """The builds that do not have it."""
        return self._where(State.GOOD)

    @property
    def is_change(self) -> bool:
        """Whether builds differ in it."""
        return bool(self.bad and self.good)

    @property
    def worst(self) -> CaseVerdict:
        """The verdict of the build that has it worst."""
        bad = [v for v, s in zip(self.verdicts, self.states, strict=True) if v and s is State.BAD]
        return max(bad, key=lambda verdict: verdict.error)

    def _where(self, state: State) -> tuple[str, ...]:
        return tuple(b for b, s in zip(self.builds, self.states, strict=True) if s is state)


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A finding with the cells that it rests on."""

    finding: SweepFinding
    records: tuple[CellRecord, ...]
    causes: tuple[Cause, ...]


def explain(
    groups: Sequence[SuspectGroup], laboratory: Laboratory, *, evaluations: int
) -> Iterator[Explained]:
    """Yield findings, in the order of the groups.

    Args:
        groups: what is wrong.
        laboratory: measures cases.
        evaluations: how many cases may be tried to make one smaller.
    """
    told: set[tuple[str, str, tuple[State, ...]]] = set()
    for group in groups:
        left = list(group.suspects)
        for _ in range(PER_GROUP):
            if not left:
                break
            explained = _explained(left, laboratory, evaluations)
            left = _others(left[1:], explained, laboratory)
            finding = explained.finding
            cases = {s.case for s in group.suspects} - {s.case for s in left}
            finding = finding.model_copy(update={"cases": len(cases)})
            key = (finding.case, finding.run, finding.states)
            if State.BAD in finding.states and key not in told:
                told.add(key)
                yield replace(explained, finding=finding)


def _explained(suspects: Sequence[Suspect], laboratory: Laboratory, evaluations: int) -> Explained:
    """Return the finding of the first suspect."""
    suspect = suspects[0]
    original = parse_case(suspect.case)
    smallest = shrink(
        original,
        lambda case: _shows(case, suspect, laboratory),
        budget=evaluations,
    )
    tables = [laboratory.record(place, smallest) for place in range(len(laboratory.subjects))]
    seen = _same_fault(tables, suspect)
    if seen is None:
        # It shows now and then: as it was found it is told, and no smaller.
        smallest, seen = original, suspect
    records = _records(smallest, tables, laboratory)
    run = _run(suspect.run, laboratory)
    finding = SweepFinding(
        id=finding_id(suspect.layer, smallest.id, suspect.kind),
        layer=suspect.layer,
        kind=suspect.kind,
        case=smallest.id,
        found_as=suspect.case,
        run=run_words(run),
        flags=laboratory.subjects[0].build.record.flags,
        builds=tuple(subject.label for subject in laboratory.subjects),
        states=seen.states,
        verdicts=seen.verdicts,
        cases=1,
        cells=tuple(record.cell for record in records),
    )
    return Explained(
        finding=finding,
        records=tuple(records),
        causes=attribute(records, laboratory.tolerance),
    )


def _run(name: str, laboratory: Laboratory) -> RunSpec:
    return next(run for subject in laboratory.subjects for run in subject.runs if run.name == name)


def _shows(case: LayerCase, suspect: Suspect, laboratory: Laboratory) -> bool:
    """Return whether a case shows the same kind of fault, in the same builds and in no other."""
    tables: list[CaseRecord | None] = [None] * len(laboratory.subjects)
    # The builds that have it first: most cases that are tried do not show it.
    order = sorted(range(len(tables)), key=lambda place: suspect.states[place] is not State.BAD)
    for place in order:
        if suspect.states[place] is State.UNKNOWN:
            continue
        names = (suspect.run, *sorted(suspect.clean_runs)[:1])
        runs = [run for run in laboratory.subjects[place].runs if run.name in names]
        record = laboratory.record(place, case, runs)
        if record is None or suspect.run not in record.verdicts:
            return False
        tables[place] = record
        if suspect.states[place] is State.BAD and not record.verdicts[suspect.run].outcome.is_fault:
            if suspect.kind is not FaultKind.REFUSAL:
                return False
    return _same_fault(tables, suspect) is not None


def _same_fault(tables: Sequence[CaseRecord | None], suspect: Suspect) -> Suspect | None:
    """Return the suspect in other tables of one case, if it is the same fault there."""
    groups = suspect_groups([[record] if record else [] for record in tables])
    for group in groups:
        for other in group.suspects if group.states == suspect.states else ():
            if (other.kind, other.run) == (suspect.kind, suspect.run):
                return other
    return None


def _records(
    case: LayerCase, tables: Sequence[CaseRecord | None], laboratory: Laboratory
) -> list[CellRecord]:
    """Return all runs of a case as cells, with what proves its causes beside them."""
    found: dict[str, CellRecord] = {}
    specs: dict[str, tuple[int, RunSpec]] = {}

    def add(place: int, record: CaseRecord, runs: Sequence[RunSpec], *, experiment: bool) -> None:
        subject = laboratory.subjects[place]
        known = {"version": subject.label, "options": dict(subject.defaults)}
        build = subject.build.record.model_copy(update=known)
        for run in runs:
            if run.name not in record.verdicts:
                continue
            cell = cell_record(
                case,
                run,
                record.verdicts[run.name],
                build,
                laboratory.tolerance,
                words=run_words(run),
            )
            if cell.cell not in found:
                found[cell.cell] = cell.model_copy(update={"experiment": experiment})
                specs[cell.cell] = (place, run)

    for place, record in enumerate(tables):
        if record:
            add(place, record, laboratory.subjects[place].runs, experiment=False)
    left = EXPERIMENTS
    for _ in range(ROUNDS):
        wanted = [
            (specs[each.base][0], changed_run(specs[each.base][1], each.change))
            for each in suggested(Table(found.values(), laboratory.tolerance))
            if not each.needs_build and all(setting.after for setting in each.change)
        ]
        known = {(place, run_words(run)) for place, run in specs.values()}
        new = [pair for pair in wanted if (pair[0], run_words(pair[1])) not in known][:left]
        if not new:
            break
        left -= len(new)
        for place, run in new:
            measured = laboratory.record(place, case, [run])
            if measured:
                add(place, measured, [run], experiment=True)
    return list(found.values())


def _others(
    suspects: Sequence[Suspect], explained: Explained, laboratory: Laboratory
) -> list[Suspect]:
    """Return the suspects of the group that have another fault than the one explained.

    Theirs is the same if what was proved to clear the fault clears it there as well, which is
    measured; and if nothing clears the fault, if no options do there.
    """
    changes = [
        fix.change
        for cause in explained.causes
        for fix in cause.fixes
        if fix.proved and all(setting.axis == "run" for setting in fix.change)
    ]
    if not changes:
        return [suspect for suspect in suspects if suspect.clean_runs]
    tried = {
        suspect: [
            run
            for change in changes
            if run_words(run := changed_run(_run(suspect.run, laboratory), change))
            != run_words(_run(suspect.run, laboratory))
        ]
        for suspect in suspects
    }
    left = {suspect: tried[suspect] for suspect in suspects}
    for place in range(len(laboratory.subjects)):
        there = [s for s in suspects if s.states[place] is State.BAD and left[s]]
        records = laboratory.records(place, [(parse_case(s.case), left[s]) for s in there])
        for suspect, record in zip(there, records, strict=True):
            # What clears it in every build that has it.
            left[suspect] = [
                run for run in left[suspect] if record.verdicts[run.name].outcome is CaseOutcome.OK
            ]
    return [suspect for suspect in suspects if not left[suspect]]
