"""The isolated process that runs passes and keeps their blobs."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np

from harness.analysis.diagnosis.passes import DONE, Opened, Pass, PassDone, Work
from harness.execution.session import (
    ForwardPass,
    LoadError,
    NoDeviceError,
    RunError,
    Session,
    UnsupportedError,
)
from harness.execution.worker import open_session
from harness.util.files import append_line

AT_ONCE = 64
"""Blobs in memory at a time besides those that ncnn keeps."""


def main(arguments: list[str]) -> int:
    """Run the work in the file `arguments[0]`; what it leaves goes beside it."""
    path = Path(arguments[0])
    work = Work.model_validate_json(path.read_text(encoding="utf-8"))
    folder = path.parent
    if work.job.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (work.job.memory_bytes, work.job.memory_bytes))
    try:
        session = open_session(work.job, folder / "remote")
    except (UnsupportedError, NoDeviceError, LoadError, RunError) as error:
        append_line(folder / DONE, Opened(failure=str(error)).model_dump_json())
        return 0
    opened = Opened(options=dict(session.options), defaults=dict(session.defaults))
    append_line(folder / DONE, opened.model_dump_json())
    for number, item in enumerate(work.passes):
        done = _run(session, item, folder / str(number))
        append_line(folder / DONE, done.model_dump_json())
    return 0


def _run(session: Session, item: Pass, folder: Path) -> PassDone:
    folder.mkdir()
    feeds = {blob: np.load(file) for blob, file in item.feeds.items()}
    files: dict[str, str] = {}
    failures: dict[str, str] = {}
    seconds = 0.0
    for blobs in _batches(item.blobs):
        request = ForwardPass(
            feeds=feeds, blobs=blobs, keep_intermediate=item.keep, repeats=item.repeats
        )
        try:
            (reply,) = session.run([request])
        except RunError as error:
            failures |= dict.fromkeys(blobs, str(error))
            continue
        seconds = reply.seconds
        failures |= reply.failures
        for blob, array in reply.blobs.items():
            files[blob] = str(folder / f"{len(files)}.npy")
            np.save(files[blob], array)
    return PassDone(name=item.name, files=files, failures=failures, seconds=seconds)


def _batches(blobs: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [blobs[start : start + AT_ONCE] for start in range(0, len(blobs), AT_ONCE)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
