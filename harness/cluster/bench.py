"""The builds of a sweep on the workers of a team.

Each build has a worker of its own as far as there are enough, so that it is compiled once. What is
left over takes part where a build has so many cases that compiling it again is worth it.
"""

from __future__ import annotations

from collections import Counter, deque
from functools import partial
from itertools import chain, cycle
from typing import TYPE_CHECKING

from harness.build.plan import folder_start
from harness.cluster import case_unit
from harness.execution.case_runner import CHUNK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from harness.cluster.case_unit import SweepBuilt
    from harness.cluster.team import Errand, Team
    from harness.domain.records import BuildRecord
    from harness.domain.spec import BuildSpec, RunSpec
    from harness.execution.case_runner import CaseRecord, Request

WORTH = 10_000
"""Cases that take a worker about as long as compiling all layers does."""


class ClusterBench:
    """Runs cases in builds of a team's workers; to be used by one thread."""

    def __init__(
        self, team: Team, specs: Sequence[BuildSpec], *, exact: RunSpec, cases: int
    ) -> None:
        """Have all builds made.

        Args:
            team: the workers.
            specs: the builds, see `case_unit.make`.
            exact: the most exact options.
            cases: how many each build is to run, about.

        Raises:
            HarnessError: one cannot be had or built, or no worker is left.
        """
        self._team, self._specs, self._exact = team, specs, exact
        self._most = max(1, cases // WORTH)
        self._homes: list[list[str]] = [[] for _ in specs]
        """Addresses of the workers that have, or will have, each build."""
        self._found: dict[str, frozenset[str]] = {}
        """Of each worker, the builds that it had before, as their folders begin."""
        self._built = self._made()

    @property
    def records(self) -> Sequence[BuildRecord]:
        """What each build is, under the label of its version."""
        return [built.record for built in self._built]

    @property
    def machine(self) -> Mapping[str, str]:
        """What the numbers may depend on besides the builds; all workers are of one kind."""
        return self._built[0].machine

    def run(
        self, place: int, requests: Sequence[Request], *, confirm: bool = True
    ) -> Iterator[CaseRecord]:
        """Yield what became of each case in a build, see `CaseRunner.run`.

        Raises:
            MachineError: no worker is left, the scheduler is gone, or something stops a worker.
            GivenUpError: cases ended each worker that they were given to.
        """
        self._deal()
        for records in self._team.results(self._started(place, requests, confirm=confirm)):
            yield from records

    def run_in_each(
        self, requests: Sequence[Sequence[Request]]
    ) -> Iterator[tuple[int, CaseRecord]]:
        """Yield what became of cases in all builds at the same time; of each in their order.

        Raises:
            HarnessError: as `run`.
        """
        self._deal()
        waiting = [
            deque(self._started(place, some, confirm=True)) for place, some in enumerate(requests)
        ]
        try:
            while heads := {errands[0]: at for at, errands in enumerate(waiting) if errands}:
                errand = self._team.first(heads)
                place = heads[errand]
                waiting[place].popleft()
                for record in self._team.result(errand)[0]:
                    yield place, record
        finally:
            for errand in chain(*waiting):
                self._team.drop(errand)

    def _made(self) -> list[SweepBuilt]:
        self._deal()
        places = [
            (place, home) for place, homes in enumerate(self._homes) for home in homes or [""]
        ]
        errands = [
            self._team.start(
                f"build {self._specs[place].id}", case_unit.make, self._specs[place], home=home
            )
            for place, home in places
        ]
        found: dict[int, SweepBuilt] = {}
        for (place, _), built in zip(places, self._team.results(errands), strict=True):
            found.setdefault(place, built)
        return list(found.values())

    def _started(self, place: int, requests: Sequence[Request], *, confirm: bool) -> list[Errand]:
        """Start cases in chunks that give each thread of a worker as many as a process takes."""
        spec = self._specs[place]
        threads = {at: worker.threads for at, worker in self._team.cluster.workers().items()}
        homes, begin = cycle(self._homes[place] or [""]), 0
        started = []
        while begin < len(requests):
            home = next(homes)
            some = requests[begin : begin + CHUNK * threads.get(home, 1)]
            begin += len(some)
            name = f"cases {spec.id} {some[0][0].id}"
            if len(some) > 1:
                name += f" to {some[-1][0].id}"
            started.append(
                self._team.start(name, case_unit.run, spec, self._exact, some, confirm, home=home)
            )
        return started

    def _deal(self) -> None:
        """Deal out the workers that there are now to the builds.

        Each build has one, which keeps it: if possible one that had it before. A worker that has
        none takes part in one that has `WORTH` cases for each of its workers; where there are
        enough of both, in each in turn.
        """
        members = self._team.members()
        if not self._found.keys() >= {*members}:
            self._found = {address: frozenset() for address in members}
            for address, names in self._team.builds().items():
                self._found[address] = frozenset(f"{name.rpartition('-')[0]}-" for name in names)
        names = [folder_start(spec) for spec in self._specs]
        for homes in self._homes:
            homes[:] = [home for home in homes if home in members]
        for number in range(self._most if members else 0):
            for build, homes in zip(names, self._homes, strict=True):
                used = Counter(chain(*self._homes))
                best = min(members, key=partial(self._distance, used, build, names))
                if len(homes) == number and (not homes or not used[best]):
                    homes.append(best)

    def _distance(
        self, used: Mapping[str, int], build: str, names: Collection[str], address: str
    ) -> tuple[int, bool, int]:
        """Return how many builds a worker has been dealt, whether it lacks one, and what it had."""
        found = self._found.get(address, frozenset())
        return used[address], build not in found, len(found.intersection(names))
