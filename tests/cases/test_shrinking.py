"""Cases become smaller, stay bad, and cost no more than was agreed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.cases.generation import generate
from harness.cases.generation.catalogue import is_well_formed
from harness.cases.layer_case import parse_case
from harness.cases.shrinking import shrink

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.cases.layer_case import LayerCase

    Predicate = Callable[[LayerCase], bool]


def _remainder(case: LayerCase) -> bool:
    return case.shapes[0][0] % 4 == 3 and case.layer.integer(1, 0) > 1


CASES: dict[str, tuple[str, Predicate, str]] = {
    "a remainder of channels, and a kernel": (
        "Convolution:0=31,1=5,4=2,5=1,6=24025,9=3,-23310=2,-5.0e-01,1.5e+00,13=2"
        ":31x11x13:x=outlier,w=tiny,store=fp16,seed=77",
        _remainder,
        "Convolution:0=1,1=2,4=1,6=12:3x1x1",
    ),
    "one axis": (
        "Softmax:0=-1,1=1:9x2x11x13:x=huge,seed=5",
        lambda case: case.shapes[0][-1] >= 7,
        "Softmax::7",
    ),
    "two inputs of the same shape": (
        "BinaryOp:0=4:5x11x13+5x11x13:seed=9",
        lambda case: len(case.shapes) == 2 and len(case.shapes[0]) == 3 and case.plain.get(0) == 4,
        "BinaryOp:0=4:1x1x1+1x1x1",
    ),
    "numbers": (
        "ReLU:0=2.5e-01:16x9:x=denormal,seed=50",
        lambda case: "denormal" in case.values,
        "ReLU::1:x=denormal",
    ),
    "a parameter": (
        "Gemm:0=5.0e-01,2=1,3=1,5=1,6=1,7=12,8=16,9=7,10=4,14=1:7x12:seed=3",
        lambda case: case.layer.integer(3, 0) == 1,
        "Gemm:3=1,5=1,8=1,9=1:1x1",
    ),
}


@pytest.mark.parametrize(("text", "is_bad", "smallest"), CASES.values(), ids=CASES)
def test_what_does_not_matter_goes(text: str, is_bad: Predicate, smallest: str) -> None:
    found = shrink(parse_case(text), is_bad, budget=1000)
    assert is_bad(found)
    assert found.id == smallest


@pytest.mark.parametrize("budget", [0, 1, 20])
def test_the_budget_is_kept(budget: int) -> None:
    asked = []
    case = parse_case("Softmax:0=-1,1=1:9x2x11x13:x=huge,seed=5")

    def is_bad(other: LayerCase) -> bool:
        asked.append(other.id)
        return other.shapes[0][-1] > 4

    found = shrink(case, is_bad, budget=budget)
    assert len(asked) <= budget
    assert len(asked) == len(set(asked))
    assert found == case or (found.id in asked and found.shapes[0][-1] > 4)


def test_a_case_that_nothing_simpler_is_like_stays() -> None:
    case = parse_case("Softmax:0=-1,1=1:9x2x11x13:x=huge,seed=5")
    assert shrink(case, lambda other: other == case) == case


def test_it_is_the_same_each_time() -> None:
    case = parse_case("Pooling:0=1,1=3,2=2,3=1,5=1:17x9x11:seed=8")

    def is_bad(other: LayerCase) -> bool:
        return other.shapes[0][0] > 5 and other.layer.integer(5, 0) == 1

    assert shrink(case, is_bad, budget=60) == shrink(case, is_bad, budget=60)


@pytest.mark.parametrize("kind", ["Convolution", "LSTM", "Reshape", "Slice", "MultiHeadAttention"])
def test_only_cases_that_mean_something_are_asked_about(kind: str) -> None:
    (case,) = generate(kind, seed=1, count=1)

    def is_bad(other: LayerCase) -> bool:
        assert is_well_formed(other)
        return len(other.params) % 2 == len(case.params) % 2

    shrink(case, is_bad, budget=50)
