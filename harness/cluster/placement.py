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
from typing import TYPE_CHECKING, Generic, TypeVar

from harness.cluster.capability import lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
    """Something that one worker does at a time."""

    needs: frozenset[str]
    """What the worker must offer, see `capability.required`."""
    whole: bool
    """Whether it takes a worker for itself, as what compiles with all cores does."""
    home: str = ""
    """Address of the worker that has what it needs, such as the build of a run; empty for any."""
    deaths: int = 0
    """How many workers died while they had it."""

    def slots(self, worker: WorkerState) -> int:
        """Return how many of a worker's threads it takes."""
        return worker.threads if self.whole or self.deaths else 1


U = TypeVar("U", bound=Unit)


@dataclass(kw_only=True)
class Placement(Generic[U]):
    """Units that wait or are under way, and the workers that there are."""

    clock: Callable[[], float] = time.monotonic
    workers: dict[str, WorkerState] = field(default_factory=dict)
    _busy: dict[str, dict[U, int]] = field(default_factory=dict)
    """By worker: what it has, and how many threads that takes."""
    _home: dict[str, deque[U]] = field(default_factory=dict)
    """What is to be done at a worker."""
    _free: deque[U] = field(default_factory=deque)
    """What any worker may do, or whose worker is gone."""
    _missed: dict[frozenset[str], float] = field(default_factory=dict)
    """Since when no worker has what units need."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything that has not been started."""
        return bool(self._free or any(self._home.values()))

    def add(self, unit: U) -> None:
        """Let a unit wait for its turn."""
        if unit.home in self.workers and not unit.deaths:
            self._home.setdefault(unit.home, deque()).append(unit)
        else:
            self._free.append(unit)

    def assigned(self) -> Iterator[tuple[U, str]]:
        """Yield which units start now, and where."""
        for address, worker in self.workers.items():
            while unit := self._next(address, worker):
                self._busy.setdefault(address, {})[unit] = unit.slots(worker)
                yield unit, address

    def _next(self, address: str, worker: WorkerState) -> U | None:
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

    def remove(self, unit: U) -> bool:
        """Forget a unit that has not been started, and return whether there was one."""
        for queue in (self._free, *self._home.values()):
            if unit in queue:
                queue.remove(unit)
                return True
        return False

    def done(self, unit: U, address: str) -> None:
        """Let a worker have the next."""
        self._busy.get(address, {}).pop(unit, None)

    def update(self, workers: Mapping[str, WorkerState]) -> list[U]:
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

    def hopeless(self) -> list[tuple[U, str]]:
        """Return, with the reason, what has waited long for a worker that can do it."""
        offers = {address: worker.offers for address, worker in self.workers.items()}
        reasons = {needs: lacking(needs, offers) for needs in {unit.needs for unit in self._free}}
        now = self.clock()
        self._missed = {n: self._missed.get(n, now) for n, why in reasons.items() if why}
        if not self._missed:
            return []
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
