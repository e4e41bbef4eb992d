"""The versions of a sweep, and what measures any case in their builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.cases.sample import has_integer_blobs
from harness.model.integer_blobs import is_quantised
from harness.sources.options import QUANTISED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.analysis.sweep.bench import CaseBench
    from harness.cases.layer_case import LayerCase
    from harness.domain.spec import OptionValue, RunSpec
    from harness.domain.verdict import Tolerance
    from harness.execution.case_runner import CaseRecord


@dataclass(frozen=True, kw_only=True)
class SweepSubject:
    """One version of a sweep, with what is run in its build."""

    label: str
    """Names it in the sweep: the version, or `version#2` for one that is there twice."""
    tree: Path
    """Its source."""
    runs: tuple[RunSpec, ...]
    defaults: Mapping[str, OptionValue]
    """Options as the version sets them by itself, as far as its source tells."""
    unsupported: Callable[[LayerCase], str]
    """Why a case means nothing to this version; empty if it does."""

    narrow_blobs: frozenset[str] = frozenset()
    """Options that have this build keep blobs, those that are fed included, in a narrow format."""

    def runs_of(self, case: LayerCase) -> tuple[RunSpec, ...]:
        """Return what a case is run with.

        Weights in int8 belong to a model, and without int8 inference ncnn does not read them.
        Blobs of integers are between layers in a model: fed as they are here, they would be
        converted as if they were floats.
        """
        runs = self.runs
        if is_quantised(case.layer):
            runs = tuple(run for run in runs if dict(run.options).get(QUANTISED, True))
        if has_integer_blobs(case):
            runs = tuple(run for run in runs if not self._narrows(run))
        return runs

    def _narrows(self, run: RunSpec) -> bool:
        options = {**self.defaults, **dict(run.options)}
        return any(options.get(name) for name in self.narrow_blobs)


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """Measures any case in the builds of a sweep."""

    subjects: Sequence[SweepSubject]
    bench: CaseBench
    """Has their builds, in the same order."""
    tolerance: Tolerance

    def record(
        self, place: int, case: LayerCase, runs: Sequence[RunSpec] = (), *, confirm: bool = True
    ) -> CaseRecord | None:
        """Return what becomes of a case in a build; None if it means nothing to that version.

        Args:
            place: of the build.
            case: any case.
            runs: its run options; by default those of the sweep.
            confirm: whether what looks wrong is measured again by itself.
        """
        subject = self.subjects[place]
        if subject.unsupported(case):
            return None
        requests = [(case, runs or subject.runs_of(case))]
        (record,) = self.bench.run(place, requests, confirm=confirm)
        return record

    def tables(self, case: LayerCase) -> list[CaseRecord | None]:
        """Return what becomes of a case in each build."""
        return [self.record(place, case) for place in range(len(self.subjects))]

    def records(
        self, place: int, requests: Sequence[tuple[LayerCase, Sequence[RunSpec]]]
    ) -> list[CaseRecord]:
        """Return what becomes of several cases in a build."""
        return list(self.bench.run(place, requests))

    def run(self, name: str) -> RunSpec:
        """Return the run options of a name, of the first build that has them."""
        return next(run for subject in self.subjects for run in subject.runs if run.name == name)
