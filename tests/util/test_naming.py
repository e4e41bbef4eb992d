"""Names become file names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.util.naming import file_name


@pytest.mark.parametrize(
    "name", ["avx2-fp16", "20250503", "a.b_c+d=e@f", "20250503#2", "HEAD~3", "a,b", "_", "x" * 80]
)
def test_harmless_names_stay(name: str) -> None:
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("/model/conv1/Conv_output_0", "model-conv1-Conv_output_0-"),
        ("../../pwned", "pwned-"),
        ("..", "name-"),
        ("", "name-"),
        (".hidden", "hidden-"),
        ("-rf", "rf-"),
        ("x.", "x-"),
        ("a\0b", "a-b-"),
        ("x" * 81, "x" * 40 + "-"),
        ("x-" + "0" * 16, "x-" + "0" * 16 + "-"),
        ("日本", "name-"),
        ("\udcff", "name-"),
    ],
)
def test_others_are_readable_as_far_as_they_are_harmless(name: str, begins: str) -> None:
    made = file_name(name)

    assert made.startswith(begins)
    assert made != name


@given(st.text())
def test_it_is_one_component_of_a_path(name: str) -> None:
    made = file_name(name)

    assert made not in ("", ".", "..")
    assert made.isascii()
    assert not {"/", "\\", "\0"} & set(made)
    assert made[0] not in ".-"
    assert len(made) <= 80


@given(st.text(), st.text())
def test_different_names_have_different_files(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)
    assert file_name(file_name(one)) != file_name(one) or file_name(one) == one
