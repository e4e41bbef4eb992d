"""What a worker is given to do of a sweep: a build, or cases in one.

As in `unit`, what comes of it depends on what it is given, and on the kind of the worker.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distributed import get_worker

from harness.analysis.sweep.bench import labelled
from harness.cluster.unit import station_of
from harness.execution import case_worker
from harness.execution.case_runner import CaseRunner
from harness.execution.cell_runner import machine
from harness.util.process import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.build.builder import Build
    from harness.cluster.unit import Settings
    from harness.domain.records import BuildRecord
    from harness.domain.spec import BuildSpec, RunSpec
    from harness.execution.case_runner import CaseRecord, Request

_idle: list[Processes] = []
"""Where the imports of processes for cases are done already."""


@dataclass(frozen=True, kw_only=True)
class SweepBuilt:
    """What a worker says of a build of its."""

    record: BuildRecord
    machine: Mapping[str, str]


def make(settings: Settings, spec: BuildSpec) -> SweepBuilt:
    """Compile a version, unless that was done already.

    Args:
        settings: those of the sweep.
        spec: with the layers that are wanted, as far as the version has them; None for all.

    Raises:
        HarnessError: it cannot be had or built.
    """
    record = labelled(_build(settings, spec).record, spec.revision)
    return SweepBuilt(record=record, machine=machine())


def run(
    settings: Settings,
    spec: BuildSpec,
    exact: RunSpec,
    requests: Sequence[Request],
    confirm: bool,
) -> list[CaseRecord]:
    """Run cases in a build, which is made if it is not there.

    Args:
        settings: those of the sweep.
        spec: as of `make`.
        exact: the most exact options.
        requests: the cases; as many processes run them as the worker has threads.
        confirm: whether what looks wrong is measured again by itself.

    Raises:
        HarnessError: the build cannot be had, or something stops this worker.
    """
    build, station = _build(settings, spec), station_of(settings)
    with _processes() as processes:
        runner = CaseRunner(
            binding=station.binding.result,
            tolerance=settings.config.tolerance,
            exact=exact,
            memory_bytes=settings.config.limits.memory_bytes,
            workers=get_worker().state.nthreads,
            processes=processes,
        )
        return list(runner.run(build, requests, confirm=confirm))


def _build(settings: Settings, spec: BuildSpec) -> Build:
    resolver = station_of(settings).resolver
    return resolver.build_with(spec.revision, spec.flags, spec.layers)


@contextmanager
def _processes() -> Iterator[Processes]:
    """Yield what starts processes for cases; after an error it would start no more."""
    taken = _idle.pop() if _idle else Processes(preload=case_worker)
    yield taken
    _idle.append(taken)
