"""What a process may use at most: the one place where limits of child processes are set.

Wall time is kept by whoever waits for the process. The memory of what runs builds under test is
watched: were it refused any, what it does then would look like a fault of its own. All others are
the system's own limits, which a process hands down to its children.
"""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

GIB = 1 << 30
FILE_BYTES = 16 * GIB
"""Largest file of a compiler, or of anything else."""
PROGRAM_BYTES = 16 * GIB
"""Memory that a compiler, git or any other program may ask for, each by itself."""
OPEN_FILES = 4096
TASKS = 2048
"""Processes and threads, where a process has a count of its own (see `sandbox.py`)."""
_GRACE = 5
"""Seconds between the signal that says that the CPU time is used up and the one that ends it."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """Limits of one process and of each of its children; 0 for none."""

    memory_bytes: int = 0
    """Memory in use by all of them together, which is watched (`watching.py`)."""
    data_bytes: int = 0
    """Memory that each may ask for."""
    file_bytes: int = FILE_BYTES
    cpu_seconds: int = 0

    def apply(self, pid: int = 0) -> None:
        """Limit this process, or another one where the system can do that."""
        _limit(pid, resource.RLIMIT_CORE, 0)
        _limit(pid, resource.RLIMIT_NOFILE, OPEN_FILES)
        if self.file_bytes:
            _limit(pid, resource.RLIMIT_FSIZE, self.file_bytes)
        if self.data_bytes:
            _limit(pid, resource.RLIMIT_DATA, self.data_bytes)
        if self.cpu_seconds:
            _limit(pid, resource.RLIMIT_CPU, self.cpu_seconds, grace=_GRACE)


def for_seconds(seconds: float, **limits: int) -> ProcessLimits:
    """Return limits of a program that may take some wall time, on all cores."""
    most = min(seconds * (os.cpu_count() or 1), 2**31)
    return ProcessLimits(cpu_seconds=int(most) + 60, **limits)


def limit_tasks() -> None:
    """Limit how many processes and threads there may be, in a namespace of this process's own.

    Elsewhere all processes of the user count, of which nothing is known.
    """
    _limit(0, resource.RLIMIT_NPROC, TASKS)


def outer_address_space() -> int:
    """Return the limit of the address space that this process was started with; 0 for none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return 0 if soft == resource.RLIM_INFINITY else soft


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the memory in use by some processes; 0 where the system does not tell."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return total


def _limit(pid: int, what: int, most: int, grace: int = 0) -> None:
    """Lower a limit, never raise one."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        soft, hard = resource.prlimit(pid, what) if pid else resource.getrlimit(what)
        least = min(_number(soft), most)
        pair = (least, min(_number(hard), most + grace))
        if pid:
            resource.prlimit(pid, what, pair)
        else:
            resource.setrlimit(what, pair)


def _number(limit: int) -> int:
    return 2**63 - 1 if limit == resource.RLIM_INFINITY else limit
