"""What a reproducer holds a layer against, and which it cannot be made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.cases.layer_case import parse_case
from harness.cases.sample import sample_of
from harness.reproducers.model_layer import recorded_sample
from harness.reproducers.reproducer import name_of, settings
from harness.util.errors import UsageError
from tests.reproducers.sides import TWO, reproducer, run, side


@pytest.mark.parametrize(
    ("case", "name", "expected"),
    [
        ("Softmax:0=0:3x7", "", "softmax_3x7"),
        ("BinaryOp:0=0:3x7+1x7", "", "binaryop_3x7_1x7"),
        ("Softmax:0=0:3x7", "Tail of 2 threads!", "softmax_tail_of_2_threads"),
        ("Softmax:0=0:3x7", "/", "softmax_case"),
    ],
)
def test_name(case: str, name: str, expected: str) -> None:
    assert name_of(sample_of(parse_case(case)), name) == expected


def test_expected_is_float64_by_definition() -> None:
    (output,) = reproducer("Softmax:0=0:3x7").outputs
    (x,) = sample_of(parse_case("Softmax:0=0:3x7")).inputs
    y = np.exp(x.astype(np.float64))
    assert output.value == pytest.approx(y / y.sum(axis=0), rel=1e-14)
    assert not output.unjudged.any()


@pytest.mark.parametrize(
    ("case", "limit", "relative"),
    [
        ("Softmax:0=0:3x7", None, 4e-5),
        ("Softmax:0=0:3x7", 1e-3, 1e-3),
    ],
)
def test_limit(case: str, limit: float | None, relative: float) -> None:
    (output,) = reproducer(case, limit=limit).outputs
    assert output.relative == relative
    assert output.limit == pytest.approx(relative * output.value.max())


def test_zeros_are_held_against_the_smallest_numbers() -> None:
    (output,) = reproducer("ReLU::3x7:x=zeros").outputs
    assert 0 < output.limit < 1e-30


def test_sets_of_options() -> None:
    made = reproducer(
        "Softmax:0=0:3x7",
        side("1", run("fp16-off", use_fp16_storage=False)),
        side("1", run("default"), bad=True),
    )
    assert list(made.runs) == ["num_threads=1,use_fp16_storage=false", "num_threads=1"]
    assert list(reproducer("Softmax:0=0:3x7").runs) == ["num_threads=2"]
    assert settings(TWO) == "num_threads=2"


@pytest.mark.parametrize(
    ("case", "bad", "message"),
    [
        ("Softmax:0=0:3x7", replace(TWO, when="after-model"), "mistake of a program"),
        ("Softmax:0=0:3x7", run("vulkan", use_vulkan_compute=True), "for the CPU"),
        ("Proposal::3x7", TWO, "no expected output in float64"),
        ("Softmax:0=5:3x7", TWO, "no expected output in float64"),
        # Which side of a whole number is rounded to is up to the last bit.
        ("UnaryOp:0=2:4x50:x=ids7", TWO, "too much to judge"),
    ],
)
def test_what_none_is_made_of(case: str, bad: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        reproducer(case, side("1", bad, bad=True))  # type: ignore[arg-type]


def test_layer_of_a_model() -> None:
    made_up = sample_of(parse_case("InnerProduct:0=2,1=1,2=6:3"))
    layer = replace(made_up.case.layer, name="fc", inputs=("x",), outputs=("y",))
    found = recorded_sample(layer, made_up.tensors, made_up.inputs)
    assert found.case == made_up.case
    assert found.tensors == made_up.tensors
