"""Run directories of other days, damaged: what can be read is reported, and nothing blocks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.util import kept
from tests.report.synthetic import cell, write_run

RECORDS = [cell("20261020", "avx2", run, "short", layers=3) for run in ("default", "bf16")]
NEWEST = Path("results/20260201-000000-new")

DAMAGE = [b"", b"null", b"[1]", b'"x"', b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000, b'{"a": ']
FILES = ["left-out.json", "finding.json", "commits.json", "coverage.json", "run.json"]


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept, "_told", set())
    write_run(Path("results/20260101-000000-old"), RECORDS)
    write_run(NEWEST, RECORDS)


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_files_beside_the_records(damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    for name in FILES:
        (NEWEST / name).write_bytes(damage)
    with (NEWEST / "cells.jsonl").open("ab") as stream:
        stream.write(damage + b"\n")
    assert main(["report", str(NEWEST)]) == 0
    printed = capsys.readouterr()
    assert "20261020" in printed.out
    assert "internal error" not in printed.err
    assert not damage or "could not be read and are left out" in printed.err


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_run_of_which_nothing_is_left_is_not_the_newest(
    damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (NEWEST / "cells.jsonl").write_bytes(damage)
    assert main(["report"]) == 0
    assert "20260101-000000-old/report.html" in capsys.readouterr().out
    assert main(["report", str(NEWEST)]) == 2
    assert "no records (cells.jsonl)" in capsys.readouterr().err


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_sweep(damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (NEWEST / "sweep.json").write_bytes(damage)
    assert main(["report", str(NEWEST)]) == 2
    assert "sweep.json: not what a sweep writes. Restore it" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [*DAMAGE, b"{}", b'{"metric": "x"}', b'{"nosuch": 1}'])
@pytest.mark.parametrize("name", ["command.json", "run.json"])
def test_a_damaged_bisection_is_not_resumed(
    name: str, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (NEWEST / "command.json").write_text(json.dumps({"config": "none.toml"}))
    (NEWEST / "run.json").write_text('{"key": "k", "finished": false}')
    (NEWEST / name).write_bytes(damage)
    resumes_nothing = not (name == "command.json" and damage == b"{}")
    assert main(["bisect", "--resume"]) == 2
    said = "no interrupted bisection" if resumes_nothing else "default.toml: cannot be read"
    assert said in capsys.readouterr().err
    assert (NEWEST / name).read_bytes() == damage
