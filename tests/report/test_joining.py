"""Shards of a matrix, downloaded into one directory, and what is missing of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.domain.verdict import Tolerance
from harness.execution.shard_file import ShardState, write_shard
from harness.report.dataset import merged
from harness.report.exports import json_text, junit
from harness.report.joining import join, run_directories
from harness.report.markdown import markdown
from harness.report.model import Report, assemble
from harness.util.errors import ConfigError, UsageError
from tests.report.synthetic import cell, write_run

if TYPE_CHECKING:
    from harness.domain.records import CellRecord

FLAGS = ("sse2", "avx2-nof16c", "avx2")
BUILDS = tuple((f"20261020-{flags}",) for flags in FLAGS)
ARTIFACTS = Path("artifacts")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shard(
    index: int,
    *,
    name: str = "",
    machine: str = "zen4",
    builds: tuple[tuple[str, ...], ...] = BUILDS,
    finished: bool = True,
) -> Path:
    """Write the run of one shard as an artifact is downloaded: in a directory of its own."""
    runs = ("default", "fp16-off")
    records = [cell("20261020", FLAGS[index - 1], run, "short", machine=machine) for run in runs]
    folder = write_run(ARTIFACTS / (name or f"shard-{index}") / "20260101-000000-default", records)
    write_shard(ShardState(index=index, model="ppocrv3-rec", builds=builds), folder)
    state = '{"key": "k", "finished": true}' if finished else '{"key": "k"}'
    (folder / "run.json").write_text(state)
    return folder


def report(*folders: Path) -> Report:
    joined = join(folders or [ARTIFACTS])
    return assemble(
        merged(joined.runs), title="", tolerance=Tolerance(), incomplete=joined.incomplete
    )


def cells(records: tuple[CellRecord, ...]) -> list[str]:
    return [record.cell.removesuffix("/short") for record in records]


def test_causes_are_found_over_all_shards() -> None:
    for index in (3, 1, 2):
        shard(index)
    found = report()
    assert found.incomplete == ()
    (part,) = found.parts
    assert part.scope.flags == FLAGS
    pairs = {pair for cause in part.causes for fix in cause.fixes for pair in fix.pairs}
    assert ("20261020-avx2/default/short", "20261020-avx2-nof16c/default/short") in pairs
    assert part.absent == {}


def test_shards_stand_in_the_order_of_the_matrix() -> None:
    shard(3, name="a")
    shard(1, name="b")
    shard(2, name="c")
    assert [run.shard.index for run in join([ARTIFACTS]).runs if run.shard] == [1, 2, 3]


def test_shards_on_several_machines() -> None:
    shard(1, machine="zen4")
    shard(2, machine="icelake")
    shard(3, machine="zen4")
    zen, ice = report().parts
    assert cells(zen.scope.records) == [
        f"20261020-{flags}/{run}" for flags in ("sse2", "avx2") for run in ("default", "fp16-off")
    ]
    assert cells(ice.scope.records) == [
        "20261020-avx2-nof16c/default",
        "20261020-avx2-nof16c/fp16-off",
    ]
    # What only one CPU measured is no cell of the other, and no proof there.
    pairs = {pair for cause in zen.causes for fix in cause.fixes for pair in fix.pairs}
    assert all("icelake" not in other for _, other in pairs)


def test_where_a_missing_cell_was_measured_is_told() -> None:
    shard(1)
    folder = shard(3)
    other = cell("20261020", "sse2", "bf16", "short", machine="icelake")
    write_run(ARTIFACTS / "x" / "r", [other])
    write_run(ARTIFACTS / "y" / "r", [cell("20261020", "avx2", "bf16", "short", machine="zen4")])
    zen = report().parts[0]
    assert zen.absent == {"measured on icelake, Linux": ("20261020-sse2/bf16/short",)}
    assert folder.is_dir()


def test_a_cell_measured_on_two_machines_stays_two() -> None:
    shard(1, name="a", machine="zen4")
    shard(1, name="b", machine="icelake")
    shard(2)
    shard(3)
    found = report()
    assert found.incomplete == ()
    assert [len(part.scope.records) for part in found.parts] == [6, 2]


@pytest.mark.parametrize(
    ("present", "told"),
    [
        ((1, 2, 3), []),
        ((1, 3), ["shard 2/3 is missing: nothing is known of 20261020-avx2-nof16c"]),
        (
            (2,),
            [
                "shard 1/3 is missing: nothing is known of 20261020-sse2",
                "shard 3/3 is missing: nothing is known of 20261020-avx2",
            ],
        ),
    ],
)
def test_missing_shards_are_told_everywhere(present: tuple[int, ...], told: list[str]) -> None:
    for index in present:
        shard(index)
    found = report()
    assert list(found.incomplete) == told
    for text in (markdown(found), json_text(found), junit(found)):
        assert all(note in text for note in told)
    assert ("not complete" in markdown(found)) == bool(told)


def test_an_interrupted_shard_is_told() -> None:
    shard(1, finished=False)
    shard(2)
    shard(3)
    assert report().incomplete == ("shard 1/3 was interrupted: not all is known of 20261020-sse2",)


def test_shards_of_two_matrices_do_not_complete_each_other() -> None:
    shard(1)
    shard(2, builds=(*BUILDS[:2], ("20261020-avx512",)))
    assert len(report().incomplete) == 4


@pytest.mark.parametrize("damage", [b"", b"\xff", b"{}", b"[" * 50_000])
def test_a_damaged_shard_is_left_out_and_told(damage: bytes) -> None:
    for index in (1, 2, 3):
        shard(index)
    (ARTIFACTS / "shard-2/20260101-000000-default/cells.jsonl").write_bytes(damage)
    left_out, missing = report().incomplete
    assert left_out.startswith("left out: artifacts/shard-2/20260101-000000-default: no records")
    assert missing == "shard 2/3 is missing: nothing is known of 20261020-avx2-nof16c"


def test_a_damaged_configuration_is_told_of_one_among_several() -> None:
    folder = [shard(index) for index in (1, 2, 3)][1]
    (folder / "config.toml").write_text("[")
    assert "config.toml" in report().incomplete[0]
    with pytest.raises(ConfigError):
        join([folder])


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"index": 1, "model": "", "builds": []}',
        b'{"index": 1, "model": "", "builds": [[]]}',
        b'{"index": 0, "model": "", "builds": [["a"]]}',
        b'{"index": 2, "model": "", "builds": [["a"]]}',
    ],
)
def test_a_damaged_description_of_a_shard(damage: bytes) -> None:
    folder = shard(1)
    (folder / "shard.json").write_bytes(damage)
    assert join([folder]).runs[0].shard is None


def test_directories_of_runs(tmp_path: Path) -> None:
    one, two = shard(1), shard(2)
    (ARTIFACTS / "empty").mkdir()
    (ARTIFACTS / "link").symlink_to(ARTIFACTS.resolve(), target_is_directory=True)
    assert run_directories(ARTIFACTS) == [one, two]
    assert run_directories(ARTIFACTS / "shard-1") == [one]
    assert run_directories(one) == [one]
    deep = Path("a/b/c/d/e/f")
    write_run(deep, [cell("20261020", "avx2", "default", "short")])
    assert run_directories(Path("a")) == [Path("a")]
    with pytest.raises(UsageError, match="no records"):
        join([Path("a")])
