"""Gives units to workers, one turn after the other, and tells what became of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from distributed import as_completed
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from harness.cluster.placement import TRIES, Placement, U, is_to_blame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from distributed import Future

    from harness.cluster.connection import Cluster
    from harness.cluster.placement import WorkerState

TICK_SECONDS = 0.01
CHECK_SECONDS = 1.0
"""How often it is looked which workers there are."""
CHECK_PAUSES = 9
"""How many times as long as such a look the pause after it is at least: of a thousand workers a
look takes a while, in which nothing is handed out."""


@dataclass(frozen=True, kw_only=True)
class Ended(Generic[U]):
    """A worker is done with a unit."""

    unit: U
    address: str
    value: object = None
    error: BaseException | None = None


@dataclass(frozen=True, kw_only=True)
class GivenUp(Generic[U]):
    """Nothing came of a unit."""

    unit: U
    reason: str
    to_blame: bool
    """Whether it ended its workers; else no worker is there for it."""


@dataclass(kw_only=True)
class Dispatch(Generic[U]):
    """Units that wait, and those that are under way."""

    cluster: Cluster
    begin: Callable[[U, str], Future]
    """Hands a unit to the worker at an address."""
    usable: Callable[[WorkerState], bool] = lambda _: True
    """Which workers are used."""
    _placement: Placement[U] = field(default_factory=Placement)
    _running: dict[Future, tuple[U, str]] = field(default_factory=dict)
    _next_check: float = field(default_factory=lambda: time.monotonic() + CHECK_SECONDS)

    def __post_init__(self) -> None:
        """Look which workers there are."""
        # With results: each would cost a journey of its own.
        self._completed = as_completed(
            loop=self.cluster.client.loop, with_results=True, raise_errors=False
        )
        self._placement.update(self.workers())

    def workers(self) -> Mapping[str, WorkerState]:
        """Return the workers that are used, by address.

        Raises:
            MachineError: the scheduler is gone.
        """
        workers = self.cluster.workers()
        return {address: worker for address, worker in workers.items() if self.usable(worker)}

    def add(self, unit: U) -> None:
        """Let a unit wait for its turn."""
        self._placement.add(unit)

    def drop(self, unit: U) -> bool:
        """Forget a unit that has not been started, and return whether there was one."""
        return self._placement.remove(unit)

    def events(self) -> Iterator[Ended[U] | GivenUp[U]]:
        """Yield what becomes of units, until nothing is left; more may be added meanwhile.

        Raises:
            MachineError: the scheduler is gone.
        """
        while self._running or self._placement.is_waiting:
            found = False
            for event in self.turn():
                found = True
                yield event
            if not found:
                time.sleep(TICK_SECONDS)

    def turn(self) -> Iterator[Ended[U] | GivenUp[U]]:
        """Start what can be started, and yield what became of units since the last turn.

        Raises:
            MachineError: the scheduler is gone.
        """
        try:
            for unit, address in self._placement.assigned():
                future = self.begin(unit, address)
                self._running[future] = (unit, address)
                self._completed.add(future)
            while self._completed.has_ready():
                yield from self._ended(*next(self._completed))
            begun = time.monotonic()
            if begun >= self._next_check:
                given_up = list(self._lost())
                ended = time.monotonic()
                pause = max(CHECK_SECONDS, (ended - begun) * CHECK_PAUSES)
                self._next_check = ended + pause
                yield from given_up
        except (OSError, TimeoutError, FutureCancelledError) as error:
            raise self.cluster.gone() from error

    def cancel(self) -> None:
        """Let go of what is still under way."""
        if self._running:
            self.cluster.client.cancel([*self._running], force=True)

    def _ended(self, future: Future, result: Any) -> Iterator[Ended[U] | GivenUp[U]]:
        """Tell what became of a unit; an error comes as type, exception and traceback."""
        if future not in self._running:
            return  # its worker was gone
        unit, address = self._running.pop(future)
        self._placement.done(unit, address)
        if future.cancelled():
            raise FutureCancelledError(key=future.key, reason="lost")
        error: BaseException | None = result[1] if future.status == "error" else None
        if isinstance(error, KilledWorker):
            unit.deaths = TRIES
            yield _blamed(unit)
        elif error is not None:
            yield Ended(unit=unit, address=address, error=error)
        else:
            yield Ended(unit=unit, address=address, value=result)

    def _lost(self) -> Iterator[GivenUp[U]]:
        """Look which workers there are, and yield what is given up."""
        lost = self._placement.update(self.workers())
        futures = [future for future, (unit, _) in self._running.items() if unit in lost]
        if futures:
            self.cluster.client.cancel(futures, force=True)
        for future in futures:
            unit, _ = self._running.pop(future)
            if is_to_blame(unit):
                yield _blamed(unit)
            else:
                self._placement.add(unit)
        for waiting, why in self._placement.hopeless():
            yield GivenUp(unit=waiting, reason=why, to_blame=False)


def _blamed(unit: U) -> GivenUp[U]:
    return GivenUp(unit=unit, reason=f"it ended its worker, {unit.deaths} times", to_blame=True)
