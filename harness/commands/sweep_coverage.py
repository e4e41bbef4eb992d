"""What a sweep's cases reach of the sources: they run once more in builds that count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.sweep.coverage import layer_coverage
from harness.build.coverage import Counts
from harness.domain.coverage import BuildCoverage
from harness.execution.case_counter import CaseCounter
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from harness.analysis.sweep.laboratory import SweepSubject
    from harness.build.builder import Build
    from harness.build.toolchain import Compiler
    from harness.cases.layer_case import LayerCase
    from harness.execution.case_runner import CaseRunner

_SOURCES = (".cpp", ".h", ".comp")


@dataclass(frozen=True, kw_only=True)
class CoverageWork:
    """Counts what cases reach in builds that count."""

    runner: CaseRunner
    compiler: Compiler
    flags: str
    """Name of the flag set that was asked for."""
    advanced: Callable[[str, int, int], None]
    """Told a build, how many of its cases are done, and of how many."""

    def of(self, subject: SweepSubject, build: Build, cases: Iterable[LayerCase]) -> BuildCoverage:
        """Return what cases reach in a build.

        Args:
            subject: a version.
            build: its build `with_coverage`.
            cases: those that mean something to it.

        Raises:
            MachineError: there is no gcov of its compiler, or it cannot read what was counted.
        """
        core, requests = build.core, [(case, subject.runs_of(case)) for case in cases]
        with scratch_directory("coverage-") as folder:
            counts = Counts.begun(core, self.compiler, folder)
            counter = CaseCounter(runner=self.runner, build=build, counts=counts)
            done = lost = 0
            for cases_done, runs_lost in counter.run(requests):
                done += cases_done
                lost += runs_lost
                self.advanced(subject.label, done, len(requests))
            layers = layer_coverage(
                counts.reports(),
                {case.type for case, _ in requests},
                layer_sources(subject.tree),
                counts.linked(core),
            )
        return BuildCoverage(
            build=subject.label,
            flags=self.flags,
            compiler=build.record.compiler,
            cases=len(requests),
            lost=lost,
            layers=layers,
        )


def layer_sources(tree: Path) -> Iterator[str]:
    """Yield the sources of a version's layers, by their paths below `src/layer`."""
    folder = tree / "src" / "layer"
    for path in folder.rglob("*"):
        if path.suffix in _SOURCES:
            yield path.relative_to(folder).as_posix()
