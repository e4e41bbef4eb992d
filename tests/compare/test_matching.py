from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.compare.matching import Agreement, Ancestry, Matcher

if TYPE_CHECKING:
    from collections.abc import Collection

Array = np.ndarray[Any, Any]

NODES = [
    (["x"], ["a"]),
    (["a"], ["b"]),
    (["b"], ["b_copy"]),
    (["b_copy"], ["turned"]),
    (["turned", "a"], ["y"]),
]


def values(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    x, a, b, y = (rng.normal(size=(1, 4, 6)) for _ in range(4))
    return {"x": x, "a": a, "b": b, "b_copy": b, "turned": b.swapaxes(1, 2), "y": y}


SAMPLES = [values(1), values(2)]


def matcher() -> Matcher:
    return Matcher(SAMPLES, Ancestry.of(NODES), limit=4e-5, floors=4)


def held(name: str, *, noise: float = 1e-6) -> list[Array]:
    rng = np.random.default_rng(9)
    return [sample[name][0] + noise * rng.normal(size=sample[name][0].shape) for sample in SAMPLES]


def found(name: str, names: Collection[str] = (), above: Collection[str] = ()) -> str:
    match = matcher().match(held(name), names=names, above=above)
    assert match.agreement is Agreement.EQUAL
    return match.value


def test_numbers_find_a_value() -> None:
    assert [found(name) for name in ("x", "a", "y")] == ["x", "a", "y"]


def test_a_name_chooses_among_equals_only() -> None:
    assert found("b") == "b"
    assert found("b", names=["b_copy"]) == "b_copy"
    assert found("b", names=["a"]) == "b"


def test_what_follows_from_the_inputs_is_preferred() -> None:
    assert found("b", above=["b"]) == "b"
    assert found("b", above=["b_copy"]) in ("b_copy", "turned")
    assert matcher().match(held("b")).equals == 2


def test_axes_may_be_turned_and_merged() -> None:
    match = matcher().match([np.ascontiguousarray(array.T) for array in held("a")])
    assert (match.value, match.agreement) == ("a", Agreement.EQUAL)
    assert match.way is not None
    assert match.way.axes == (1, 0)
    flat = matcher().match([array.reshape(24) for array in held("a")])
    assert flat.value == "a"


def test_equality_for_one_input_is_chance() -> None:
    blobs = held("a")
    blobs[1] = blobs[1][::-1]
    assert matcher().match(blobs).agreement is Agreement.UNLIKE


def test_what_is_further_off_than_arithmetic_is_near_and_not_equal() -> None:
    match = matcher().match(held("a", noise=1e-3))
    assert (match.agreement, match.value) == (Agreement.NEAR, "a")
    assert 1e-4 < match.error < 1e-2
    assert matcher().match(held("a", noise=1e-3), floor=1e-3).agreement is Agreement.EQUAL
    assert matcher().match(held("a", noise=0.3)).agreement is Agreement.UNLIKE


def test_numbers_that_are_none_are_like_nothing() -> None:
    blobs = [np.where(array > 0, np.nan, array) for array in held("a")]
    assert matcher().match(blobs).agreement is Agreement.UNLIKE


def test_equal_infinities_are_equal() -> None:
    masked = {"mask": np.array([[0.0, -np.inf, 1.0]])}
    found = Matcher([masked, masked], Ancestry.of([]), limit=4e-5, floors=4)
    assert found.error_at("mask", [masked["mask"][0]] * 2)[0] == 0


def test_other_shapes_for_another_input() -> None:
    wide = {"x": np.random.default_rng(3).normal(size=(1, 4, 9))}
    both = Matcher([{"x": SAMPLES[0]["x"]}, wide], Ancestry.of([]), limit=4e-5, floors=4)
    blobs = [SAMPLES[0]["x"][0].T, wide["x"][0].T]
    match = both.match(blobs)
    assert (match.value, match.agreement) == ("x", Agreement.EQUAL)


def test_the_nearest_of_values_within_the_limit_is_taken() -> None:
    """A bias may be so small that adding it changes nothing that a limit would notice."""
    rng = np.random.default_rng(4)
    samples = [
        {"early": array, "late": array + 1e-5}
        for array in (rng.normal(size=(1, 4, 6)) for _ in range(2))
    ]
    found = Matcher(samples, Ancestry.of([(["early"], ["late"])]), limit=4e-5, floors=4)
    for name in samples[0]:
        blobs = [sample[name][0] for sample in samples]
        # For one of the inputs rounding is worse than the difference.
        blobs[1] = blobs[1] + 3e-5 * np.sign(rng.normal(size=blobs[1].shape))
        match = found.match(blobs, names=["early"])
        assert (match.value, match.equals) == (name, 0)
