"""Directories for files that nobody needs afterwards, and removing what a kill left of them."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

MARK = "ncnn-matrix-"
"""How the names of scratch directories begin, wherever the system has its temporary files."""


@contextmanager
def scratch_directory(purpose: str) -> Iterator[Path]:
    """Yield an empty directory that goes when the block ends; `--debug` keeps it.

    Args:
        purpose: first part of the name behind `MARK`, such as `cell-`.
    """
    if logger.isEnabledFor(logging.DEBUG):
        path = Path(tempfile.mkdtemp(prefix=purpose))
        logger.debug("scratch directory, kept: %s", path)
        yield path
        return
    path, lock = _locked(purpose)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_abandoned() -> None:
    """Remove the scratch directories of this user whose process was killed.

    A process holds a lock of each of its own, which goes with it. (Its number would not do: it
    says nothing in another container, and is given again.)
    """
    for path in Path(tempfile.gettempdir()).glob(f"{MARK}*"):
        with suppress(OSError):
            if path.lstat().st_uid != os.getuid():
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _locked(purpose: str) -> tuple[Path, int]:
    """Make a directory and lock it, as one step for `remove_abandoned`."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{MARK}{purpose}"))
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if path.exists():
                return path, lock
            os.close(lock)  # taken for abandoned before it was locked
