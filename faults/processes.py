"""The processes that a run of the harness starts, found by descent, however they hide."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_SET_CHILD_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of linux/prctl.h."""
POLL_SECONDS = 0.01

COMPILERS = (
    "cc1plus",
    "cc1",
    "c++",
    "g++",
    "cc",
    "gcc",
    "as",
    "collect2",
    "ld",
    "clang",
    "clang++",
)
CACHE = "sccache"
FORKING = "harness.util.forking"

STARTED: set[int] = set()
"""Processes that somebody here waits for."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process, as `/proc` has it."""

    pid: int
    parent: int
    group: int
    name: str
    """Its `comm`, 15 bytes at most."""
    words: tuple[str, ...]
    """Its command line."""

    @property
    def is_cache_server(self) -> bool:
        """Whether this is the compiler cache's server, which ends by itself when it is idle."""
        return self.name == CACHE and self.parent == os.getpid()

    @property
    def is_compiler(self) -> bool:
        """Whether this compiles, assembles or links."""
        return self.name in COMPILERS


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none can get away.

    Raises:
        OSError: the system has no such thing (it is Linux's).
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(of: int | None = None) -> list[Process]:
    """Return the living descendants of a process (this one by default), zombies left out."""
    everybody = {process.pid: process for process in _all()}
    children: dict[int, list[Process]] = {}
    for process in everybody.values():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [of or os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [process.pid for process in below]
    return found


def _all() -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            text = (folder / "stat").read_text(errors="replace")
            # The name may hold blanks and brackets; what follows the last bracket is regular.
            head, _, rest = text.rpartition(")")
            fields = rest.split()
            if fields[0] in "ZX":
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            yield Process(
                pid=int(folder.name),
                parent=int(fields[1]),
                group=int(fields[2]),
                name=head.partition("(")[2],
                words=tuple(words[:-1]),
            )


def fork_servers(harness: int) -> list[Process]:
    """Return the servers that a harness forks its workers from."""
    return [p for p in descendants(harness) if p.parent == harness and FORKING in p.words]


def workers(harness: int) -> list[Process]:
    """Return the processes in which a harness runs ncnn: each leads a group below a fork server."""
    servers = {process.pid for process in fork_servers(harness)}
    return [
        process
        for process in descendants(harness)
        if FORKING in process.words and process.pid not in servers and process.group == process.pid
    ]


def compilers(harness: int) -> list[Process]:
    """Return the compilers at work, those included that the cache's server started."""
    del harness
    return [process for process in descendants() if process.is_compiler]


def named(name: str) -> Callable[[int], list[Process]]:
    """Return what finds the processes below a harness that have a name."""

    def find(harness: int) -> list[Process]:
        return [process for process in descendants(harness) if process.name == name]

    return find


def cache_servers(harness: int) -> list[Process]:
    """Return the servers of the compiler cache."""
    del harness
    return [process for process in descendants() if process.is_cache_server]


def kill(processes: Collection[Process], number: int = signal.SIGKILL) -> int:
    """Send a signal to processes, and return how many were still there."""
    struck = 0
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
            struck += 1
    return struck


def left_over(seconds: float) -> list[Process]:
    """Return which descendants are still there after some time, the cache's server left out."""
    ends = time.monotonic() + seconds
    while True:
        reap()
        left = [process for process in descendants() if not process.is_cache_server]
        if not left or time.monotonic() > ends:
            return left
        time.sleep(POLL_SECONDS * 5)


def reap() -> None:
    """Bury adopted orphans that have died; those that `run.Running` started are its own to bury."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            pid = int(folder.name)
            if fields[0] == "Z" and int(fields[1]) == os.getpid() and pid not in STARTED:
                os.waitpid(pid, os.WNOHANG)


def end_all() -> None:
    """Kill every descendant, the cache's server included, until none is left."""
    while found := descendants():
        kill(found)
        reap()
        time.sleep(POLL_SECONDS)
    reap()
