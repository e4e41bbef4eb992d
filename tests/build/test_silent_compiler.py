"""Compilers that do not say which they are."""

from pathlib import Path

import pytest

from harness.build import toolchain
from harness.build.toolchain import find_compiler
from harness.util.errors import MachineError


def compiler(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exec sleep 600", "no result after 1 s, without a word"),
        ("exit 0", "exit code 0, without a word"),
        ("echo broken; exit 1", "exit code 1"),
        ("kill -9 $$", "SIGKILL, without a word"),
        ("exec yes", "printed more than 100000 bytes"),
    ],
)
def test_a_compiler_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    monkeypatch.setattr(toolchain, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(toolchain, "ANSWER_BYTES", 100_000)
    path = compiler(tmp_path, "odd-c++", script)
    with pytest.raises(MachineError, match=why) as caught:
        find_compiler(str(path))
    assert "odd-c++" in str(caught.value)


def test_the_next_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_compiler.cache_clear()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    compiler(tmp_path, "c++", "exit 1")
    compiler(tmp_path, "g++", "echo g++ 99")
    assert find_compiler("").version == "g++ 99"
    find_compiler.cache_clear()
