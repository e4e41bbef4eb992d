"""Files of other people."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.util.errors import ConfigError, UsageError
from harness.util.reading import read_bytes, read_text


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("\ufeffé\n".encode())

    assert read_bytes(tmp_path / "x", limit=6) == b"\xef\xbb\xbf\xc3\xa9\n"
    assert read_text(tmp_path / "x") == "é\n"


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="pipe: not a regular file"):
        read_bytes(tmp_path / "pipe", limit=10)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full", "/tmp"])
def test_devices_and_directories_are_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="not a regular file"):
        read_bytes(Path(path), limit=10, error=ConfigError)


@pytest.mark.parametrize("path", ["a\0b", "missing", "x" * 5000])
def test_paths_that_lead_nowhere(path: str) -> None:
    with pytest.raises(UsageError, match="Correct the path"):
        read_bytes(Path(path), limit=10)


def test_what_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(1 << 40)

    with pytest.raises(UsageError, match=r"large: 1099511627776 bytes, and 10 are the most"):
        read_bytes(tmp_path / "large", limit=10)


def test_other_encodings_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a\nb\nc\xe9\n")

    with pytest.raises(UsageError, match=r"latin, line 3: not in UTF-8 \(byte 0xe9\)"):
        read_text(tmp_path / "latin")


def test_no_more_memory_is_taken_than_the_file_has(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")

    assert read_bytes(tmp_path / "x", limit=1 << 60) == b"abc"
