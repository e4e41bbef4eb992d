"""Which unit of work goes to which worker, and who is to blame when a worker dies.

Dask would do as well, but for two things that are decided here: a run goes where its build is, and
what ended a worker is known. So no worker is given more than it can do at once: whatever it has
when it dies was running. What has seen a worker die is run alone from then on, and only what ends
its worker alone, again and again, is to blame.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.cluster.capability import lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.domain.spec import CellSpec

TRIES = 4
"""How many workers a unit may end before it is given up."""
PATIENCE_SECONDS = 60.0
"""How long to wait for a worker that can do what none can any more: one may be starting again."""


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """What a worker is and can do."""

    offers: frozenset[str]
    threads: int


@dataclass(eq=False, kw_only=True)
class Unit:
    """A build with all its cells, or cells of one that differ in their input only."""

    cells: Sequence[CellSpec]
    needs: frozenset[str]
    is_build: bool
    home: str = ""
    """Address of the worker that has the build of a run."""
    deaths: int = 0
    """How many workers died while they had it."""

    def slots(self, worker: WorkerState) -> int:
        """Return how many of a worker's threads it takes: all for a build, or if it is to be alone.

        A build uses all cores.
        """
        return worker.threads if self.is_build or self.deaths else 1


@dataclass(kw_only=True)
class Placement:
    """Units that wait or are under way, and the workers that there are."""

    clock: Callable[[], float] = time.monotonic
    workers: dict[str, WorkerState] = field(default_factory=dict)
    _busy: dict[str, dict[Unit, int]] = field(default_factory=dict)
    """By worker: what it has, and how many threads that takes."""
    _home: dict[str, deque[Unit]] = field(default_factory=dict)
    """Runs whose build is at a worker."""
    _free: deque[Unit] = field(default_factory=deque)
    """Builds, and runs whose worker is gone."""
    _missed: dict[frozenset[str], float] = field(default_factory=dict)
    """Since when no worker has what units need."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything that has not been started."""
        return bool(self._free or any(self._home.values()))

    def add(self, unit: Unit) -> None:
        """Let a unit wait for its turn."""
        if unit.home in self.workers and not unit.deaths:
            self._home.setdefault(unit.home, deque()).append(unit)
        else:
            self._free.append(unit)

    def assigned(self) -> Iterator[tuple[Unit, str]]:
        """Yield which units start now, and where."""
        for address, worker in self.workers.items():
            while unit := self._next(address, worker):
                self._busy.setdefault(address, {})[unit] = unit.slots(worker)
                yield unit, address

    def _next(self, address: str, worker: WorkerState) -> Unit | None:
        left = worker.threads - sum(self._busy.get(address, {}).values())
        if left <= 0:
            return None
        home = self._home.get(address)
        if home and home[0].slots(worker) <= left:
            return home.popleft()
        for unit in self._free:
            if unit.needs <= worker.offers and unit.slots(worker) <= left:
                self._free.remove(unit)
                return unit
        return None

    def done(self, unit: Unit, address: str) -> None:
        """Let a worker have the next."""
        self._busy.get(address, {}).pop(unit, None)

    def update(self, workers: Mapping[str, WorkerState]) -> list[Unit]:
        """Take note of which workers there are, and return what those had that are gone.

        Whoever called decides whether to add it again, see `is_to_blame`.
        """
        lost = []
        for address in set(self.workers) - set(workers):
            for unit in self._busy.pop(address, {}):
                unit.deaths += 1
                unit.home = ""
                lost.append(unit)
            self._free.extend(self._home.pop(address, ()))
        self.workers = dict(workers)
        return lost

    def hopeless(self) -> list[tuple[Unit, str]]:
        """Return, with the reason, what has waited long for a worker that can do it."""
        offers = {address: worker.offers for address, worker in self.workers.items()}
        reasons = {needs: lacking(needs, offers) for needs in {unit.needs for unit in self._free}}
        now = self.clock()
        self._missed = {n: self._missed.get(n, now) for n, why in reasons.items() if why}
        found = [
            (unit, reasons[unit.needs])
            for unit in self._free
            if now - self._missed.get(unit.needs, now) >= PATIENCE_SECONDS
        ]
        for unit, _ in found:
            self._free.remove(unit)
        return found


def is_to_blame(unit: Unit) -> bool:
    """Return whether a unit has ended so many workers that it is given up."""
    return unit.deaths >= TRIES
