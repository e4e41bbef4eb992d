from pathlib import Path

import pytest

from harness.analysis.bisection.inside.function_source import function_source, function_text

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
    text = function_text(TEXT, line)
    assert text.startswith("template<typename T>")
    assert text.endswith("    return b;\n}")


def test_one_line() -> None:
    assert function_text(TEXT, 3) == "static int one(int a) { return a; }"


def test_long_and_odd(tmp_path: Path) -> None:
    text = "void f()\n{\n" + "    g();\n" * 200 + "}\n"
    found = function_text(text, 1).splitlines()
    assert found[-1] == "// 123 more lines"
    assert len(found) == 81
    assert function_text("int f(", 1) == "int f("
    assert function_text("", 7) == ""
    (tmp_path / "a.cpp").write_text(TEXT)
    assert function_source(f"{tmp_path}/a.cpp:3", tmp_path).splitlines()[0] == "// a.cpp:3"
    assert function_source(f"{tmp_path}/none.cpp:3", tmp_path) == ""
    assert function_source("", tmp_path) == ""
