"""What a worker of the cluster is given to do: one build, or the cells of one build and run.

A unit is a function of what it is given. What it finds or makes in the worker's own store has names
that derive from content, so that any other worker would give the same.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import get_worker

from harness.cluster.parcel import unpacked
from harness.config.pinning import put_in_force
from harness.domain.spec import content_key
from harness.execution.local_machine import LocalMachine
from harness.execution.making import Maker, NotBuilt
from harness.execution.progress import BuildAdvanced, BuildStarted
from harness.util.build_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.cluster.parcel import Parcel
    from harness.config.pinning import Pinning
    from harness.config.tables import Config
    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec
    from harness.execution.progress import MatrixEvent

STORE = "NCNN_MATRIX_BUILDS"
"""Variable that names the store of the workers of a machine."""
TOPIC = "ncnn-build-matrix"
"""Under which workers tell what they are at."""
_stations: dict[str, LocalMachine] = {}
_starting = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all units of a run have in common."""

    config: Config
    """Its limits and its tolerance hold."""
    pinning: Pinning
    retry_failed: bool = False
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of a build, for who asked for it."""

    instead: NotBuilt | None
    """None if it is there."""
    cached: bool
    """Whether it was there before."""
    seconds: float = 0.0
    untrimmed: str = ""


def store_of_worker() -> Store:
    """Return the store of this machine's workers."""
    named = os.environ.get(STORE)
    return Store(root=Path(named) if named else Path.home() / ".cache" / "ncnn-build-matrix")


def make(settings: Settings, spec: BuildSpec) -> Made:
    """Make a build in the worker's store, unless it is there.

    Raises:
        MachineError: something stops all builds of this worker, such as a full disk.
    """
    events: list[MatrixEvent] = []
    station = station_of(settings)

    def notify(event: MatrixEvent) -> None:
        events.append(event)
        _tell(event)

    built = Maker(resolver=station.resolver, notify=notify).make(spec)
    cached = not any(isinstance(event, BuildStarted) for event in events)
    if isinstance(built, NotBuilt):
        return Made(instead=built, cached=cached)
    record = built.record
    return Made(instead=None, cached=cached, seconds=record.seconds, untrimmed=record.untrimmed)


def run(settings: Settings, cells: Sequence[CellSpec], parcel: Parcel) -> list[CellRecord]:
    """Run cells that differ in their input only; their build is made if it is not there.

    Raises:
        MachineError: something stops this worker, such as a full disk.
    """
    station = station_of(settings)
    built = Maker(resolver=station.resolver, notify=_tell).make(cells[0].build)
    if isinstance(built, NotBuilt):
        return [station.cells.unrun(cell, built) for cell in cells]
    at_hand = unpacked(parcel, station.store)
    inputs = [at_hand.inputs[cell.input.name] for cell in cells]
    return signed(station.cells.run(cells, built, at_hand.model, inputs))


def signed(records: Iterable[CellRecord]) -> list[CellRecord]:
    """Return records that say which worker they are of."""
    where = {"worker": worker_name()}
    return [r.model_copy(update={"machine": {**r.machine, **where}}) for r in records]


def worker_name() -> str:
    """Return the name of the worker that we are in."""
    return str(get_worker().name)


def finished_builds() -> list[str]:
    """Return the names of the finished builds in a worker's store; for `Cluster.builds`."""
    # Between tasks Dask knows of no worker at hand, and so there is no station.
    return store_of_worker().module_names()


def is_made(settings: Settings, spec: BuildSpec) -> bool:
    """Return whether a build is in the worker's store."""
    maker = Maker(resolver=station_of(settings).resolver, notify=_tell)
    return maker.is_made(spec)


def station_of(settings: Settings) -> LocalMachine:
    """Return this machine, prepared once for each set of settings."""
    store = store_of_worker()
    config = settings.config
    limits = [config.limits.model_dump(mode="json"), config.tolerance.model_dump(mode="json")]
    key = content_key([*limits, settings.retry_failed, settings.fresh, str(store.root)])
    with _starting:
        put_in_force(settings.pinning)
        if key not in _stations:
            _stations[key] = LocalMachine.prepared(
                config,
                store,
                jobs=get_worker().state.nthreads,
                retry_failed=settings.retry_failed,
                fresh=settings.fresh,
                watch=lambda build, done, total: _tell(
                    BuildAdvanced(build=build, done=done, total=total)
                ),
            )
        return _stations[key]


def say(words: str) -> None:
    """Let whoever waits for the function that calls this know what it is at."""
    _log(task=get_worker().get_current_task(), words=words)


def _tell(event: MatrixEvent) -> None:
    """Let whoever listens know what this worker is at."""
    if isinstance(event, BuildStarted):
        _log(build=event.build)
    elif isinstance(event, BuildAdvanced):
        _log(build=event.build, done=event.done, total=event.total)


def _log(**about: str | int) -> None:
    # Dask itself adds the worker's address, as `worker`.
    get_worker().log_event(TOPIC, {"name": worker_name(), **about})
