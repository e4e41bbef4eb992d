"""Numbers in C++ text are the same numbers when a compiler reads them."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.reproducers.literals import (
    COLUMNS,
    double_literal,
    float_literal,
    judged_numbers,
    numbers,
    string,
    words,
)

if TYPE_CHECKING:
    from pathlib import Path

HARD = [0.0, -0.0, 1.0, 0.1, 16777217.0, 3.4028235e38, 1e-45, -1.1754942e-38, 1e16, 1 / 3]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1f"),
        (1.0, "1.0f"),
        (-0.0, "-0.0f"),
        (1e16, "1e+16f"),
        (1e-45, "1e-45f"),
        (np.inf, "INFINITY"),
        (-np.inf, "-INFINITY"),
        (np.nan, "NAN"),
    ],
)
def test_float_literal(value: float, text: str) -> None:
    assert float_literal(np.float32(value)) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_is_read_back(value: float) -> None:
    text = float_literal(np.float32(value))
    assert text[-1] == "f"
    assert np.float32(text[:-1]).tobytes() == np.float32(value).tobytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_double_is_read_back(value: float) -> None:
    text = double_literal(value)
    assert set(text) & set(".e")  # else it would be an integer, which may not fit
    assert np.float64(text).tobytes() == np.float64(value).tobytes()


@pytest.mark.native
def test_a_compiler_reads_the_same(tmp_path: Path) -> None:
    singles = np.array(HARD, np.float32)
    doubles = np.array([*HARD, 5e-324, 1.7976931348623157e308])
    bits = ", ".join(str(x) for x in singles.view(np.uint32))
    wide = ", ".join(f"{x}ull" for x in doubles.view(np.uint64))
    (tmp_path / "x.cpp").write_text(
        "#include <string.h>\n"
        f"static const float a[] = {{\n{numbers(singles)}}};\n"
        f"static const double b[] = {{\n{judged_numbers(doubles, np.zeros(12, bool))}}};\n"
        f"static const unsigned int c[] = {{{bits}}};\n"
        f"static const unsigned long long d[] = {{{wide}}};\n"
        f"static const unsigned int e[] = {{\n{words(singles.tobytes())}}};\n"
        "int main() { return memcmp(a, c, sizeof(a)) || memcmp(b, d, sizeof(b))"
        " || memcmp(e, c, sizeof(c)); }\n"
    )
    compiler = shutil.which("c++")
    assert compiler
    subprocess.run([compiler, "x.cpp", "-o", "x"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "x"], check=True)


def test_whole_numbers() -> None:
    assert numbers(np.array([[-3, 4]], np.int32)) == "    -3, 4"
    assert numbers(np.array([-128, 127], np.int8)) == "    -128, 127"


def test_what_is_not_judged() -> None:
    values = np.array([1.5, 2.5, 3.5])
    assert judged_numbers(values, np.array([False, True, False])) == "    1.5, ANY, 3.5"


def test_words_are_padded() -> None:
    assert words(b"\x01\x02\x03\x04\xff") == "    0x04030201, 0x000000ff"


def test_lines_are_short() -> None:
    values = np.random.RandomState(0).standard_normal(1000).astype(np.float32)
    lines = numbers(values).splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert sum(line.count("f") for line in lines) == 1000


def test_string() -> None:
    assert string("a\u2028b\n") == '    "a\u2028b\\n"'
    assert string('a "b"\n\\c\n') == '    "a \\"b\\"\\n"\n    "\\\\c\\n"'
