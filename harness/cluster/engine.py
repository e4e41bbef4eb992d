"""Runs cells on a Dask cluster: each build once, its cells where it is."""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dask.utils import parse_timedelta
from distributed import as_completed
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from harness.build.toolchain import layer_arch
from harness.cluster import unit
from harness.cluster.capability import BUILD, as_resources, lacking, required
from harness.cluster.parcel import packed
from harness.domain.records import Failure, Verdict
from harness.execution.engine import ModelAtHand, NoModel, groups
from harness.execution.making import NotBuilt, blank
from harness.execution.progress import (
    BuildAdvanced,
    BuildFinished,
    BuildStarted,
    CellFinished,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from distributed import Future

    from harness.cluster.connection import Cluster
    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec, ModelSpec
    from harness.execution.cell_runner import CellRunner
    from harness.execution.progress import MatrixEvent

LONG_SECONDS = parse_timedelta("1 day")
"""How long nothing may come of a cluster that is there."""


@dataclass(frozen=True, kw_only=True)
class ClusterEngine:
    """Builds and runs on whatever workers a scheduler has."""

    cluster: Cluster
    settings: unit.Settings
    models: Mapping[ModelSpec, ModelAtHand | NoModel]
    runner: CellRunner
    """Makes the records of cells that are not run; it runs none."""
    notify: Callable[[MatrixEvent], None]
    _sent: dict[ModelSpec | None, Future] = field(default_factory=dict, repr=False)

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        """Yield one record per cell, in the order in which they finish.

        Raises:
            MachineError: the scheduler is gone.
        """
        work = _Work(self)
        self.cluster.client.subscribe_topic(unit.TOPIC, self._told)
        try:
            for record in work.records(cells):
                self.notify(CellFinished(record=record))
                yield record
        finally:
            work.cancel()
            self.cluster.client.unsubscribe_topic(unit.TOPIC)

    def has_build(self, spec: BuildSpec) -> bool:
        """Return whether a worker has a build, so that its cells cost no compilation."""
        found = self.cluster.client.run(unit.is_made, self.settings, spec, on_error="ignore")
        return any(found.values())

    def parcel(self, spec: ModelSpec) -> Future:
        """Return a model with its inputs, which travels to each worker once."""
        if spec not in self._sent:
            at_hand = self.models[spec]
            assert isinstance(at_hand, ModelAtHand)
            self._sent[spec] = self._send(f"model {spec.name} {spec.label}", packed(at_hand))
        return self._sent[spec]

    def common(self) -> Future:
        """Return the settings, which travel to each worker once as well."""
        if None not in self._sent:
            self._sent[None] = self._send("settings", self.settings)
        return self._sent[None]

    def _send(self, name: str, value: object) -> Future:
        """Hand something to the scheduler, which gives it to each worker that needs it."""
        # What is scattered is lost with the worker that has it; a task's argument is not.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            return self.cluster.client.submit(
                _same, value, key=f"{name} {uuid4().hex[:8]}", priority=2
            )

    def _told(self, event: tuple[float, dict[str, Any]]) -> None:
        """Show what a worker is at."""
        _, words = event
        build = f"{words['build']} on {words['name']}"
        if "done" in words:
            self.notify(BuildAdvanced(build=build, done=words["done"], total=words["total"]))
        else:
            self.notify(BuildStarted(build=build))


def _same(value: object) -> object:
    return value


