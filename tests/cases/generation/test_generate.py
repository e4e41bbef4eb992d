"""Cases of each layer type: defined, different, reproducible, every candidate among them."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest

from harness.cases.expectation import NotDefinedError, expect
from harness.cases.generation import SKETCHES, consistent, generate
from harness.cases.generation.catalogue import LEFT_OUT
from harness.cases.layer_case import parse_case
from harness.cases.sample import sample_of
from harness.definition import DEFINITIONS

if TYPE_CHECKING:
    from harness.cases.layer_case import LayerCase

COUNT = 60
KINDS = sorted(SKETCHES)
DEFINED = sorted(set(SKETCHES) & set(DEFINITIONS))


@pytest.fixture(scope="module")
def fresh() -> int:
    """Return another seed each time."""
    seed = SystemRandom().randrange(1 << 30)
    print(f"seed {seed}")
    return seed


def accepted(cases: list[LayerCase]) -> float:
    good = 0
    for case in cases:
        try:
            expect(sample_of(case))
        except NotDefinedError:
            continue
        good += 1
    return good / len(cases)


def test_every_definition_has_a_sketch() -> None:
    assert set(DEFINITIONS) <= set(SKETCHES) | set(LEFT_OUT)
    assert not set(SKETCHES) & set(LEFT_OUT)


@pytest.mark.parametrize("kind", DEFINED)
def test_cases_are_defined(kind: str) -> None:
    assert accepted(list(generate(kind, seed=1, count=COUNT))) >= 0.95


@pytest.mark.parametrize("kind", DEFINED)
def test_cases_of_a_fresh_seed_are_defined(kind: str, fresh: int) -> None:
    assert accepted(list(generate(kind, seed=fresh, count=COUNT // 3))) >= 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_cases_are_different_and_their_ids_say_all(kind: str) -> None:
    cases = list(generate(kind, seed=2, count=COUNT))
    assert len(cases) == COUNT
    assert len({case.id for case in cases}) == COUNT
    assert [parse_case(case.id) for case in cases] == cases


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_cases_are_the_same_if_more_are_asked_for(kind: str) -> None:
    few = list(generate(kind, seed=3, count=5))
    assert few == list(islice(generate(kind, seed=3, count=40), 5))
    assert few != list(generate(kind, seed=4, count=5))


@pytest.mark.parametrize("kind", KINDS)
def test_every_candidate_is_met(kind: str) -> None:
    cases = list(generate(kind, seed=5, count=2 * COUNT))
    missing: dict[int, set[Any]] = {}
    for key, candidates in SKETCHES[kind].params.items():
        met = {case.plain.get(key) for case in cases}
        # What a sketch lets follow from the inputs is met as something else.
        if met & set(candidates):
            missing[key] = set(candidates) - met
    assert not any(values - FOLLOWING.get(kind, set()) for values in missing.values())
    ranks = Counter(len(case.shapes[0]) for case in cases if case.shapes)
    assert set(SKETCHES[kind].ranks) <= set(ranks) or kind == "MemoryData"


FOLLOWING: dict[str, set[Any]] = {
    kind: {2} for kind in ("PReLU", "Quantize", "Dequantize", "Requantize")
}
"""Candidates that stand for a number that follows from the inputs."""


@pytest.mark.parametrize("kind", DEFINED)
def test_cases_are_consistent(kind: str) -> None:
    for case in generate(kind, seed=6, count=20):
        assert consistent(case) == case
