"""The process between the fork server and what it forks: it sees to limits, output and cleanness.

It has no threads and runs no foreign code, and what it watches cannot reach it: whatever that does,
somebody is left who ends its children and tells how it ended.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.util.bounded_log import BoundedLog
from harness.util.errors import EXIT_INTERNAL
from harness.util.family import adopt_orphans, descendants, die_with, end_descendants
from harness.util.guardian import MARK, SERVER
from harness.util.limits import ProcessLimits, resident_bytes
from harness.util.places import Places
from harness.util.places import confine as confine_to
from harness.util.sandbox import Confinement, confine

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_SECONDS = 0.05
"""How often to look how much memory is in use."""
FAMILY_LOOKS = 10
"""How many looks go by until children are looked for again."""
_PIPE_BYTES = 1 << 16


def watch(request: Mapping[str, Any], pipe: int, server: int) -> NoReturn:
    """Fork once more, watch that process, and tell how it ends.

    Args:
        request: what to call and how, see `forking.ForkServer.fork`.
        pipe: receives the process's number in a line, and at its end another with its exit code
            and whether it was ended for its use of memory.
        server: number of the process that this one ends with.
    """
    die_with(server)
    adopt_orphans()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    said, saying = os.pipe()
    me = os.getpid()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with(me)
        for descriptor in (pipe, woken, waker, said):
            os.close(descriptor)
        enter(request, saying)
    lead(pid)
    os.close(saying)
    _tell(pipe, f"{pid}")
    limits = ProcessLimits(**request["limits"])
    with Path(request["output"]).open("ab", buffering=0) as stream:
        log = BoundedLog(stream)
        code, over = _to_the_end(pid, (woken, said), log, limits.memory_bytes)
        end_descendants()
        # Nobody is left who could write more.
        _take(said, log, wait=False)
        log.end()
    _tell(pipe, f"{code} {int(over)}")
    os._exit(0)


def _tell(pipe: int, line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(pipe, f"{line}\n".encode())


def _to_the_end(
    pid: int, readers: tuple[int, int], log: BoundedLog, memory_bytes: int
) -> tuple[int, bool]:
    """Take what a process prints until it ends; return how, and whether for its use of memory."""
    woken, said = readers
    over = False
    family = [pid]
    look, looks = 0.0, 0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), over
        ready, _, _ = select.select([woken, said] if said >= 0 else [woken], [], [], LOOK_SECONDS)
        if woken in ready:
            os.read(woken, _PIPE_BYTES)
        if said in ready and not _take(said, log, wait=True):
            said = -1
        now = time.monotonic()
        if memory_bytes and now - look >= LOOK_SECONDS:
            if looks % FAMILY_LOOKS == 0:
                family = [pid, *descendants(pid)] if looks else [pid]
            look, looks = now, looks + 1
            if resident_bytes(family) > memory_bytes:
                over = True
                for each in family:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(each, signal.SIGKILL)


def _take(said: int, log: BoundedLog, *, wait: bool) -> bool:
    """Take what is there to read; return whether there may be more."""
    while wait or select.select([said], [], [], 0)[0]:
        data = os.read(said, _PIPE_BYTES)
        log.add(data)
        if wait or not data:
            return bool(data)
    return True


def lead(pid: int) -> None:
    """Make a process the first of its group: it does so itself too, whoever comes first."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def enter(request: Mapping[str, Any], saying: int) -> NoReturn:
    """Become what looks like a program of its own, and call the function."""
    code = EXIT_INTERNAL
    try:
        lead(os.getpid())
        for standard in (1, 2):
            os.dup2(saying, standard)
        os.close(saying)
        marks = {name: os.environ[name] for name in (MARK, SERVER) if name in os.environ}
        os.environ.clear()
        os.environ.update({**request["env"], **marks})
        sys.path[:] = request["path"]
        function = getattr(importlib.import_module(request["module"]), request["name"])
        ProcessLimits(**request["limits"]).apply()
        if request["places"]:
            confine_to(Places(**{k: tuple(v) for k, v in request["places"].items()}))
        if request["confinement"]:
            confine(Confinement(**request["confinement"]))
        code = function(request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
