"""Runs cells on a Dask cluster: each build once, its cells where it is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from harness.build.plan import has_folder
from harness.build.toolchain import layer_arch
from harness.cluster import unit as unit_work
from harness.cluster.capability import lacking, required
from harness.cluster.connection import task_key
from harness.cluster.dispatch import Dispatch, Ended, GivenUp
from harness.cluster.parcel import packed
from harness.cluster.placement import Unit
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
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from distributed import Future

    from harness.cluster.connection import Cluster
    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec, ModelSpec
    from harness.execution.cell_runner import CellRunner
    from harness.execution.progress import MatrixEvent


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
    _homes: dict[BuildSpec, str] = field(default_factory=dict, repr=False)
    """Address of the worker that made a build for this engine, or had it."""
    _builds: dict[str, list[str]] = field(default_factory=dict, repr=False)

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
            work.dispatch.cancel()
            self.cluster.client.unsubscribe_topic(unit_work.TOPIC)

    def has_build(self, spec: BuildSpec) -> bool:
        """Return whether a worker has a build, so that its cells cost no compilation."""
        if spec in self._homes:
            return True
        futures = [
            self.cluster.client.submit(
                unit_work.is_made, self.settings_future(), spec, workers=[address], pure=False
            )
            for address, names in self._found().items()
            if has_folder(names, spec)
        ]
        return any(self.cluster.client.gather(futures, errors="skip"))

    def home(self, spec: BuildSpec, workers: Collection[str]) -> str:
        """Return the address of one of some workers that may have a build; empty if none has."""
        if self._homes.get(spec) in workers:
            return self._homes[spec]
        has = (address for address, names in self._found().items() if has_folder(names, spec))
        return next((address for address in has if address in workers), "")

    def settle(self, spec: BuildSpec, address: str) -> None:
        """Take note of which worker has a build."""
        self._homes[spec] = address

    def _found(self) -> dict[str, list[str]]:
        """Return which builds each worker had when this engine first asked."""
        if not self._builds:
            self._builds.update(self.cluster.builds(self.cluster.workers()))
        return self._builds

    def parcel(self, spec: ModelSpec) -> Future:
        """Return a model with its inputs, which travels to each worker once."""
        if spec not in self._sent:
            at_hand = self.models[spec]
            assert isinstance(at_hand, ModelAtHand)
            self._sent[spec] = self.cluster.give(f"model {spec.name} {spec.label}", packed(at_hand))
        return self._sent[spec]

    def settings_future(self) -> Future:
        """Return the settings, which travel to each worker once as well."""
        if None not in self._sent:
            self._sent[None] = self.cluster.give("settings", self.settings)
        return self._sent[None]

    def _told(self, event: tuple[float, dict[str, Any]]) -> None:
        """Show what a worker is at."""
        _, words = event
        if "build" not in words:
            return  # of another command, which uses the same workers
        build = f"{words['build']} on {words['name']}"
        if "done" in words:
            self.notify(BuildAdvanced(build=build, done=words["done"], total=words["total"]))
        else:
            self.notify(BuildStarted(build=build))


@dataclass(eq=False, kw_only=True)
class _CellUnit(Unit):
    """A build with all its cells, or cells of one that differ in their input only."""

    cells: Sequence[CellSpec]
    is_build: bool


class _Work:
    """One call of the engine: what is under way, and what comes of it."""

    def __init__(self, engine: ClusterEngine) -> None:
        self.engine = engine
        self.dispatch: Dispatch[_CellUnit] = Dispatch(cluster=engine.cluster, begin=self._begun)

    def records(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        arch = layer_arch()
        offers = {address: w.offers for address, w in self.dispatch.workers().items()}
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
        for spec in _longest_first(dict.fromkeys(cell.build for cell in cells)):
            if spec in able:
                needs = required(able[spec], arch)
                fit = [address for address, names in offers.items() if needs <= names]
                self._add(able[spec], is_build=True, home=self.engine.home(spec, fit))
            else:
                why = "no worker can run it"
                self.engine.notify(BuildFinished(build=spec.id, left_out=why))
        for event in self.dispatch.events():
            yield from self._outcome(event)

    def _add(self, cells: Sequence[CellSpec], *, is_build: bool, home: str) -> None:
        needs = required(cells, layer_arch())
        self.dispatch.add(
            _CellUnit(cells=cells, needs=needs, is_build=is_build, whole=is_build, home=home)
        )

    def _begun(self, unit: _CellUnit, address: str) -> Future:
        cell = unit.cells[0]
        submit, common = self.engine.cluster.client.submit, self.engine.settings_future()
        place = {"workers": [address], "pure": False}
        if unit.is_build:
            key = task_key(f"build {cell.build.id}")
            return submit(unit_work.make, common, cell.build, key=key, **place)
        key = task_key(f"run {cell.place}")
        parcel = self.engine.parcel(cell.model)
        return submit(unit_work.run, common, list(unit.cells), parcel, key=key, **place)

    def _outcome(self, event: Ended[_CellUnit] | GivenUp[_CellUnit]) -> Iterator[CellRecord]:
        unit = event.unit
        if isinstance(event, GivenUp):
            blamed = Verdict.BUILD_FAILED if unit.is_build else Verdict.BROKEN
            verdict = blamed if event.to_blame else Verdict.SKIPPED
            yield from self._instead(unit, verdict, event.reason)
        elif event.error is not None:
            reason = f"{type(event.error).__name__} on its worker: {event.error}"
            yield from self._instead(unit, Verdict.SKIPPED, reason)
        elif unit.is_build:
            yield from self._built(unit, event.address, cast("unit_work.Made", event.value))
        else:
            yield from cast("list[CellRecord]", event.value)

    def _built(self, unit: _CellUnit, address: str, made: unit_work.Made) -> Iterator[CellRecord]:
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
        self.engine.settle(spec, address)
        for group in groups(unit.cells):
            self._add(group, is_build=False, home=address)

    def _instead(self, unit: _CellUnit, verdict: Verdict, reason: str) -> Iterator[CellRecord]:
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


def _longest_first(specs: Iterable[BuildSpec]) -> list[BuildSpec]:
    """Return builds so that none of the longest begins when all others are done.

    Kernels have more code for each instruction set that is on, and later versions, which users name
    after earlier ones, have more kernels.
    """
    later_first = reversed(list(specs))
    return sorted(later_first, key=_weight, reverse=True)


def _weight(spec: BuildSpec) -> tuple[bool, int]:
    options = dict(spec.flags.options)
    has_all_sets = options.get("NCNN_RUNTIME_CPU") != "OFF"
    return has_all_sets, list(options.values()).count("ON")


def _finished(spec: BuildSpec, instead: NotBuilt) -> BuildFinished:
    """Return how progress tells of a build that is not to be had."""
    if instead.verdict is Verdict.BUILD_FAILED:
        return BuildFinished(build=spec.id, error=instead.reason)
    return BuildFinished(build=spec.id, left_out=instead.reason)
