"""Workers of one kind, for work whose numbers are compared with each other.

A bisection, a sweep or a diagnosis is about one CPU and one compiler: what another machine says of
the next commit is no measurement of the same thing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.cluster.capability import kind_of, lacking
from harness.cluster.connection import task_key
from harness.cluster.dispatch import TICK_SECONDS, Dispatch, Ended
from harness.cluster.placement import Unit
from harness.cluster.unit import TOPIC
from harness.domain.formatting import count
from harness.util.codes import Code
from harness.util.errors import HarnessError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from distributed import Future

    from harness.build.builder import BuildWatch
    from harness.cluster.connection import Cluster
    from harness.cluster.dispatch import GivenUp
    from harness.cluster.placement import WorkerState
    from harness.cluster.unit import Settings


class GivenUpError(HarnessError):
    """Some work ended each worker that it was given to."""

    usual_code = Code.CLUSTER


@dataclass(eq=False, kw_only=True)
class Errand(Unit):
    """A function that is called on a worker, which does nothing else meanwhile."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    whole: bool = True
    end: Ended[Errand] | GivenUp[Errand] | None = None
    """What became of it; None while it waits or is under way."""


class Team:
    """Workers of one kind; to be used by one thread."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        needs: Collection[str],
        watch: BuildWatch | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Choose the largest team that can do something; of equal ones always the same.

        Args:
            cluster: all workers.
            settings: each function is called with them first.
            needs: names as of `capability.required`.
            watch: who is told how far a build is.
            say: told what workers say of what this team has them do, see `unit.say`.

        Raises:
            MachineError: no worker can do it.
        """
        self.cluster, self.needs, self.watch = cluster, frozenset(needs), watch
        self.say = say
        self._tasks: set[str] = set()
        self.kind = _largest(cluster.workers(), self.needs)
        self._given: dict[str, Future] = {}
        self._settings = settings
        self._dispatch: Dispatch[Errand] = Dispatch(
            cluster=cluster, begin=self._begun, usable=self._is_member
        )

    def __enter__(self) -> Team:
        """Listen to what its workers tell."""
        self.cluster.client.subscribe_topic(TOPIC, self._told)
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of all that is under way."""
        self._dispatch.cancel()
        self.cluster.client.unsubscribe_topic(TOPIC)

    def members(self) -> list[str]:
        """Return the addresses of the workers that there are now.

        Raises:
            MachineError: the scheduler is gone.
        """
        return sorted(self._dispatch.workers())

    def described(self) -> str:
        """Return in words who its workers are, and how many are given nothing."""
        members, all_of_them = len(self.members()), len(self.cluster.workers())
        others = all_of_them - members
        left = f"; {others} of another kind are given nothing" if others else ""
        return f"measuring on {count(members, 'worker')}: {self.kind}{left}"

    def give(self, name: str, value: Callable[[], object]) -> Future:
        """Hand something over that travels to each worker once, unless it is there.

        Args:
            name: equal for what is the same.
            value: returns it, what stands in the place of the future in the arguments of `start`.
        """
        if name not in self._given:
            self._given[name] = self.cluster.give(name, value())
        return self._given[name]

    def start(
        self, name: str, function: Callable[..., Any], *arguments: object, home: str = ""
    ) -> Errand:
        """Have a worker call a function, as soon as one has time.

        Args:
            name: what Dask's dashboard calls it.
            function: called with the settings and the arguments.
            arguments: what can be pickled, or what `give` returned.
            home: address of the worker that is to do it, as long as it is there.
        """
        errand = Errand(
            name=name, function=function, arguments=arguments, needs=self.needs, home=home
        )
        self._dispatch.add(errand)
        self._turn()
        return errand

    def result(self, errand: Errand) -> tuple[Any, str]:
        """Wait for what a function returns, and return it with the address of its worker.

        Raises:
            MachineError: no worker of this kind is left, or the scheduler is gone.
            GivenUpError: it ended each worker that it was given to.
            Exception: what the function raised; a `HarnessError` says on which worker.
        """
        self.first([errand])
        end = errand.end
        if isinstance(end, Ended):
            if isinstance(end.error, HarnessError):
                # Its paths, disks and compilers are not those of this machine.
                end.error.args = (f"{end.error} (on the worker at {end.address})",)
            if end.error is not None:
                raise end.error
            return end.value, end.address
        if end and end.to_blame:
            raise GivenUpError(f"{errand.name}: {end.reason}")
        raise MachineError(
            f"no worker of the cluster is left with: {self.kind}. What is finished is kept: start "
            "some, and run the same command, which continues",
            code=Code.CLUSTER,
        )

    def first(self, errands: Collection[Errand]) -> Errand:
        """Wait until one of some errands is at its end, and return it.

        Raises:
            MachineError: the scheduler is gone.
        """
        while True:
            for errand in errands:
                if errand.end is not None:
                    return errand
            if not self._turn():
                time.sleep(TICK_SECONDS)

    def results(self, errands: Sequence[Errand]) -> Iterator[Any]:
        """Yield what each function returns, in their order; let go of the others if one fails."""
        try:
            for errand in errands:
                yield self.result(errand)[0]
        finally:
            for errand in errands:
                self.drop(errand)

    def drop(self, errand: Errand) -> bool:
        """Let go of what has not begun, and return whether that was so; what has goes on."""
        return self._dispatch.drop(errand)

    def builds(self) -> dict[str, list[str]]:
        """Return the names of the finished builds that each worker has, by address."""
        return self.cluster.builds(self.members())

    def _turn(self) -> bool:
        """Return whether anything came to its end."""
        found = False
        for event in self._dispatch.turn():
            event.unit.end = event
            found = True
        return found

    def _begun(self, errand: Errand, address: str) -> Future:
        task = task_key(errand.name)
        self._tasks.add(task)
        return self.cluster.client.submit(
            errand.function,
            self.give("settings", lambda: self._settings),
            *errand.arguments,
            key=task,
            workers=[address],
            pure=False,
        )

    def _is_member(self, worker: WorkerState) -> bool:
        return self.needs <= worker.offers and kind_of(worker.offers, self.needs) == self.kind

    def _told(self, event: tuple[float, dict[str, Any]]) -> None:
        """Show what a worker is at."""
        _, words = event
        if self.watch and "done" in words:
            self.watch(f"{words['build']} on {words['name']}", words["done"], words["total"])
        # Those of others, who may use the same cluster, are no business of this team.
        if self.say and words.get("task") in self._tasks:
            self.say(f"{words['words']} on {words['name']}")


def _largest(workers: dict[str, WorkerState], needs: frozenset[str]) -> str:
    """Return the kind with the most threads among workers that can do something.

    Raises:
        MachineError: none can.
    """
    why = lacking(needs, {address: worker.offers for address, worker in workers.items()})
    if why:
        raise MachineError(
            f"the cluster cannot do it: {why}. Start workers that have it, or leave out "
            "--scheduler.",
            code=Code.CLUSTER,
        )
    threads: defaultdict[str, int] = defaultdict(int)
    for worker in workers.values():
        if needs <= worker.offers:
            threads[kind_of(worker.offers, needs)] += worker.threads
    return max(sorted(threads), key=threads.__getitem__)
