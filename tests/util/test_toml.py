"""TOML that nobody should write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.util.errors import ConfigError
from harness.util.toml import parse_toml, read_toml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "not valid TOML"),
        ("x = 1\nx = 2", "not valid TOML"),
        (f"x = {'9' * 5000}", "a number is too long"),
        (f"x = {'[' * 5000}{']' * 5000}", "within each other"),
        (f"x = {'{a=' * 2000}1{'}' * 2000}", "within each other"),
        (f"x = {'[' * 40}{']' * 40}", "x: more than 32 tables"),
        (".".join("a" * 50) + " = 1", "line 1: more than 32 tables"),
        ("x = 1\n[" + " . ".join(["'a b'"] * 500_000) + "]", "line 2: more than 32 tables"),
        ("[t]\nx = inf", "t.x: inf is no number"),
        ("x = [1, nan]", "x: nan is no number"),
        ("x = 1e999", "x: inf is no number"),
        ("x = 9223372036854775808", "x: a number that does not fit into 64 bits"),
        (r'x = "a\u0000b"', r"x: 'a\\x00b' has the control character"),
        (r'x = "a\u001b[2Jb"', "has the control character"),
        (r'"a\u0000b" = 1', "has the control character"),
        (r'x = "\uD800"', "not valid TOML"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^f[:,] .*{said}"):
        parse_toml(text, "f")


def test_all_that_is_sane_is_taken() -> None:
    text = 'x = """a\n\tb"""\ny = [-9223372036854775808, 1.5, true, 2026-01-01]\n'
    assert parse_toml(text, "f")["x"] == "a\n\tb"


@pytest.mark.parametrize("path", ["/dev/full", "/dev/zero", "/", "none", "pipe", "a\0b"])
def test_only_files(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError):
        read_toml(tmp_path / path)


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ConfigError, match="bytes, and 4194304 are the most"):
        read_toml(tmp_path / "large")
