"""What a process may do that runs builds under test, and what it is told about its surroundings."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.util.limits import ProcessLimits, for_seconds
from harness.util.process import capture
from harness.util.sandbox import Confinement

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

TRY_SECONDS = 30.0
TEMPORARY = "tmp"
"""Folder in that of a process."""
FILE_BYTES = 4 << 30
"""Largest file of a worker: a tensor is smaller by far."""
_TEMPORARY_NAMES = ("TMPDIR", "TMP", "TEMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
"""Variables that say where to put files that nobody needs afterwards, drivers' caches included."""


def surroundings(place: Path) -> dict[str, str]:
    """Make a temporary directory of a process's own, and return how the process is told of it."""
    folder = place / TEMPORARY
    folder.mkdir(parents=True, exist_ok=True)
    return dict.fromkeys(_TEMPORARY_NAMES, str(folder))


def confinement(
    folders: Sequence[Path | str], *, network: bool = False, devices: bool = False
) -> Confinement:
    """Return what a process may do that writes into some folders, which are made here.

    Args:
        folders: where it may write, and nowhere else.
        network: whether what it starts is reached by the network.
        devices: whether it may use graphics devices.
    """
    for words in sandbox_lacks():
        _warn(words)
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return Confinement(
        writable=tuple(str(folder) for folder in folders), network=network, devices=devices
    )


def worker_limits(seconds: float, memory_bytes: int) -> ProcessLimits:
    """Return the limits of a process that runs builds under test."""
    return for_seconds(seconds, memory_bytes=memory_bytes, file_bytes=FILE_BYTES)


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
