"""The isolated process that runs cases: many small models in one build, each with many options.

Where it is stands in a file before each step, so that the parent knows which case it died of.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.coverage import dump_counts
from harness.cases.expectation import Expectation, ExpectedOutput, NotDefinedError, expect
from harness.cases.judgement import CaseOutcome, CaseVerdict, judge_case
from harness.cases.layer_case import parse_case
from harness.cases.sample import BIN, PARAM, Sample, sample_of
from harness.domain.verdict import FAINTEST
from harness.execution.case_job import CaseJob, CaseRun, RunDone
from harness.execution.heap import prepare
from harness.execution.remote_session import RemoteSession
from harness.execution.session import (
    ForwardPass,
    LoadError,
    NativeSession,
    NoDeviceError,
    RunError,
    Session,
    Setup,
    UnsupportedError,
)
from harness.execution.worker import MESSAGES_FILE, TRACE_FILE
from harness.execution.worker_end import ending_of
from harness.util.errors import HarnessError
from harness.util.files import append_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]

POSITION_FILE = "position"
"""Holds the places of the item and the run that are being run."""
PASSES = 2
_WIDTH = 24


def main(arguments: list[str]) -> int:
    """Run the job in the file `arguments[0]`; messages go beside it."""
    path = Path(arguments[0])
    job = CaseJob.model_validate_json(path.read_text(encoding="utf-8"))
    if not job.runner:
        prepare(job.heap)
    # The default action ends the process wherever it is, in ncnn's code too.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def work() -> None:
        for message in _messages(job, path.parent):
            # Open only now: what a build prints to any descriptor does not get there.
            append_line(path.parent / MESSAGES_FILE, message.model_dump_json(), sync=False)

    code = ending_of(work)
    if job.counts and not job.runner:
        # This process ends without what a program does at its end; a runner does it.
        dump_counts(Path(job.core))
    return code


def _messages(job: CaseJob, folder: Path) -> Iterator[RunDone]:
    for number, item in enumerate(job.items):
        case = _CaseWork(job, number, folder)
        for run in item.runs:
            _stand(folder, f"{number} {run}")
            signal.alarm(job.seconds)
            verdict = case.verdict(job.runs[run])
            signal.alarm(0)
            yield RunDone(item=number, run=run, verdict=verdict)


def _stand(folder: Path, position: str) -> None:
    """Write down where this process is, in one write: it may end at any time."""
    file = os.open(folder / POSITION_FILE, os.O_WRONLY | os.O_CREAT)
    os.pwrite(file, position.ljust(_WIDTH).encode(), 0)
    os.close(file)


class _RefusedError(Exception):
    """ncnn does not compute the case."""


class _CaseWork:
    """One case: written once, run with many options."""

    def __init__(self, job: CaseJob, number: int, folder: Path) -> None:
        text = job.items[number].case
        self._number = number
        self._sessions = 0
        self._job = job
        self._folder = folder
        self._sample: Sample | None = None
        self._expectation: Expectation | None = None
        self._problem = ""
        try:
            self._sample = sample_of(parse_case(text))
            self._sample.write(folder)
            self._expectation = expect(self._sample)
        except NotDefinedError as error:
            if error.ill_formed:
                self._problem = str(error)
        except HarnessError as error:
            self._problem = str(error)

    def verdict(self, run: CaseRun) -> CaseVerdict:
        """Run the case with some options."""
        sample = self._sample
        if self._problem or sample is None:
            return CaseVerdict(outcome=CaseOutcome.UNJUDGED, reason=self._problem)
        try:
            if self._expectation is None:
                self._expectation = self._by_exact_run(sample)
            session = self._open(run)
            passes = [self._pass(session, sample) for _ in range(PASSES)]
        except (_RefusedError, LoadError, RunError) as error:
            return CaseVerdict(outcome=CaseOutcome.REFUSED, reason=str(error))
        except (UnsupportedError, NoDeviceError) as error:
            return CaseVerdict(outcome=CaseOutcome.UNSUPPORTED, reason=str(error))
        return judge_case(self._expectation, passes, session.options, self._job.tolerance)

    def _open(self, run: CaseRun) -> Session:
        setup = Setup(
            core=Path(self._job.core),
            param=self._folder / PARAM,
            weights=self._folder / BIN,
            options=run.options,
            threads=run.threads,
            heap=self._job.heap,
            trace=None if self._job.library or self._job.runner else self._folder / TRACE_FILE,
        )
        if self._job.runner:
            # Each session wants a folder of its own.
            self._sessions += 1
            place = self._folder / f"remote-{self._number}-{self._sessions}"
            return RemoteSession(self._job.runner, setup, place)
        return NativeSession(Path(self._job.binding), setup)

    def _pass(self, session: Session, sample: Sample) -> list[Array]:
        outputs = sample.case.layer.outputs
        (reply,) = session.run([ForwardPass(feeds=sample.feeds, blobs=outputs)])
        lost = next((blob for blob in outputs if blob in reply.failures), None)
        if lost is not None:
            raise _RefusedError(reply.failures[lost])
        return [reply.blobs[blob] for blob in outputs]

    def _by_exact_run(self, sample: Sample) -> Expectation:
        """Return what the same build computes with the most exact options."""
        values = self._pass(self._open(self._job.exact), sample)
        return Expectation(
            outputs=tuple(
                ExpectedOutput(
                    value=y.astype(np.float64), noise=np.full(y.shape, FAINTEST, np.float64)
                )
                for y in values
            ),
            sample=sample,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
