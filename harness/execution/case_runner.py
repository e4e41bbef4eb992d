"""Runs many cases in one build: in processes of their own, followed through their deaths.

A process that dies costs the case it was in and no other. What looks wrong is measured again by
itself, twice and with other memory around it, so that no case is blamed for what another did.
"""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.domain.base import StoredValue
from harness.execution import case_worker
from harness.execution.case_job import CaseItem, CaseJob, CaseRun, RunDone
from harness.execution.confinement import run_worker
from harness.execution.heap import Heap
from harness.execution.messages import read_messages
from harness.execution.mishap import last_line, mishap_of
from harness.execution.native_trace import crash_of
from harness.execution.session import USE_VULKAN
from harness.execution.unchanged import unchanged
from harness.execution.worker import MESSAGES_FILE, TRACE_FILE
from harness.util.errors import MachineError
from harness.util.process import Processes
from harness.util.reading import read_left
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.build.builder import Build
    from harness.cases.layer_case import LayerCase
    from harness.domain.spec import RunSpec
    from harness.domain.verdict import Tolerance
    from harness.execution.mishap import Mishap
    from harness.util.process import Completed

T = TypeVar("T")

CHUNK = 40
"""Cases of one process: enough that starting it costs little, and few enough to show progress."""
MOST_WORDS = 64
"""Bytes that a position takes at most."""
PROCESS_SECONDS = 3600.0
"""Limit of a process; runs that hang end much sooner by themselves."""


class CaseRecord(StoredValue):
    """What became of a case in one build."""

    case: str
    """Its id."""
    build: str
    verdicts: dict[str, CaseVerdict]
    """By the name of the run options."""

    @property
    def faults(self) -> dict[str, CaseVerdict]:
        """Those that show a fault."""
        return {name: verdict for name, verdict in self.verdicts.items() if verdict.is_fault}


Step = tuple[int, int]
"""Places of a case and of run options."""
Request = tuple["LayerCase", "Sequence[RunSpec]"]
"""A case and the options that it is to be run with."""


