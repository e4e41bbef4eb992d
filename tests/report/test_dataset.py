from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.loading import load_config
from harness.domain.commits import FaultyCommit, read_commits
from harness.domain.records import append_record
from harness.domain.versions import ordered_versions
from harness.report.dataset import (
    absent,
    cmake_arguments,
    newest_run,
    read_run,
    scopes,
)
from harness.util.errors import UsageError
from tests.report.synthetic import cell, matrix, write_run

PLACE = ("20250503", "avx2", "default", "short")


def test_cells_of_two_machines_stay_apart() -> None:
    found = scopes([cell(*PLACE), cell(*PLACE, machine="Neoverse-N1")])
    assert [scope.machine for scope in found] == [
        "zen4 (AMD Test CPU), Linux",
        "Neoverse-N1, Linux",
    ]
    assert [len(scope.records) for scope in found] == [1, 1]


def test_another_kernel_is_the_same_machine() -> None:
    record = cell(*PLACE)
    updated = record.model_copy(update={"machine": {**record.machine, "system": "Linux 7.0"}})
    (scope,) = scopes([record, updated])
    assert len(scope.records) == 1


@pytest.mark.parametrize("latest_first", [True, False])
def test_of_the_same_cell_the_one_finished_last_counts(latest_first: bool) -> None:
    older = cell(*PLACE)
    newer = older.model_copy(update={"finished": "2027-01-01T00:00:00+00:00", "latency_ms": 1.0})
    (scope,) = scopes([newer, older] if latest_first else [older, newer])
    assert scope.records == (newer,)


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["20250503", "20220420"], ("20220420", "20250503")),
        (["20250503", "20220420-patched"], ("20220420-patched", "20250503")),
        (["master", "20220420"], ("master", "20220420")),
    ],
)
def test_versions_are_ordered_by_date_where_all_have_one(
    labels: list[str], ordered: tuple[str, ...]
) -> None:
    assert ordered_versions(labels) == ordered


def test_default_run_is_the_one_that_changes_nothing() -> None:
    (scope,) = scopes([cell("20250503", "sse2", run, "short") for run in ("fp16-off", "default")])
    assert scope.default_run == "default"
    assert scope.runs == ("default", "fp16-off")


def test_absent_cells_are_named() -> None:
    records = matrix(layers=1)
    gone = records.pop(5)
    (scope,) = scopes(records)
    assert absent(scope) == (gone.cell,)


def test_records_are_sorted_as_configured(tmp_path: Path) -> None:
    records = matrix(layers=1)
    run = read_run(write_run(tmp_path / "a", list(reversed(records))))
    assert [record.cell for record in run.records] == [record.cell for record in records]


def test_newest_run_needs_records(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Run `nox -s matrix` first"):
        newest_run(tmp_path)
    (tmp_path / "20260301-000000-empty").mkdir()
    for name in ("20260101-000000-x", "20260201-000000-x"):
        append_record(tmp_path / name / "cells.jsonl", cell(*PLACE))
    assert newest_run(tmp_path).name == "20260201-000000-x"


def test_a_directory_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no records"):
        read_run(tmp_path)


def test_command_names_the_original_configuration_while_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_run(Path("results/20260101-000000-mine-2"), [cell(*PLACE)])
    assert read_run(path).config_path == path / "config.toml"
    original = Path("configs/mine.toml")
    original.parent.mkdir()
    original.write_bytes((path / "config.toml").read_bytes())
    assert read_run(path).config_path == original


def test_cmake_arguments_include_what_is_inherited(tmp_path: Path) -> None:
    config = load_config(write_run(tmp_path / "a", [cell(*PLACE)]) / "config.toml")
    arguments = cmake_arguments(config)["avx2"].split()
    assert {"-DNCNN_RUNTIME_CPU=OFF", "-DNCNN_AVX2=ON", "-DNCNN_F16C=ON"} <= set(arguments)


def test_guilty_commits_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "commits.json").write_text(
        '[{"commit": "bb", "date": "2024-01-02"}, {"commit": "aa", "date": "2022-06-23"}]'
    )
    assert [item.commit for item in read_commits([tmp_path, tmp_path / "none"])] == ["aa", "bb"]


def test_a_damaged_list_of_commits_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "commits.json").write_text('{"commit": "aa"}')
    assert read_commits([tmp_path]) == ()


def test_commit_is_shortened() -> None:
    assert FaultyCommit(commit="440bfdd2c0123456789", date="2022-06-23").short == "440bfdd2c"
