"""Cases of each layer type: defined, different, reproducible, every candidate among them."""

from __future__ import annotations

from functools import cache
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

COUNT = 40
KINDS = sorted(SKETCHES)
DEFINED = sorted(set(SKETCHES) & set(DEFINITIONS))


@cache
def made(kind: str) -> list[LayerCase]:
    return list(generate(kind, seed=1, count=COUNT))


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
    assert accepted(made(kind)) >= 0.95


@pytest.mark.parametrize("kind", DEFINED)
def test_cases_of_a_fresh_seed_are_defined(kind: str, fresh: int) -> None:
    assert accepted(list(generate(kind, seed=fresh, count=10))) >= 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_cases_are_different_and_their_ids_say_all(kind: str) -> None:
    cases = made(kind)
    assert len(cases) == COUNT
    assert len({case.id for case in cases}) == COUNT
    assert [parse_case(case.id) for case in cases] == cases


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_cases_are_the_same_if_fewer_are_asked_for(kind: str) -> None:
    few = list(generate(kind, seed=1, count=5))
    assert few == made(kind)[:5]
    assert few != list(generate(kind, seed=2, count=5))


@pytest.mark.parametrize("kind", KINDS)
def test_every_candidate_is_met(kind: str) -> None:
    cases = [*made(kind), *islice(generate(kind, seed=1, count=ENOUGH.get(kind, 120)), COUNT, None)]
    for key, candidates in SKETCHES[kind].params.items():
        met = {case.plain.get(key) for case in cases}
        # What a sketch lets follow from the inputs is met as something else.
        missing = set(candidates) - met - FOLLOWING.get((kind, key), set())
        assert not missing or not met & set(candidates), key
    ranks = {len(case.shapes[0]) for case in cases if case.shapes}
    assert kind in RESHAPED or set(SKETCHES[kind].ranks) <= ranks


RESHAPED = {"MemoryData", "Fold"}
"""Types whose inputs have other axes than those that are drawn."""
ENOUGH = {"Permute": 240}
"""Cases within which every candidate is met, where it is more than 120."""
FOLLOWING: dict[tuple[str, int], set[Any]] = {
    ("PReLU", 0): {2},
    ("Quantize", 0): {2},
    ("Dequantize", 0): {2},
    ("Dequantize", 1): {2},
    ("Requantize", 0): {2},
    ("Requantize", 1): {2},
    ("Requantize", 2): {2},
    ("Padding", 6): {1},
}
"""Candidates that stand for a number that follows from the inputs."""


@pytest.mark.parametrize("kind", DEFINED)
def test_cases_are_consistent(kind: str) -> None:
    for case in made(kind)[:10]:
        assert consistent(case) == case
