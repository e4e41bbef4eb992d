"""Runs cells on a Dask cluster: each build once, its cells where it is."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from distributed import as_completed
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from harness.build.toolchain import layer_arch
from harness.cluster import unit as unit_work
from harness.cluster.capability import lacking, required
from harness.cluster.parcel import packed
from harness.cluster.placement import TRIES, Placement, Unit, is_to_blame
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

TICK_SECONDS = 0.01
CHECK_SECONDS = 1.0
"""How often it is looked which workers there are."""


@dataclass(frozen=True, kw_only=True)
class ClusterEngine:
    """Builds and runs on whatever workers a scheduler has."""

    cluster: Cluster
    settings: unit_work.Settings
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
        self.cluster.client.subscribe_topic(unit_work.TOPIC, self._told)
        try:
            for record in work.records(cells):
                self.notify(CellFinished(record=record))
                yield record
        finally:
            work.cancel()
            self.cluster.client.unsubscribe_topic(unit_work.TOPIC)

    def has_build(self, spec: BuildSpec) -> bool:
        """Return whether a worker has a build, so that its cells cost no compilation."""
        found = self.cluster.client.run(unit_work.is_made, self.settings, spec, on_error="ignore")
        return any(found.values())

    def parcel(self, spec: ModelSpec) -> Future:
        """Return a model with its inputs, which travels to each worker once."""
        if spec not in self._sent:
            at_hand = self.models[spec]
            assert isinstance(at_hand, ModelAtHand)
            self._sent[spec] = self._send(f"model {spec.name} {spec.label}", packed(at_hand))
        return self._sent[spec]

    def settings_future(self) -> Future:
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
        self.placement = Placement()
        self.running: dict[Future, tuple[Unit, str]] = {}
        self.completed = as_completed(loop=self.client.loop)

    def records(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        arch = layer_arch()
        workers = self.engine.cluster.workers()
        self.placement.update(workers)
        offers = {address: worker.offers for address, worker in workers.items()}
        able: dict[BuildSpec, list[CellSpec]] = defaultdict(list)
        reasons: dict[frozenset[str], str] = {}
        for cell in cells:
            model = self.engine.models[cell.model]
            needed = required([cell], arch)
            if needed not in reasons:
                reasons[needed] = lacking(needed, offers)
            if isinstance(model, NoModel):
                yield self.engine.runner.unrun(cell, model.build(cell.build))
            elif why := reasons[needed]:
                yield self._unrun(cell, Verdict.SKIPPED, why)
            else:
                able[cell.build].append(cell)
        for spec in dict.fromkeys(cell.build for cell in cells):
            if spec in able:
                needs = required(able[spec], arch)
                self.placement.add(Unit(cells=able[spec], needs=needs, is_build=True))
            else:
                why = "no worker can run it"
                self.engine.notify(BuildFinished(build=spec.id, left_out=why))
        try:
            yield from self._all()
        except (OSError, TimeoutError, FutureCancelledError) as error:
            raise self.engine.cluster.gone() from error

    def _all(self) -> Iterator[CellRecord]:
        """Start what can be started, and yield what comes of it, until all is done."""
        checked = time.monotonic()
        while True:
            for unit, address in self.placement.assigned():
                self._start(unit, address)
            while self.completed.has_ready():
                yield from self._ended(next(self.completed))
            if time.monotonic() - checked >= CHECK_SECONDS:
                checked = time.monotonic()
                yield from self._checked()
            if not self.running and not self.placement.is_waiting:
                return
            if not self.completed.has_ready():
                time.sleep(TICK_SECONDS)

    def cancel(self) -> None:
        """Let go of what is still under way."""
        if self.running:
            self.client.cancel([*self.running], force=True)

    def _start(self, unit: Unit, address: str) -> None:
        cell = unit.cells[0]
        common = self.engine.settings_future()
        place = {"workers": [address], "pure": False}
        if unit.is_build:
            key = f"build {cell.build.id} {uuid4().hex[:8]}"
            future = self.client.submit(unit_work.make, common, cell.build, key=key, **place)
        else:
            key = f"run {cell.place} {uuid4().hex[:8]}"
            parcel = self.engine.parcel(cell.model)
            future = self.client.submit(
                unit_work.run, common, list(unit.cells), parcel, key=key, **place
            )
        self.running[future] = (unit, address)
        self.completed.add(future)

    def _ended(self, future: Future) -> Iterator[CellRecord]:
        if future not in self.running:
            return  # its worker was gone
        unit, address = self.running.pop(future)
        self.placement.done(unit, address)
        if future.cancelled():
            raise FutureCancelledError(key=future.key, reason="lost")
        error: BaseException | None = future.exception()
        if isinstance(error, KilledWorker):
            unit.deaths = TRIES
            yield from self._given_up(unit)
        elif error is not None:
            reason = f"{type(error).__name__} on its worker: {error}"
            yield from self._instead(unit, Verdict.SKIPPED, reason)
        elif unit.is_build:
            yield from self._built(unit, address, future.result())
        else:
            yield from future.result()

    def _built(self, unit: Unit, address: str, made: unit_work.Made) -> Iterator[CellRecord]:
        """Let the cells of a build wait for where it is, or yield what stands in for them."""
        spec = unit.cells[0].build
        if made.instead:
            self.engine.notify(_finished(spec, made.instead))
            for cell in unit.cells:
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
        for group in groups(unit.cells):
            needs = required(group, layer_arch())
            self.placement.add(Unit(cells=group, needs=needs, is_build=False, home=address))

    def _checked(self) -> Iterator[CellRecord]:
        """Look which workers there are, and yield what is given up.

        Raises:
            MachineError: the scheduler is gone.
        """
        lost = self.placement.update(self.engine.cluster.workers())
        futures = [future for future, (unit, _) in self.running.items() if unit in lost]
        if futures:
            self.client.cancel(futures, force=True)
        for future in futures:
            unit, _ = self.running.pop(future)
            if is_to_blame(unit):
                yield from self._given_up(unit)
            else:
                self.placement.add(unit)
        for unit, why in self.placement.hopeless():
            yield from self._instead(unit, Verdict.SKIPPED, why)

    def _given_up(self, unit: Unit) -> Iterator[CellRecord]:
        verdict = Verdict.BUILD_FAILED if unit.is_build else Verdict.BROKEN
        return self._instead(unit, verdict, f"it ended its worker, {unit.deaths} times")

    def _instead(self, unit: Unit, verdict: Verdict, reason: str) -> Iterator[CellRecord]:
        """Yield records in place of what a unit did not give."""
        if unit.is_build:
            self.engine.notify(BuildFinished(build=unit.cells[0].build.id, error=reason))
        for cell in unit.cells:
            yield self._unrun(cell, verdict, reason)

    def _unrun(self, cell: CellSpec, verdict: Verdict, reason: str) -> CellRecord:
        instead = NotBuilt(verdict=verdict, reason=reason, record=blank(cell.build))
        record = self.engine.runner.unrun(cell, instead)
        failure = {Verdict.BROKEN: Failure.RUN, Verdict.SKIPPED: Failure.MACHINE}.get(verdict)
        return record.model_copy(update={"failure": failure})


def _finished(spec: BuildSpec, instead: NotBuilt) -> BuildFinished:
    """Return how progress tells of a build that is not to be had."""
    if instead.verdict is Verdict.BUILD_FAILED:
        return BuildFinished(build=spec.id, error=instead.reason)
    return BuildFinished(build=spec.id, left_out=instead.reason)
