"""What a sanitizer needs, asked of compilers that only pretend."""

import re
from pathlib import Path

import pytest

from harness.build.sanitizer import asan_library
from harness.build.toolchain import Compiler
from harness.domain.spec import FlagSet
from harness.util.errors import MachineError


def compiler(folder: Path, answer: str, version: str) -> Compiler:
    path = folder / "cxx"
    path.write_text(f"#!/bin/sh\necho {answer}\n")
    path.chmod(0o755)
    return Compiler(path=path, version=version)


def test_library_is_what_the_compiler_says(tmp_path: Path) -> None:
    library = tmp_path / "libasan.so"
    library.touch()
    assert asan_library(compiler(tmp_path, str(library), "g++ (Debian) 12.2.0")) == library


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ("g++ (Debian 12.2.0-14) 12.2.0", "apt-get install libgcc-12-dev"),
        ("Debian clang version 14.0.6", 'compiler = "g++"'),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, version: str, remedy: str) -> None:
    with pytest.raises(MachineError, match=re.escape(remedy)):
        asan_library(compiler(tmp_path, "libasan.so", version))


@pytest.mark.parametrize(
    ("options", "flags", "wanted"),
    [
        ((), "", False),
        ((), "-O1 -fsanitize=undefined", False),
        ((), "-fsanitize=address", True),
        ((("CMAKE_CXX_FLAGS", "-g -fsanitize=undefined,address"),), "", True),
        ((("CMAKE_CXX_FLAGS", "-fno-sanitize=address"),), "", False),
    ],
)
def test_flag_sets_that_need_it(
    options: tuple[tuple[str, str], ...], flags: str, wanted: bool
) -> None:
    assert FlagSet(name="f", options=options, cxx_flags=flags).wants_asan is wanted
