from pathlib import Path

import pytest

from harness.analysis.bisection.inside.function_source import (
    function_diff,
    function_source,
    function_text,
)

TEXT = """#include "x.h"
// a helper
static int one(int a) { return a; }

template<typename T>
int Two::run(const T& a,
             int b) const
{
    const char* s = "}"; // }
    if (a) {
        /* } */
    }
    return b;
}
int three();
"""


@pytest.mark.parametrize("line", [5, 6, 7, 8])
def test_from_head_to_bracket(line: int) -> None:
    first, text = function_text(TEXT, line)
    assert first == 5
    assert text.startswith("template<typename T>")
    assert text.endswith("    return b;\n}")


def test_one_line() -> None:
    assert function_text(TEXT, 3) == (3, "static int one(int a) { return a; }")


def test_long_and_odd(tmp_path: Path) -> None:
    (tmp_path / "long.cpp").write_text("void f()\n{\n" + "    g();\n" * 200 + "}\n")
    shown = str(function_source(f"{tmp_path}/long.cpp:2", tmp_path)).splitlines()
    assert shown[:2] == ["// long.cpp:1", "void f()"]
    assert shown[-1] == "// 123 more lines"
    assert function_text("int f(", 1) == (1, "int f(")
    assert function_text("", 7) == (7, "")
    assert function_source(f"{tmp_path}/none.cpp:3", tmp_path) is None
    assert function_source("", tmp_path) is None


def test_diff_has_the_lines_of_the_file(tmp_path: Path) -> None:
    for name, text in (("old", TEXT), ("new", "\n\n" + TEXT.replace("return b", "return a"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.cpp").write_text(text)
    older, newer = (
        function_source(f"{tmp_path}/{name}/a.cpp:{line}", tmp_path / name)
        for name, line in (("old", 8), ("new", 10))
    )
    lines = function_diff(older, newer).splitlines()
    assert lines[:3] == ["--- a/a.cpp", "+++ b/a.cpp", "@@ -10,5 +12,5 @@ int Two::run(const T& a,"]
    assert lines[-3:-1] == ["-    return b;", "+    return a;"]
    added = function_diff(None, newer).splitlines()
    assert added[:3] == [
        "--- /dev/null",
        "+++ b/a.cpp",
        "@@ -0,0 +7,10 @@ int Two::run(const T& a,",
    ]
    assert function_diff(older, older) == ""