@dataclass(frozen=True, kw_only=True)
class CaseRunner:
    """Runs cases in processes of their own."""

    binding: Callable[[], Path]
    """Returns the pybind11 binding; called where Python itself loads the build."""
    tolerance: Tolerance
    exact: RunSpec
    """The most exact options: what layers without a definition are compared with."""
    seconds: int = 10
    """After which a run of one case is taken to hang."""
    memory_bytes: int = 0
    workers: int = 1
    """How many processes run at the same time."""
    processes: Processes = field(default_factory=lambda: Processes(preload=case_worker))

    def run(
        self, build: Build, requests: Sequence[Request], *, confirm: bool = True
    ) -> Iterator[CaseRecord]:
        """Yield what became of each case, in chunks as they are done, in their order within.

        Args:
            build: must contain the cases' layers; those it lacks are refused.
            requests: cases with their run options.
            confirm: whether what looks wrong is measured again by itself.
        """
        for _, records in self.in_chunks(requests, lambda some: self._chunk(build, some, confirm)):
            yield from records

    def in_chunks(
        self, requests: Sequence[Request], work: Callable[[Sequence[Request]], T]
    ) -> Iterator[tuple[int, T]]:
        """Do some work on chunks of cases, several at the same time, and yield what comes of it.

        Args:
            requests: all cases.
            work: called with some of them, in a thread.

        Yields:
            How many cases a chunk has, and what was returned for it, in their order.
        """
        chunks = [requests[at : at + CHUNK] for at in range(0, len(requests), CHUNK)]
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                yield from zip(map(len, chunks), pool.map(work, chunks), strict=True)
            except BaseException:
                self.processes.stop()
                raise

    def _chunk(self, build: Build, requests: Sequence[Request], confirm: bool) -> list[CaseRecord]:
        records = self._measured(build, requests, Heap.FILLED)
        for place, record in enumerate(records):
            case, runs = requests[place]
            doubtful = [run for run in runs if record.verdicts[run.name].is_fault]
            if confirm and doubtful:
                confirmed = self._confirmed(build, case, doubtful)
                verdicts = {**record.verdicts, **confirmed}
                records[place] = record.model_copy(update={"verdicts": verdicts})
        return records

    def _confirmed(
        self, build: Build, case: LayerCase, runs: Sequence[RunSpec]
    ) -> Mapping[str, CaseVerdict]:
        """Return verdicts that do not depend on other cases, nor on what memory holds."""
        (filled,) = self._measured(build, [(case, runs)], Heap.FILLED)
        (usual,) = self._measured(build, [(case, runs)], Heap.AS_IT_IS)
        return {
            run.name: _agreed(usual.verdicts[run.name], filled.verdicts[run.name]) for run in runs
        }

    def _measured(self, build: Build, requests: Sequence[Request], heap: Heap) -> list[CaseRecord]:
        """Run each case once, in as few processes as possible."""
        names = {run.name: run for _, runs in requests for run in runs}
        places = {name: place for place, name in enumerate(names)}
        job = self.job(build, list(names.values()), heap)
        found: list[dict[str, CaseVerdict]] = [{} for _ in requests]
        pending = {
            place: [places[run.name] for run in runs]
            for place, (_, runs) in enumerate(requests)
            if runs
        }
        tried: set[Step | None] = set()
        with scratch_directory("cases-") as folder:
            for attempt in count():
                if not pending:
                    break
                numbers = list(pending)
                items = tuple(
                    CaseItem(case=requests[number][0].id, runs=tuple(pending[number]))
                    for number in numbers
                )
                place, now = folder / str(attempt), job.model_copy(update={"items": items})
                ended = self.process(now, place)
                left = {(number, run) for number, runs in pending.items() for run in runs}
                for message in results(place, now):
                    step = (numbers[message.item], message.run)
                    found[step[0]][job.runs[step[1]].name] = message.verdict
                    left.discard(step)
                if left or not ended.ok:
                    at = position(place, now)
                    mishap = mishap_of(ended, self.memory_bytes)
                    step_now = (numbers[at[0]], at[1]) if at else None
                    if mishap and mishap.again and step_now not in tried:
                        tried.add(step_now)
                    elif step_now is None:
                        raise MachineError(never_began(ended, mishap))
                    elif not mishap or step_now in left:
                        verdict = verdict_of(place, ended, build.core, mishap)
                        found[step_now[0]][job.runs[step_now[1]].name] = verdict
                        left.discard(step_now)
                pending = {
                    number: runs
                    for number in numbers
                    if (runs := [run for run in pending[number] if (number, run) in left])
                }
        return [
            CaseRecord(case=case.id, build=build.record.id, verdicts=verdicts)
            for (case, _), verdicts in zip(requests, found, strict=True)
        ]

    def job(self, build: Build, runs: Sequence[RunSpec], heap: Heap) -> CaseJob:
        """Return the work of one process, without any case."""
        return CaseJob(
            binding="" if build.runner else str(self.binding()),
            runner=build.runner,
            library=build.library,
            core=str(build.core),
            runs=tuple(_message(run) for run in runs),
            exact=_message(self.exact),
            items=(),
            tolerance=self.tolerance,
            heap=heap,
            seconds=self.seconds,
            network=build.network,
        )

    def process(
        self,
        job: CaseJob,
        place: Path,
        environment: Mapping[str, str] | None = None,
        folders: Sequence[Path] = (),
    ) -> Completed:
        """Run a job in a process, whose files go to a new directory.

        Args:
            job: what to run.
            place: the directory.
            environment: variables that the process gets besides.
            folders: where it may write besides.

        Raises:
            MachineError: the disk is full, no process can be started, or the build was damaged
                meanwhile.
        """
        with unchanged((job.core, job.binding)):
            return run_worker(
                self.processes,
                case_worker.main,
                job,
                place,
                seconds=PROCESS_SECONDS,
                memory_bytes=self.memory_bytes,
                devices=any(run.options.get(USE_VULKAN) for run in (*job.runs, job.exact)),
                folders=folders,
                environment=environment,
            )


