"""What earlier runs left, damaged in all ways that there are."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import pytest

from harness.domain.records import parse_record
from harness.util.kept import kept_lines, kept_value, says_anything
from tests.records import cell

if TYPE_CHECKING:
    from pathlib import Path

GOOD = cell({"A": 1e-3}).model_dump_json().encode()
DEEP = b"[" * 100_000
CONTENT = json.loads(GOOD)

DAMAGED = [
    b"null",
    b"[]",
    b"{}",
    b"1",
    b'"x"',
    b"\0" * 100,
    b"\xff\xfe",
    GOOD[: len(GOOD) // 2],
    DEEP,
    b'{"schema_version": 1, "layers": ' + DEEP,
    b'{"schema_version": 1, "layers": [1]}',
    b'{"schema_version": 1, "layers": {"a": 1}}',
    b'{"schema_version": 1, "layers": 5}',
    b"9" * 5000,
    GOOD.replace(b'"nan":0', b'"nan":' + b"9" * 4000),
    GOOD.replace(b'"nan":0', b'"nan":' + b"9" * 25),
    json.dumps({**CONTENT, "verdict": "splendid"}).encode(),
    json.dumps({**CONTENT, "layers": [[]]}).encode(),
    json.dumps({**CONTENT, "build": None}).encode(),
    json.dumps({**CONTENT, "options": {"a": "b"}}).encode(),
    GOOD.replace(b"20250503", b"2025\xff503"),
]


@pytest.mark.parametrize("line", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_line_hides_no_other(
    line: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cells.jsonl"
    path.write_bytes(GOOD + b"\n" + line + b"\n\n" + GOOD + b"\n" + line)

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert len(kept_lines(path, parse_record)) == 2
    assert says_anything(path, parse_record)
    assert caplog.messages == [f"{path}: 2 of 4 lines could not be read and are left out"]
    assert path.read_bytes().count(line) >= 2


@pytest.mark.parametrize("line", [*DAMAGED, b""], ids=range(len(DAMAGED) + 1))
def test_a_damaged_value_is_none(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(line)
    assert kept_value(path, parse_record) is None
    assert not says_anything(path, parse_record)


@pytest.mark.parametrize("kind", ["none", "pipe", "folder", "device"])
def test_what_is_no_file_holds_nothing(kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    assert kept_lines(tmp_path / kind, parse_record) == []
    assert kept_value(tmp_path / kind, parse_record) is None
