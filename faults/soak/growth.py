"""What grows over hours: memory of the harness, directories, locks; and whether it is bounded."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.stage import Stage

ALLOWANCE = 1.3
"""How much more the end of a soak may take than its beginning: rounds differ in what they do."""
AT_LEAST_ROUNDS = 6
"""With fewer nothing can be said."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is there at the end of one round."""

    memory_mib: float
    """Most that a harness of this round had resident."""
    store_mib: float
    run_mib: float
    """Of the newest run directory; there is one more after each round, by design."""
    temporary_files: int
    """Files and directories in the directory of temporary files."""
    locks: int
    """Files among the locks of the store."""


def size_of(stage: Stage, memory_kib: int) -> Size:
    """Measure a stage between two rounds."""
    runs = sorted(stage.results.iterdir()) if stage.results.is_dir() else []
    locks = stage.store / "locks"
    return Size(
        memory_mib=memory_kib / 1024,
        store_mib=_mib(stage.store),
        run_mib=_mib(runs[-1]) if runs else 0.0,
        temporary_files=len(stage.leftovers()),
        locks=len([*locks.iterdir()]) if locks.is_dir() else 0,
    )


def resident_kib(pid: int) -> int:
    """Return the most memory that a process has had resident; 0 if it has gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def unbounded(sizes: Sequence[Size]) -> list[str]:
    """Return what takes clearly more in the last third of the rounds than in the first.

    Medians are compared, so that a single round that was killed late counts for nothing.
    """
    if len(sizes) < AT_LEAST_ROUNDS:
        return []
    third = len(sizes) // 3
    found = []
    for field in fields(Size):
        values = [float(getattr(size, field.name)) for size in sizes]
        before, after = median(values[:third]), median(values[-third:])
        if after > before * ALLOWANCE + 1:
            found.append(f"{field.name} grew from {before:.1f} to {after:.1f}")
    return found


def _mib(folder: Path) -> float:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{parent}/{name}").st_blocks * 512
    return total / 2**20
