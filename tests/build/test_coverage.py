"""Builds that count, and what reads the counts: what is asked of compilers, and what is told."""

import json
import re
from pathlib import Path

import pytest

from harness.build.coverage import NOTES, Counts, gcov_of, keep_notes, with_coverage
from harness.build.toolchain import Compiler
from harness.domain.spec import FlagSet
from harness.util.errors import MachineError

GCC = "g++ (Debian 12.2.0-14) 12.2.0"


def program(path: Path, script: str = "") -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_flag_set_keeps_what_it_has() -> None:
    flags = FlagSet(
        name="avx2",
        options=(("CMAKE_CXX_FLAGS", "-g"), ("NCNN_AVX2", "ON"), ("NCNN_OPENMP", "ON")),
        needs=frozenset({"avx2"}),
        cxx_flags="-fno-fast-math",
    )
    counting = with_coverage(flags)
    options = dict(counting.options)
    assert counting.name == "avx2-coverage"
    assert counting.wants_coverage
    assert not flags.wants_coverage
    assert options["CMAKE_CXX_FLAGS"] == "-g --coverage"
    assert options["NCNN_AVX2"] == "ON"
    assert options["NCNN_OPENMP"] == "OFF"
    assert counting.cxx_flags.split()[:2] == ["-fno-fast-math", "-O0"]
    assert counting.needs == flags.needs
    assert counting.options == tuple(sorted(counting.options))
    assert with_coverage(counting) == counting


@pytest.mark.parametrize(
    ("compiler", "gcov"),
    [
        ("g++", "gcov"),
        ("c++", "gcov"),
        ("g++-12", "gcov-12"),
        ("aarch64-linux-gnu-g++-12", "aarch64-linux-gnu-gcov-12"),
    ],
)
def test_gcov_is_that_of_the_compiler(tmp_path: Path, compiler: str, gcov: str) -> None:
    found = program(tmp_path / gcov)
    assert gcov_of(Compiler(path=program(tmp_path / compiler), version=GCC)) == found


def test_gcov_is_found_behind_a_link(tmp_path: Path) -> None:
    real = program(tmp_path / "g++-12")
    found = program(tmp_path / "gcov-12")
    (tmp_path / "c++").symlink_to(real)
    assert gcov_of(Compiler(path=tmp_path / "c++", version=GCC)) == found


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("g++-13", GCC, "there is no gcov-13 beside it"),
        ("clang++", "Debian clang version 14.0.6", 'compiler = "g++"'),
        ("cxx", GCC, "there is no cxx"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, name: str, version: str, words: str) -> None:
    with pytest.raises(MachineError, match=re.escape(words)):
        gcov_of(Compiler(path=program(tmp_path / name), version=version))


def test_notes_of_layers_are_kept_where_they_were(tmp_path: Path) -> None:
    objects = Path("src/CMakeFiles/ncnn.dir")
    for name in ("layer/relu.cpp.gcno", "layer/x86/relu_x86.cpp.gcno", "net.cpp.gcno"):
        (tmp_path / "build" / objects / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "build" / objects / name).touch()
    keep_notes(tmp_path / "build", tmp_path / "kept")
    kept = tmp_path / "kept" / NOTES
    assert sorted(p.relative_to(kept / objects).as_posix() for p in kept.rglob("*.gcno")) == [
        "layer/relu.cpp.gcno",
        "layer/x86/relu_x86.cpp.gcno",
    ]


def counting_build(folder: Path) -> Path:
    """Make up a build of one layer that counts, and return its core."""
    note = folder / NOTES / "src/layer/relu.cpp.gcno"
    note.parent.mkdir(parents=True)
    note.touch()
    entry = {"file": "/s/src/layer/relu.cpp", "command": "c++", "directory": "/work/slot-0/build"}
    (folder / "compile_commands.json").write_text(json.dumps([entry]))
    return folder / "core.so"


def counts_of(tmp_path: Path, script: str) -> Counts:
    program(tmp_path / "gcov", script)
    compiler = Compiler(path=program(tmp_path / "g++"), version=GCC)
    return Counts.begun(counting_build(tmp_path / "kept"), compiler, tmp_path / "counts")


def test_notes_lie_where_processes_count(tmp_path: Path) -> None:
    counts = counts_of(tmp_path, "echo '{\"files\": []}'")
    place = tmp_path / "counts" / "work/slot-0/build/src/layer/relu.cpp.gcno"
    assert counts.notes == (place,)
    assert counts.environment == {"GCOV_PREFIX": str(tmp_path / "counts")}
    assert list(counts.reports()) == [{"files": []}]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("relu.gcda:cannot open data file, assuming not executed", False),
        ("relu.gcda:stamp mismatch with notes file", True),
        ("relu.gcno:version 'B33*', prefer 'B22*'", True),
    ],
)
def test_counts_of_something_else_are_no_zeros(tmp_path: Path, words: str, told: bool) -> None:
    counts = counts_of(tmp_path, f'echo \'{{"files": []}}\'\necho "{words}" >&2')
    if told:
        with pytest.raises(MachineError, match=re.escape(words)):
            list(counts.reports())
    else:
        assert list(counts.reports()) == [{"files": []}]


def test_a_build_that_does_not_count_is_refused(tmp_path: Path) -> None:
    program(tmp_path / "gcov")
    (tmp_path / "compile_commands.json").write_text("[]")
    compiler = Compiler(path=program(tmp_path / "g++"), version=GCC)
    with pytest.raises(MachineError, match="was not compiled to count"):
        Counts.begun(tmp_path / "core.so", compiler, tmp_path / "counts")
