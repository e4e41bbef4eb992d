"""Runs cases in a build that counts what is run of it, whatever they compute."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from harness.execution.case_job import CaseItem
from harness.execution.case_runner import never_began, position, results
from harness.execution.heap import Heap
from harness.execution.mishap import mishap_of
from harness.util.errors import MachineError
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.build.builder import Build
    from harness.build.coverage import Counts
    from harness.execution.case_job import CaseJob
    from harness.execution.case_runner import CaseRunner, Request, Step
    from harness.util.process import Completed


@dataclass(frozen=True, kw_only=True)
class CaseCounter:
    """Runs cases so that a build counts what they reach."""

    runner: CaseRunner
    build: Build
    counts: Counts

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, int]]:
        """Run cases, and yield for each chunk how many there are and how many runs are lost.

        A run is lost of which the process died, so that nothing is known of what it reached.
        """
        yield from self.runner.in_chunks(requests, self._chunk)

    def _chunk(self, requests: Sequence[Request]) -> int:
        """Run each case once, and return how many runs are lost.

        A process counts when it ends. What one has run that dies is run once more, without what it
        died of.
        """
        names = {run.name: run for _, runs in requests for run in runs}
        places = {name: place for place, name in enumerate(names)}
        job = self.runner.job(self.build, list(names.values()), Heap.AS_IT_IS)
        job = job.model_copy(update={"counts": True})
        steps = [
            (number, places[run.name]) for number, (_, runs) in enumerate(requests) for run in runs
        ]
        lost, tried = 0, False
        with scratch_directory("cases-") as folder:
            for attempt in count():
                if not steps:
                    break
                place, now = folder / str(attempt), with_steps(job, requests, steps)
                ended = self._counted(now, place)
                done = len(results(place, now))
                if ended.ok and done == len(steps):
                    break
                mishap = mishap_of(ended, self.runner.memory_bytes)
                if mishap and mishap.again and not tried:
                    # It counts what it ran when it ends, which it did not do.
                    tried = True
                    continue
                if position(place, now) is None:
                    raise MachineError(never_began(ended, mishap))
                lost += 1
                again = with_steps(job, requests, steps[:done])
                if done and not self._counted(again, folder / f"{attempt}-again").ok:
                    lost += done
                steps = steps[done + 1 :]
        return lost

    def _counted(self, job: CaseJob, place: Path) -> Completed:
        """Run a job in a process that adds to the counts."""
        counts = self.counts
        return self.runner.process(job, place, counts.environment, [counts.folder])


def with_steps(job: CaseJob, requests: Sequence[Request], steps: Sequence[Step]) -> CaseJob:
    """Return a job that runs some cases with some options, in their order."""
    items = tuple(
        CaseItem(case=requests[number][0].id, runs=tuple(run for _, run in group))
        for number, group in groupby(steps, key=itemgetter(0))
    )
    return job.model_copy(update={"items": items})
