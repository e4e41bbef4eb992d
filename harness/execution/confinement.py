"""Runs workers: what a process may do that runs builds under test, and what it is told."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.util.files import disk_trouble_explained
from harness.util.limits import for_seconds
from harness.util.process import capture
from harness.util.sandbox import Confinement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.execution.case_job import CaseJob
    from harness.execution.job import Job
    from harness.util.forking import Function
    from harness.util.process import Completed, Processes

logger = logging.getLogger(__name__)

TRY_SECONDS = 30.0
JOB = "job.json"
TEMPORARY = "tmp"
"""Folder in that of a process."""
FILE_BYTES = 4 << 30
"""Largest file of a worker: a tensor is smaller by far."""
_TEMPORARY_NAMES = ("TMPDIR", "TMP", "TEMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
"""Variables that say where to put files that nobody needs afterwards, drivers' caches included."""


def run_worker(
    processes: Processes,
    function: Function,
    job: Job | CaseJob,
    place: Path,
    *,
    seconds: float,
    memory_bytes: int,
    devices: bool,
    folders: Sequence[Path | str] = (),
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run a job in a process of its own, which may do what the job needs and nothing else.

    Args:
        processes: start it.
        function: the worker; it gets the job's file, beside which it writes.
        job: what to do.
        place: a new directory for the job's file and what the worker writes.
        seconds: after which it is ended.
        memory_bytes: memory that it may use; 0 for any amount.
        devices: whether it may use graphics devices.
        folders: where it may write besides.
        environment: variables that it gets besides.

    Raises:
        MachineError: the disk of `place` is full, or no process can be started.
    """
    with disk_trouble_explained(place):
        allowed = _confinement([place, *folders], network=job.network, devices=devices)
        own = _surroundings(place)
        (place / JOB).write_text(job.model_dump_json(), encoding="utf-8")
        return processes.call(
            function,
            [place / JOB],
            log=place / "log",
            timeout=seconds,
            env={"OMP_WAIT_POLICY": "passive", **own, **(environment or {})},
            library=job.library,
            limits=for_seconds(seconds, memory_bytes=memory_bytes, file_bytes=FILE_BYTES),
            confinement=allowed,
        )


def _surroundings(place: Path) -> dict[str, str]:
    """Make a temporary directory of a process's own, and return how the process is told of it."""
    folder = place / TEMPORARY
    folder.mkdir(parents=True, exist_ok=True)
    return dict.fromkeys(_TEMPORARY_NAMES, str(folder))


def _confinement(folders: Sequence[Path | str], *, network: bool, devices: bool) -> Confinement:
    """Return what a process may do that writes into some folders, which are made here."""
    for words in sandbox_lacks():
        _warn(words)
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return Confinement(
        writable=tuple(str(folder) for folder in folders), network=network, devices=devices
    )


@cache
def sandbox_lacks() -> tuple[str, ...]:
    """Return what builds under test are not kept from on this machine, in words, with the reasons.

    Empty if all is there. It is tried in a process of its own.
    """
    done = capture(
        [sys.executable, "-m", "harness.util.sandbox"],
        timeout=TRY_SECONDS,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return tuple(filter(None, done.text.splitlines())) if done.ok else ("it cannot be tried",)


@cache
def _warn(words: str) -> None:
    """Say once what is missing."""
    logger.warning("builds under test are not kept from everything: %s", words)
