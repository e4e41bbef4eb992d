"""The children of a process, theirs, and those that left their parents: that none outlives it.

A process group ends what stays in it. What starts a session of its own (a daemon) is handed to the
process that `adopt_orphans`, or is known by an environment variable that it inherited.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""Linux's `prctl(2)`; elsewhere nothing is done."""
_ROUNDS = 200
"""What forks while it is ended needs several rounds; each ends all that is there at the time."""
_PAUSE = 0.01


def adopt_orphans() -> None:
    """Have descendants of this process whose parents end become children of this one."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have this process killed when its parent ends, whose number is known from before."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def descendants(ancestor: int) -> list[int]:
    """Return the children of a process, and theirs; none where there is no `/proc`."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name of a program, in brackets, may hold anything.
            parent = int(path.read_bytes().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = list(children.get(ancestor, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def end_descendants() -> None:
    """End all descendants of this process, which adopts orphans, and reap its children."""
    for _ in range(_ROUNDS):
        if not _reaped():
            return
        for pid in descendants(os.getpid()):
            _kill(pid)
        time.sleep(_PAUSE)


def _reaped() -> bool:
    """Reap children that have ended, and return whether any is left."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _kill(pid: int) -> None:
    """End a process and its group, unless that is this one's own: a group cannot fork away."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        group = os.getpgid(pid)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)


def end_strays(variable: str, value: str) -> None:
    """End programs that have an environment variable of a value, which their children inherit.

    Without `/proc` nothing is done.
    """
    wanted = f"{variable}={value}".encode()
    for _ in range(_ROUNDS):
        found = _with(wanted)
        if not found:
            return
        for pid in found:
            _kill(pid)
        time.sleep(_PAUSE)


def _with(wanted: bytes) -> list[int]:
    """Return the processes whose environment has an entry; those that have ended have none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]
