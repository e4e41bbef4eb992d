"""Shards: a matrix divided by builds, the same way wherever it is expanded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config.cells import LeftOut, Matrix
from harness.domain.formatting import count
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.spec import BuildSpec

MOST_SHARDS = 256
"""A matrix of GitHub Actions has no more jobs."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of several parts of a matrix, such as `2/4`."""

    index: int
    """Counted from 1."""
    count: int

    def __str__(self) -> str:
        """Return it as `--shard` takes it."""
        return f"{self.index}/{self.count}"


def divided(matrix: Matrix, shards: int) -> tuple[tuple[BuildSpec, ...], ...]:
    """Divide the builds of a matrix into shards with about as many cells each.

    Builds of a shard follow each other in the matrix, so that most are of one version: what
    differs in their flags alone is then measured on one CPU. No shard is empty.

    Args:
        matrix: an expanded matrix with at least one cell.
        shards: how many; at most as many as it has builds.
    """
    cells = Counter(cell.build for cell in matrix.cells)
    builds = matrix.builds
    parts = []
    for left in range(shards, 0, -1):
        size = _first([cells[build] for build in builds], left)
        parts.append(builds[:size])
        builds = builds[size:]
    return tuple(parts)


def _first(sizes: Sequence[int], shards: int) -> int:
    """Return how many builds of these sizes the first of so many shards takes."""
    if shards == 1:
        return len(sizes)
    share = sum(sizes) / shards
    taken, size = sizes[0], 1
    # Another one is taken where that comes nearer to the share, and one is left for each shard.
    while len(sizes) - size >= shards and taken + sizes[size] / 2 <= share:
        taken += sizes[size]
        size += 1
    return size


def part_of(matrix: Matrix, shard: Shard) -> Matrix:
    """Return the cells of one shard; the others are left out, each with the shard that has it.

    Raises:
        UsageError: there are more shards than builds.
    """
    if shard.count > len(matrix.builds):
        raise UsageError(
            f"--shard {shard}: {count(len(matrix.builds), 'build')} for {shard.count} shards, and "
            "a build is in one of them only. Give no more shards than builds; `python -m harness "
            "ci-matrix` with the same arguments names them."
        )
    place = {
        build: Shard(index=index, count=shard.count)
        for index, mine in enumerate(divided(matrix, shard.count), start=1)
        for build in mine
    }
    others = tuple(
        LeftOut(cell=cell, reason=f"in shard {place[cell.build]}")
        for cell in matrix.cells
        if place[cell.build] != shard
    )
    return Matrix(
        cells=tuple(cell for cell in matrix.cells if place[cell.build] == shard),
        left_out=(*matrix.left_out, *others),
    )
