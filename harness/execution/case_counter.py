"""Runs cases in a build that counts what is run of it, whatever they compute."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from harness.execution.case_job import CaseItem
from harness.execution.case_runner import death_of, results
from harness.execution.heap import Heap
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.build.builder import Build
    from harness.build.coverage import Counts
    from harness.execution.case_job import CaseJob
    from harness.execution.case_runner import CaseRunner, Request

    Step = tuple[int, int]
    """Places of a case and of run options."""


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
        lost = 0
        with scratch_directory("cases-") as folder:
            for attempt in count():
                if not steps:
                    break
                place = folder / str(attempt)
                ended = self.runner.process(
                    with_steps(job, requests, steps), place, self.counts.environment
                )
                if ended.ok:
                    break
                death_of(place, ended, self.build.core)  # or it never came to a case
                done = len(results(place))
                lost += 1
                again = with_steps(job, requests, steps[:done])
                if (
                    done
                    and not self.runner.process(
                        again, folder / f"{attempt}-again", self.counts.environment
                    ).ok
                ):
                    lost += done
                steps = steps[done + 1 :]
        return lost


def with_steps(job: CaseJob, requests: Sequence[Request], steps: Sequence[Step]) -> CaseJob:
    """Return a job that runs some cases with some options, in their order."""
    items = tuple(
        CaseItem(case=requests[number][0].id, runs=tuple(run for _, run in group))
        for number, group in groupby(steps, key=itemgetter(0))
    )
    return job.model_copy(update={"items": items})
