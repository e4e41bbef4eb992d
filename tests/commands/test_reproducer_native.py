"""A known fault, written out, compiled and run on both sides: alone, and in a test tree.

The package index has no tests of ncnn: those here have its macros and nothing else.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.__main__ import main
from harness.domain.spec import Revision
from harness.sources import obtain
from harness.sources.tree import PARTS
from harness.util.errors import EXIT_NOT_REPRODUCIBLE, EXIT_OK
from tests.sources.conftest import empty_repository

if TYPE_CHECKING:
    from pathlib import Path

BAD, GOOD = "20250503", "20260526"
TESTS = {
    "tests/CMakeLists.txt": """
add_library(ncnntestutil STATIC testutil.cpp)
target_link_libraries(ncnntestutil PUBLIC ncnn)
macro(ncnn_add_layer_test class)
    string(TOLOWER ${class} name)
    if(${WITH_LAYER_${name}})
        file(GLOB test_${name}_SRCS "test_${name}.cpp" "test_${name}_*.cpp")
        foreach(test_file ${test_${name}_SRCS})
            get_filename_component(test_filename ${test_file} NAME_WE)
            add_executable(${test_filename} ${test_file})
            target_link_libraries(${test_filename} PRIVATE ncnntestutil ncnn)
        endforeach()
    endif()
endmacro()
include_directories(${CMAKE_CURRENT_SOURCE_DIR}/../src)
ncnn_add_layer_test(Softmax)
""",
    "tests/testutil.h": """
#include "cpu.h"
#include "layer.h"
#include "mat.h"
#include <stdio.h>
""",
    "tests/perf/CMakeLists.txt": "",
    "tests/testutil.cpp": '#include "testutil.h"\n',
}

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a clone of two releases with tests."""
    folder = tmp_path_factory.mktemp("project")
    repo = empty_repository(folder / "ncnn")
    for release in (BAD, GOOD):
        revision = Revision(label=release, kind="index", name=release)
        tree = obtain(revision, store=folder / "sources", log=folder / "log")
        subprocess.run(["rm", "-rf", *(repo.path / part for part in PARTS)], check=True)
        subprocess.run(["cp", "-r", *(tree.path / part for part in PARTS), repo.path], check=True)
        for name, text in TESTS.items():
            repo.write(name, text)
        repo.commit(release)
        repo.git("tag", release)
    return folder


def reproducer(project: Path, name: str, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the table of README.md."""
    out = project / name
    words = ["reproducer", "--case=Softmax:0=0:3x7", "--flags=sse2", f"--repo={project / 'ncnn'}"]
    words += [f"--builds={project / 'builds'}", f"--out={out}", *arguments]
    return main(words), (out / "README.md").read_text()


def test_tail_of_softmax_with_two_threads(project: Path) -> None:
    sides = [f"--good={GOOD}", f"--bad={BAD}", "--run=num_threads=2"]
    code, text = reproducer(project, "tail", *sides)
    assert code == EXIT_OK
    good, bad = (line for line in text.splitlines() if line.startswith(("| good", "| bad")))
    assert good.count("passes: out0: max error") == 2
    assert bad.count("fails: out0: max error") == 2
    assert "Not reproduced" not in text
    # Nothing is left where others build.
    assert not list((project / "builds" / "work").iterdir())


def test_what_is_right_is_not_called_a_reproducer(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = reproducer(project, "none", f"--bad={BAD}")
    assert code == EXIT_NOT_REPRODUCIBLE
    assert text.count("passes on the bad") == 2
    assert "does not reproduce outside of the harness: the test passes" in capsys.readouterr().out
