"""Reading what Linux says of processors, memory, limits and mounts."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.toolchain import cpu_description
from harness.doctor.machine import Resources

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNT = re.compile(r"(?:\S+ ){4}(/\S*) .*? - (\S+) ")
"""A line of `/proc/self/mountinfo`: where it is, and which kind of file system."""
CGROUPS = Path("/sys/fs/cgroup")
_LETTERS = {
    "n": resource.RLIMIT_NOFILE,
    "u": resource.RLIMIT_NPROC,
    "s": resource.RLIMIT_STACK,
    "f": resource.RLIMIT_FSIZE,
    "t": resource.RLIMIT_CPU,
    "v": resource.RLIMIT_AS,
    "c": resource.RLIMIT_CORE,
}


def probe_resources() -> Resources:
    """Return the processors, the memory and the limits of this process."""
    usable = float(len(os.sched_getaffinity(0)))
    memory = available_memory(text_of(Path("/proc/meminfo")))
    for folder in groups(text_of(Path("/proc/self/cgroup")), CGROUPS):
        usable = min(usable, quota(folder))
        memory = min(memory, room(folder))
    return Resources(
        cpu=cpu_description(),
        cores=os.cpu_count() or 1,
        usable=usable,
        memory=int(memory),
        limits={letter: _soft(number) for letter, number in _LETTERS.items()},
        cores_to_files=not text_of(Path("/proc/sys/kernel/core_pattern")).startswith("|"),
    )


def _soft(number: int) -> int | None:
    soft, _ = resource.getrlimit(number)
    return None if soft == resource.RLIM_INFINITY else soft


def available_memory(meminfo: str) -> float:
    """Return how many bytes `/proc/meminfo` says are available; infinite if it does not."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return float("inf")


def groups(membership: str, root: Path) -> Iterator[Path]:
    """Yield the folders of the control groups that a process is in, outer ones included.

    Args:
        membership: text of `/proc/self/cgroup`.
        root: where control groups are mounted.
    """
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not number.isdecimal():
            continue
        # The first version has a folder per controller, the second none.
        names = [name for name in ("cpu", "memory") if name in controllers.split(",")]
        for base in [root / name for name in names] if controllers else [root]:
            inner = base / path.lstrip("/")
            yield from (p for p in (inner, *inner.parents) if p.is_relative_to(base) and p.is_dir())


def quota(folder: Path) -> float:
    """Return how many processors a control group may keep busy; infinite without a limit."""
    words = text_of(folder / "cpu.max").split()
    if not words:
        words = [text_of(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        limit, period = map(int, words)
    except ValueError:  # `max`, or no such file
        return float("inf")
    return limit / period if limit > 0 and period > 0 else float("inf")


def room(folder: Path) -> float:
    """Return how many bytes a control group may still take; infinite without a limit.

    What it has of the cache of files is given up when memory is needed.
    """
    for limit, current in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most, used = int(text_of(folder / limit)), int(text_of(folder / current))
        except ValueError:
            continue
        cached = [
            int(line.split()[1])
            for line in text_of(folder / "memory.stat").splitlines()
            if line.startswith("inactive_file ")
        ]
        return max(most - used + sum(cached), 0)
    return float("inf")


def filesystem_of(path: Path, mounts: str) -> str:
    """Return the kind of file system that a path is on.

    Args:
        path: an absolute path without links.
        mounts: text of `/proc/self/mountinfo`.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        match = _MOUNT.match(line)
        if match is None:
            continue
        point = Path(match[1].replace("\\040", " "))
        # Of two mounts at the same place the later one is seen.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), match[2]
    return kind


def text_of(path: Path) -> str:
    """Return what the kernel says in a file; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
