"""How a matrix is divided: by builds, evenly, and the same way everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.config.cells import Matrix
from harness.config.shards import Shard, divided, part_of
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.util.errors import UsageError


def matrix(*sizes: int) -> Matrix:
    """Builds called a, b, c, … with so many cells each."""
    cells = []
    for letter, size in zip("abcdefghij", sizes, strict=False):
        revision = Revision(label=letter, kind="index", name=letter)
        build = BuildSpec(revision=revision, flags=FlagSet(name="f"), layers=None)
        for number in range(size):
            run = RunSpec(name=str(number))
            model, item = ModelSpec(name="m"), InputSpec(name="x", random=1)
            cells.append(CellSpec(build=build, run=run, model=model, input=item))
    return Matrix(cells=tuple(cells), left_out=())


@pytest.mark.parametrize(
    ("sizes", "shards", "expected"),
    [
        ((1,), 1, "a"),
        ((1, 1), 2, "a b"),
        ((5, 5, 5, 5), 2, "ab cd"),
        ((5, 5, 5, 5), 3, "a bc d"),
        ((5, 5, 5, 5), 4, "a b c d"),
        ((9, 1, 1, 1), 2, "a bcd"),
        ((1, 1, 1, 9), 2, "abc d"),
        ((1, 1, 1, 9), 3, "ab c d"),
        ((100, 1, 1), 3, "a b c"),
        ((1, 1, 100), 3, "a b c"),
        ((14, 14, 14, 7, 14, 14, 14, 7), 4, "ab cd ef gh"),
    ],
)
def test_division(sizes: tuple[int, ...], shards: int, expected: str) -> None:
    parts = divided(matrix(*sizes), shards)
    names = ["".join(build.revision.label for build in builds) for builds in parts]
    assert " ".join(names) == expected


@pytest.mark.parametrize("count", range(1, 8))
def test_each_cell_is_in_one_shard(count: int) -> None:
    whole = matrix(3, 9, 1, 4, 4, 2, 7)
    parts = [part_of(whole, Shard(index=i, count=count)) for i in range(1, count + 1)]
    assert [cell for part in parts for cell in part.cells] == list(whole.cells)
    assert all(part.cells for part in parts)
    for part in parts:
        assert {item.cell for item in part.left_out} == {*whole.cells} - {*part.cells}


def test_cells_of_others_say_where_they_are() -> None:
    (left_out, *_) = part_of(matrix(1, 1, 1), Shard(index=3, count=3)).left_out
    assert (left_out.cell.build.id, left_out.reason) == ("a-f", "in shard 1/3")


def test_more_shards_than_builds() -> None:
    with pytest.raises(UsageError, match="--shard 1/3: 2 builds for 3 shards"):
        part_of(matrix(1, 1), Shard(index=1, count=3))


def test_hashes_decide_nothing() -> None:
    words = [sys.executable, "-m", "harness", "matrix", "--list", "--shard", "2/3"]
    root = Path(harness.__file__).parents[1]
    listed = {
        subprocess.run(
            words,
            capture_output=True,
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": str(seed), "PATH": "/usr/bin:/bin"},
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(listed) == 1
