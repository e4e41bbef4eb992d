"""Forward passes whose blobs are kept on disk: what a process is told to run, and what it leaves.

The process that runs a build may die by a fault of the build. The pass it died in is marked, and
a new process goes on with the next one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from harness.domain.base import MessageValue
from harness.execution.job import Job
from harness.util.files import write_atomically
from harness.util.process import run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

WORK = "work.json"
DONE = "done.jsonl"


class Pass(MessageValue):
    """One forward pass."""

    name: str
    feeds: dict[str, str]
    """ncnn blob → `.npy` file in the layout of ncnn."""
    blobs: tuple[str, ...]
    """Blobs to take out."""
    keep: bool = True
    """Whether ncnn keeps every blob after it was used."""
    repeats: int = 1
    """How often to run it; the fastest pass counts."""


class Work(MessageValue):
    """What one process runs."""

    job: Job
    """The build, the model and the options; it has no inputs of its own."""
    passes: tuple[Pass, ...]


class PassDone(MessageValue):
    """What became of one pass."""

    name: str
    files: dict[str, str] = {}
    """ncnn blob → `.npy` file."""
    failures: dict[str, str] = {}
    """Blobs that could not be computed, with the reason."""
    seconds: float = 0.0
    """Wall time of the fastest pass; of the last one if blobs were taken out in several."""


class Opened(MessageValue):
    """What became of opening the build and loading the model."""

    failure: str = ""
    options: dict[str, bool | int] = {}
    defaults: dict[str, bool | int] = {}


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The blobs of several passes, on disk."""

    opened: Opened
    passes: Mapping[str, PassDone]

    def blob(self, name: str, blob: str) -> Array | None:
        """Return one blob of one pass, or None if it was not computed."""
        file = self.passes[name].files.get(blob) if name in self.passes else None
        return np.load(file) if file else None

    def reason(self, name: str, blob: str) -> str:
        """Return why a blob is not there."""
        if self.opened.failure:
            return self.opened.failure
        done = self.passes.get(name)
        return done.failures.get(blob, "not run") if done else "not run"


@dataclass(frozen=True, kw_only=True)
class Collector:
    """Runs passes in processes of their own."""

    seconds: float
    """Time limit of one process, over what it needs per pass."""

    def run(self, job: Job, passes: Sequence[Pass], folder: Path) -> Collected:
        """Run all passes; the blobs are in `folder`, which should be empty."""
        done: dict[str, PassDone] = {}
        opened = Opened()
        pending = list(passes)
        attempt = 0
        while pending:
            place = folder / f"process-{attempt}"
            attempt += 1
            opened, finished, fate = self._process(job, pending, place)
            done |= {item.name: item for item in finished}
            pending = pending[len(finished) :]
            if opened.failure:
                break
            if pending:
                lost = pending.pop(0)
                reasons = dict.fromkeys(lost.blobs, f"ncnn ended with {fate}")
                done[lost.name] = PassDone(name=lost.name, failures=reasons)
        return Collected(opened=opened, passes=done)

    def _process(
        self, job: Job, passes: Sequence[Pass], place: Path
    ) -> tuple[Opened, list[PassDone], str]:
        work = Work(job=job, passes=tuple(passes))
        write_atomically(place / WORK, work.model_dump_json())
        done = run(
            [sys.executable, "-m", "harness.analysis.diagnosis.collect", place / WORK],
            log=place / "log",
            timeout=self.seconds + len(passes),
            env={"OMP_NUM_THREADS": str(job.threads), "OMP_WAIT_POLICY": "passive"},
        )
        lines = _lines(place / DONE)
        if not lines:
            return Opened(failure=f"{done.fate} while loading the model"), [], done.fate
        return Opened.model_validate_json(lines[0]), _passes(lines[1:]), done.fate


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _passes(lines: Sequence[str]) -> list[PassDone]:
    finished = []
    for line in lines:
        try:
            finished.append(PassDone.model_validate_json(line))
        except ValidationError:
            break  # torn by the process's death
    return finished
