"""Runs that make one report: found below directories, and shards of a matrix put in their order."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config.shards import Shard
from harness.domain.findings import FILE as FINDING
from harness.domain.formatting import listed
from harness.execution.run_directory import CELLS, STATE
from harness.report.dataset import Run, read_run
from harness.report.sweep_about import FILE as SWEEP
from harness.util.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

DEEPEST = 4
"""How far below a directory runs are looked for; artifacts of jobs are two levels deep."""
_NAMED = 6
"""Builds of a missing shard that are named."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The runs of a report."""

    runs: tuple[Run, ...]
    """Shards of one matrix stand in their order."""
    incomplete: tuple[str, ...]
    """What is missing of the matrices that these are shards of, or could not be read."""


def run_directories(folder: Path) -> list[Path]:
    """Return a run directory as it is, of another one those below it, in the order of names.

    Links are not followed. A directory with neither is returned as it is; so is the root of the
    file system, in which everybody's runs are.
    """
    if folder.resolve().parent == folder.resolve():
        return [folder]
    return list(_below(folder, DEEPEST)) or [folder]


def _below(folder: Path, depth: int) -> Iterator[Path]:
    # Not `Path.exists`, which raises where a directory may not be entered.
    if any(os.path.exists(folder / name) for name in (CELLS, FINDING, SWEEP, STATE)):  # noqa: PTH110
        yield folder
        return
    if depth:
        for name in sorted(_folders(folder)):
            yield from _below(folder / name, depth - 1)


def _folders(folder: Path) -> list[str]:
    """Return the names of the directories in one; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def join(folders: Iterable[Path]) -> Joined:
    """Read the runs in or below some directories.

    One of several that are found below a directory is left out if it cannot be read, and told.

    Raises:
        HarnessError: a run directory that is named cannot be read, or none of those below one.
    """
    runs: list[Run] = []
    notes: list[str] = []
    for folder in folders:
        errors: list[HarnessError] = []
        found = run_directories(folder)
        for path in found:
            try:
                runs.append(read_run(path))
            except HarnessError as error:
                errors.append(error)
        if len(errors) == len(found):
            raise errors[0]
        notes += [f"left out: {error}" for error in errors]
    groups: dict[object, list[Run]] = defaultdict(list)
    for place, run in enumerate(runs):
        shard = run.shard
        groups[(shard.model, shard.builds) if shard else place].append(run)
    for group in groups.values():
        group.sort(key=lambda run: run.shard.index if run.shard else 0)
        notes += _gaps(group)
    return Joined(
        runs=tuple(run for group in groups.values() for run in group), incomplete=tuple(notes)
    )


def _gaps(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what is missing of the matrix that some runs are shards of."""
    division = runs[0].shard.builds if runs[0].shard else ()
    for index, builds in enumerate(division, start=1):
        mine = [run for run in runs if run.shard and run.shard.index == index]
        more = len(builds) - _NAMED
        names = listed([*builds[:_NAMED], *([f"{more} more"] if more > 0 else [])])
        shard = Shard(index=index, count=len(division))
        if not mine:
            yield f"shard {shard} is missing: nothing is known of {names}"
        elif not any(run.finished for run in mine):
            yield f"shard {shard} was interrupted: not all is known of {names}"