def _message(run: RunSpec) -> CaseRun:
    return CaseRun(name=run.name, options=dict(run.options), threads=run.threads)


def results(place: Path, job: CaseJob) -> list[RunDone]:
    """Return what a process has done so far of its job, each step once."""
    found: dict[Step, RunDone] = {}
    for message in read_messages(place / MESSAGES_FILE, RunDone.model_validate_json):
        if _is_step(message.item, message.run, job):
            found.setdefault((message.item, message.run), message)
    return list(found.values())


def position(place: Path, job: CaseJob) -> Step | None:
    """Return the places of the item and the run that a process was at; None if it began none."""
    try:
        words = read_left(place / case_worker.POSITION_FILE, limit=MOST_WORDS).split()
        item, run = (int(word) for word in words)
    except ValueError:
        return None
    return (item, run) if _is_step(item, run, job) else None


def _is_step(item: int, run: int, job: CaseJob) -> bool:
    return 0 <= item < len(job.items) and run in job.items[item].runs


def never_began(ended: Completed, mishap: Mishap | None) -> str:
    """Return what to say of a process that ended before its first case."""
    why = mishap.reason if mishap else f"{ended.fate}: {last_line(ended.output)}"
    return f"a process for cases ended before the first of them: {why}. Run it with --debug"


def verdict_of(place: Path, ended: Completed, core: Path, mishap: Mishap | None) -> CaseVerdict:
    """Return the verdict of the step in which a process ended."""
    if mishap:
        reason = f"not measured: {mishap.reason}"
        return CaseVerdict(outcome=CaseOutcome.UNJUDGED, reason=reason, lost=True)
    if ended.returncode == -signal.SIGALRM or ended.timed_out:
        return CaseVerdict(outcome=CaseOutcome.HANG, reason="no result in time")
    if ended.returncode >= 0:
        # It ended by itself: nothing to accuse a layer of.
        how = ended.fate if ended.returncode else f"{ended.fate}, and without a result"
        reason = f"the worker ended with {how}: {last_line(ended.output)}"
        return CaseVerdict(outcome=CaseOutcome.UNJUDGED, reason=reason)
    crash = crash_of(place / TRACE_FILE, core)
    inner = next((f.function for f in crash.frames if f.function), "") if crash else ""
    reason = f"{ended.fate} in {inner}" if inner else ended.fate
    return CaseVerdict(outcome=CaseOutcome.CRASH, reason=reason)


def _agreed(usual: CaseVerdict, filled: CaseVerdict) -> CaseVerdict:
    """Return one verdict of two, the same case with usual memory and with memory filled.

    Wrong both times is wrong, by the milder of the two: what is filled in makes an error larger.
    Wrong only once is unstable. What this machine kept from being run says nothing.
    """
    if usual.lost or filled.lost:
        return usual if usual.lost else filled
    if usual.is_fault and filled.is_fault:
        return min(usual, filled, key=lambda v: (_SEVERITY.index(v.outcome), v.error))
    if usual.is_fault or filled.is_fault:
        bad = usual if usual.is_fault else filled
        return CaseVerdict(
            outcome=CaseOutcome.UNSTABLE,
            error=bad.error,
            limit=bad.limit,
            reason=f"{bad.outcome} in one process of two, with other memory around it"
            + (f": {bad.reason}" if bad.reason else ""),
        )
    return usual


_SEVERITY = (
    CaseOutcome.DROP,
    CaseOutcome.BROKEN,
    CaseOutcome.UNSTABLE,
    CaseOutcome.HANG,
    CaseOutcome.CRASH,
)
