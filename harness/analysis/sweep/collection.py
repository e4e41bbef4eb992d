"""Runs the cases of a sweep in its builds, round by round, and keeps what became of them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from harness.cases.generation import generate
from harness.execution.case_runner import CaseRecord
from harness.util.files import append_line
from harness.util.kept import kept_lines
from harness.util.naming import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.analysis.sweep.bench import CaseBench
    from harness.analysis.sweep.laboratory import SweepSubject
    from harness.cases.layer_case import LayerCase
    from harness.execution.case_runner import Request

PER_ROUND = 10
"""Cases of each layer type in a round: after each, all builds have the same cases."""


@dataclass(frozen=True, kw_only=True)
class CasePlan:
    """Which cases a sweep has."""

    layers: Sequence[str]
    count: int
    """Cases of each layer type."""
    seed: int
    given: Sequence[LayerCase] = ()
    """Cases in place of generated ones."""

    @property
    def size(self) -> int:
        """How many cases there are at most."""
        return len(self.given) or self.count * len(self.layers)

    def rounds(self) -> Iterator[list[LayerCase]]:
        """Yield cases, some of each layer type at a time."""
        if self.given:
            yield list(self.given)
            return
        sources = {kind: generate(kind, seed=self.seed, count=self.count) for kind in self.layers}
        while sources:
            taken = {kind: list(islice(source, PER_ROUND)) for kind, source in sources.items()}
            sources = {kind: source for kind, source in sources.items() if taken[kind]}
            cases = [case for some in taken.values() for case in some]
            if cases:
                yield cases


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What became of the cases so far, on disk."""

    folder: Path
    bench: CaseBench
    advanced: Callable[[str, CaseRecord], None]
    """Told a build, and what became of a case in it."""
    records: dict[str, dict[str, CaseRecord]] = field(default_factory=dict)
    """By build and case."""
    left_out: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    """By build and layer type, why cases were not run, and how many."""

    def recall(self, subjects: Sequence[SweepSubject]) -> int:
        """Read what an interrupted sweep left, and return how many cases that are."""
        for subject in subjects:
            found = kept_lines(
                cases_file(self.folder, subject.label), CaseRecord.model_validate_json
            )
            self.records[subject.label] = {
                record.case: record
                for record in found
                if not any(verdict.lost for verdict in record.verdicts.values())
            }
        return sum(map(len, self.records.values()))

    def run(self, subjects: Sequence[SweepSubject], plan: CasePlan, budget: float) -> int:
        """Run the cases, and return how many of each build were run.

        Args:
            subjects: the versions, as the builds of the bench.
            plan: the cases.
            budget: seconds after which no other round begins; 0 for no limit.
        """
        started, done = time.monotonic(), 0
        for cases in plan.rounds():
            if done and budget and time.monotonic() - started > budget:
                break
            done += len(cases)
            wanted = [self._wanted(subject, cases) for subject in subjects]
            for place, record in self.bench.run_in_each(wanted):
                self._keep(subjects[place].label, record)
        return done

    def _wanted(self, subject: SweepSubject, cases: Sequence[LayerCase]) -> list[Request]:
        """Return what is still to be run in a build, and count what means nothing to it."""
        known = self.records[subject.label]
        wanted: list[Request] = []
        left_out = self.left_out.setdefault(subject.label, {})
        for case in cases:
            if case.id in known:
                continue
            reason = subject.unsupported(case)
            if reason:
                left_out.setdefault(case.type, Counter())[reason] += 1
            else:
                wanted.append((case, subject.runs_of(case)))
        return wanted

    def _keep(self, label: str, record: CaseRecord) -> None:
        self.records[label][record.case] = record
        file = cases_file(self.folder, label)
        append_line(file, record.model_dump_json(exclude_defaults=True), sync=False)
        self.advanced(label, record)


def cases_file(folder: Path, label: str) -> Path:
    """Return where a run directory has what became of the cases in a build."""
    return folder / f"cases-{file_name(label)}.jsonl"
