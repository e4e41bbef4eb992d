"""The text of programs and README."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.cases.layer_case import LayerCase
from harness.cases.sample import sample_of
from harness.reproducers.literals import float_literal
from harness.reproducers.model_layer import recorded_sample
from harness.reproducers.outcome import Outcome, SideOutcome
from harness.reproducers.texts import (
    alone_text,
    compile_line,
    compile_words,
    files_of,
    readme_text,
    tree_text,
)
from harness.util.errors import UsageError
from tests.reproducers.sides import SIDES, reproducer, run, side

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reproducers.reproducer import Reproducer

GOLDEN = Path(__file__).parent / "golden"


def tiny() -> Reproducer:
    """Return a reproducer of which everything is written by hand here."""
    made = reproducer("InnerProduct:0=1,1=1,2=2:2", commit="0123456789ab")
    (x,) = (np.array([1.0, -2.0], np.float32),)
    tensors = {
        "weight": np.array([[0.5, 0.25]], np.float32),
        "bias": np.array([0.125], np.float32),
    }
    sample = recorded_sample(made.sample.case.layer, tensors, [x])
    output = replace(
        made.outputs[0], value=np.array([0.125]), limit=5e-6, relative=4e-5, floor=1e-7
    )
    return replace(made, sample=sample, outputs=(output,))


OUTCOMES = [
    SideOutcome(
        side=SIDES[0],
        alone=Outcome(fate="passes", detail="out0: max error 0"),
        test=Outcome(fate="not tried", detail="no tests"),
    ),
    SideOutcome(
        side=SIDES[1],
        alone=Outcome(fate="crashes", detail="SIGSEGV | x"),
        test=Outcome(fate="passes", detail="out0: max error 0"),
    ),
]
TEXTS: dict[str, Callable[[], str]] = {
    "alone.cpp": lambda: alone_text(tiny(), b"\0\0\0\0\0\0\0\x3f"),
    "test.cpp": lambda: tree_text(tiny()),
    "README.md": lambda: readme_text(tiny(), OUTCOMES),
}


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str) -> None:
    # To renew: write TEXTS[name]() there, and look at the difference.
    assert TEXTS[name]() == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("params", "lines"),
    [
        ({0: 1, 1: -3}, ["pd.set(0, 1);", "pd.set(1, -3);"]),
        ({0: 0.1}, ["pd.set(0, 0.1f);"]),
        ({3: (1, 2)}, ["pd.set(3, flat(param_3_data, 2, 4u));"]),
        ({3: (1.0, 2.5)}, ["pd.set(3, flat(param_3_data, 2, 4u));"]),
        ({3: ()}, ["pd.set(3, ncnn::Mat());"]),
        ({3: "ij,jk"}, ['pd.set(3, std::string("ij,jk"));']),
    ],
)
def test_parameters(params: dict[int, object], lines: list[str]) -> None:
    case = LayerCase.of("Softmax", params, (3, 7))  # type: ignore[arg-type]
    made = reproducer("Softmax:0=0:3x7")
    text = tree_text(replace(made, sample=replace(made.sample, case=case)))
    assert re.findall(r"pd\.set.*", text) == lines


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        ((1, 2), "int param_3_data[] = {\n    1, 2}"),
        ((1.0, 2.5), "float param_3_data[] = {\n    1.0f,"),
    ],
)
def test_array_parameters_keep_their_type(value: tuple[float, ...], declared: str) -> None:
    made = reproducer("Softmax:0=0:3x7")
    case = LayerCase.of("Softmax", {3: value}, (3, 7))
    assert declared in tree_text(replace(made, sample=replace(made.sample, case=case)))


def test_each_set_of_options_is_run() -> None:
    made = reproducer(
        "Softmax:0=0:3x7",
        side("1", run("a", use_fp16_storage=False)),
        side("1", run("b", 4), bad=True),
    )
    for text in (alone_text(made, b""), tree_text(made)):
        assert re.findall(r"opt\.(\w+ = \w+);", text[text.index("int main") :]) == [
            "num_threads = 1",
            "use_fp16_storage = false",
            "num_threads = 4",
        ]


def test_weights_as_ncnn_gets_them() -> None:
    text = tree_text(reproducer("InnerProduct:0=2,2=6,8=1:3"))
    assert "static const signed char weight_data[]" in text
    assert "flat(weight_data, 6, 1u)" in text
    assert re.findall(r"weights\[(\d)\] = flat\((\w+)_data", text) == [
        ("0", "weight"),
        ("1", "weight_scale"),
        ("2", "input_scale"),
    ]
    halves = tree_text(reproducer("InnerProduct:0=2,2=6:3:store=fp16"))
    sample = sample_of(LayerCase.of("InnerProduct", {0: 2, 2: 6}, (3,), storage="fp16"))
    first = float_literal(np.float32(sample.tensors["weight"].flat[0]))
    assert (
        f"// kept as float16 in the .bin file\nstatic const float weight_data[] = {{\n    {first},"
        in halves
    )


@pytest.mark.parametrize(
    "case",
    [
        "Dequantize:0=1:3x4:x=int32-7",
        # Ids of tokens, which ncnn reads as the integers that they are.
        "Embed:0=4,1=9,3=36:5:x=ids9",
    ],
)
def test_whole_numbers_as_inputs(case: str) -> None:
    made = reproducer(case)
    (x,) = made.sample.inputs
    first = f"static const int in0[] = {{\n    {int(x.flat[0])}, "
    assert first in alone_text(made, b"")
    assert first in tree_text(made)


@pytest.mark.parametrize(("shape", "has_depth"), [("3x7", False), ("2x3x4x5", True)])
def test_older_versions_are_not_asked_for_a_depth(shape: str, has_depth: bool) -> None:
    text = alone_text(reproducer(f"Softmax:0=0:{shape}"), b"")
    assert ("m.d != like.d" in text) == has_depth


def test_what_is_not_judged() -> None:
    made = reproducer("Softmax:0=0:3x7")
    assert "ANY" not in tree_text(made)
    unjudged = np.zeros((3, 7), bool)
    unjudged[1, 2] = True
    outputs = (replace(made.outputs[0], unjudged=unjudged),)
    text = tree_text(replace(made, outputs=outputs))
    assert "if (expected[i] == ANY)" in text
    assert text.count("ANY,") == 1


def test_too_long_for_people() -> None:
    made = reproducer("InnerProduct:0=128,2=16384:128")
    with pytest.raises(UsageError, match=r"KiB of text.*more than 64.*smaller case.*--max-kib"):
        files_of(made, b"", kib=64)
    assert list(files_of(made, b"", kib=600)) == [
        "innerproduct_128.cpp",
        "test_innerproduct_128.cpp",
    ]


def test_compile_line() -> None:
    line = compile_line("x", "-mavx2")
    assert compile_words(line, ncnn=Path("/a b"), build=Path("/c")) == [
        "g++",
        "-O2",
        "x.cpp",
        "-I/a b/src",
        "-I/c/src",
        "/c/src/libncnn.a",
        "-fopenmp",
        "-pthread",
        "-o",
        "x",
        "-mavx2",
    ]


def test_readme_without_a_good_side() -> None:
    assert "no good side" in readme_text(replace(tiny(), sides=SIDES[1:]), OUTCOMES[1:])
    assert "no good side" not in readme_text(tiny(), OUTCOMES)


def test_readme_without_a_check() -> None:
    text = readme_text(tiny(), [])
    assert text.count("not tried") == 4
    assert "Not reproduced" not in text
