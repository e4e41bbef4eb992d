"""All processes that this one started, and those that they did, to leave none behind."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from pathlib import Path


def end_descendants() -> None:
    """End them all, in whatever process groups and sessions they are. Without `/proc`, nothing."""
    for number in _descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(number, signal.SIGKILL)


def _descendants(ancestor: int) -> list[int]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold anything; then come the state and the parent.
            parent = int(path.read_bytes().rpartition(b")")[2].split()[1])
            children[parent].append(int(path.parent.name))
    found = list(children[ancestor])
    for number in found:  # grows
        found += children[number]
    return found