class _Work:
    """One call of the engine: what is under way, and what comes of it."""

    def __init__(self, engine: ClusterEngine) -> None:
        self.engine = engine
        self.client = engine.cluster.client
        self.token = uuid4().hex[:8]
        self.builds: dict[Future, tuple[BuildSpec, list[CellSpec]]] = {}
        self.runs: dict[Future, list[CellSpec]] = {}
        self.completed = as_completed(loop=self.client.loop, timeout=LONG_SECONDS)

    def records(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        workers = self.engine.cluster.workers()
        arch = layer_arch()
        able: dict[BuildSpec, list[CellSpec]] = defaultdict(list)
        reasons: dict[frozenset[str], str] = {}
        for cell in cells:
            model = self.engine.models[cell.model]
            needed = required([cell], arch)
            if needed not in reasons:
                reasons[needed] = lacking(needed, workers)
            why = reasons[needed]
            if isinstance(model, NoModel):
                yield self.engine.runner.unrun(cell, model.build(cell.build))
            elif why:
                yield self._unrun(cell, Verdict.SKIPPED, why)
            else:
                able[cell.build].append(cell)
        for spec in dict.fromkeys(cell.build for cell in cells):
            if spec in able:
                self._start_build(spec, able[spec], arch)
            else:
                why = "no worker can run it"
                self.engine.notify(BuildFinished(build=spec.id, left_out=why))
        try:
            while self.builds or self.runs:
                future = next(self.completed)
                if future in self.builds:
                    yield from self._built(future)
                else:
                    yield from self._ran(future)
        except (OSError, TimeoutError, FutureCancelledError, StopIteration) as error:
            raise self.engine.cluster.gone() from error

    def cancel(self) -> None:
        """Let go of what is still under way."""
        if left := [*self.builds, *self.runs]:
            self.client.cancel(left, force=True)

    def _start_build(self, spec: BuildSpec, cells: list[CellSpec], arch: str) -> None:
        needed = as_resources([*required(cells, arch), BUILD], 1)
        future = self.client.submit(
            unit.make,
            self.engine.common(),
            spec,
            key=f"build {spec.id} {self.token}-{len(self.builds)}",
            resources=needed,
        )
        self.builds[future] = (spec, cells)
        self.completed.add(future)

    def _built(self, future: Future) -> Iterator[CellRecord]:
        """Start the cells of a build where it is, or yield what stands in for them."""
        spec, cells = self.builds.pop(future)
        error = _error_of(future)
        if error is not None:
            verdict, reason = _blamed(error, Verdict.BUILD_FAILED)
            self.engine.notify(BuildFinished(build=spec.id, error=reason))
            for cell in cells:
                yield self._unrun(cell, verdict, reason)
            return
        made: unit.Made = future.result()
        if made.instead:
            self.engine.notify(_finished(spec, made.instead))
            for cell in cells:
                yield self.engine.runner.unrun(cell, made.instead)
            return
        self.engine.notify(
            BuildFinished(
                build=spec.id,
                seconds=made.seconds,
                cached=made.cached,
                untrimmed=made.untrimmed,
            )
        )
        places = [address for held in self.client.who_has([future]).values() for address in held]
        for group in groups(cells):
            self._start_run(group, places)

    def _start_run(self, cells: list[CellSpec], places: list[str]) -> None:
        """Run cells where their build is; where that worker is gone, another makes it again."""
        future = self.client.submit(
            unit.run,
            self.engine.common(),
            cells,
            self.engine.parcel(cells[0].model),
            key=f"run {cells[0].place} {self.token}-{uuid4().hex[:8]}",
            resources=as_resources(required(cells, layer_arch()), 1),
            workers=places or None,
            allow_other_workers=bool(places),
            priority=1,
        )
        self.runs[future] = cells
        self.completed.add(future)

    def _ran(self, future: Future) -> Iterator[CellRecord]:
        cells = self.runs.pop(future)
        error = _error_of(future)
        if error is None:
            records: list[CellRecord] = future.result()
            yield from records
            return
        verdict, reason = _blamed(error, Verdict.BROKEN)
        for cell in cells:
            yield self._unrun(cell, verdict, reason)

    def _unrun(self, cell: CellSpec, verdict: Verdict, reason: str) -> CellRecord:
        instead = NotBuilt(verdict=verdict, reason=reason, record=blank(cell.build))
        record = self.engine.runner.unrun(cell, instead)
        failure = {Verdict.BROKEN: Failure.RUN, Verdict.SKIPPED: Failure.MACHINE}.get(verdict)
        return record.model_copy(update={"failure": failure})


def _error_of(future: Future) -> BaseException | None:
    """Return what ended a unit; None if it ended well.

    Raises:
        FutureCancelledError: the scheduler forgot it.
    """
    if future.cancelled():
        raise FutureCancelledError(key=future.key, reason="lost")
    error: BaseException | None = future.exception()
    return error


def _blamed(error: BaseException, if_killed: Verdict) -> tuple[Verdict, str]:
    """Return verdict and reason of what gave an error in place of a result."""
    if isinstance(error, KilledWorker):
        return if_killed, f"it ended its worker, {error.allowed_failures + 1} times"
    return Verdict.SKIPPED, f"{type(error).__name__} on its worker: {error}"


def _finished(spec: BuildSpec, instead: NotBuilt) -> BuildFinished:
    """Return how progress tells of a build that is not to be had."""
    if instead.verdict is Verdict.BUILD_FAILED:
        return BuildFinished(build=spec.id, error=instead.reason)
    return BuildFinished(build=spec.id, left_out=instead.reason)
