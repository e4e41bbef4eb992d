from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from harness.compare.alignment import Alignment
from harness.compare.arrangement import arrangements
from harness.compare.matching import Ancestry, Sample, match
from harness.model.param import Layer, Param

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize(
    ("value", "blob"),
    [
        ((1, 4, 6), (4, 6)),
        ((1, 4, 6), (6, 4)),
        ((1, 2, 3, 4), (3, 2, 4)),
        ((1, 5, 12), (3, 5, 4)),
        ((1, 3, 4, 5), (20, 3)),
        ((7,), (7, 1, 1)),
    ],
)
def test_every_arrangement_goes_both_ways(value: tuple[int, ...], blob: tuple[int, ...]) -> None:
    array = np.arange(np.prod(value)).reshape(value)
    ways = list(arrangements(value, blob))
    assert ways
    for way in ways:
        there = way.to_blob(array)
        assert there.shape == blob
        np.testing.assert_array_equal(way.to_value(there), array)


def test_another_number_of_elements_has_no_arrangement() -> None:
    assert not list(arrangements((2, 3), (2, 4)))


def test_plain_reshape_leaves_elements_where_they_are() -> None:
    (first, *_) = arrangements((1, 2, 3, 4), (2, 12))
    assert first.is_plain
    np.testing.assert_array_equal(
        first.to_blob(np.arange(24).reshape(1, 2, 3, 4)), np.arange(24).reshape(2, 12)
    )


NODES = [
    (["x"], ["a"]),
    (["a"], ["b"]),
    (["b"], ["b_copy"]),
    (["b_copy"], ["turned"]),
    (["turned", "a"], ["y"]),
]
PARAM = Param(
    (
        Layer("Input", "in0", (), ("in0",)),
        Layer("Convolution", "conv", ("in0",), ("1",)),
        Layer("Split", "split", ("1",), ("2", "3")),
        Layer("Swish", "swish", ("2",), ("4",)),
        Layer("Permute", "permute", ("4",), ("5",)),
        Layer("Other", "fused", ("5",), ("6",)),
        Layer("BinaryOp", "add", ("6", "3"), ("out0",)),
    )
)


def values(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    x, a, b, y = (rng.normal(size=(1, 4, 6)) for _ in range(4))
    return {"x": x, "a": a, "b": b, "b_copy": b, "turned": b.swapaxes(1, 2), "y": y}


def sample(seed: int, noise: float = 1e-6) -> Sample:
    reference = values(seed)
    held = {
        "in0": "x", "1": "a", "2": "a", "3": "a", "4": "b", "5": "turned", "out0": "y",
    }  # fmt: skip
    rng = np.random.default_rng(9)
    blobs = {
        blob: (reference[name][0] + noise * rng.normal(size=reference[name][0].shape)).astype("f4")
        for blob, name in held.items()
    }
    blobs["5"] = np.ascontiguousarray(blobs["4"].T)
    blobs["6"] = rng.normal(size=(6, 4)).astype("f4")
    return Sample(blobs=blobs, values=reference)


def matched(samples: list[Sample], names: Mapping[str, str]) -> dict[str, Alignment]:
    found = match(PARAM, names, samples, Ancestry.of(NODES))
    assert [m.blob for m in found] == ["in0", "1", "2", "3", "4", "5", "6", "out0"]
    return {m.blob: m for m in found}


def test_numbered_blobs_are_found_by_value() -> None:
    found = matched([sample(1), sample(2)], {"in0": "x", "out0": "y"})
    assert {blob: m.value for blob, m in found.items()} == {
        "in0": "x", "1": "a", "2": "a", "3": "a", "4": "b", "5": "turned", "6": "", "out0": "y",
    }  # fmt: skip
    assert {blob: m.how for blob, m in found.items()} == {
        "in0": "mapped", "1": "value", "2": "value", "3": "value", "4": "value", "5": "value",
        "6": "none", "out0": "mapped",
    }  # fmt: skip
    assert "for a second input" in found["1"].sure
    assert "equal values: 2 more" in found["4"].sure
    assert "no ONNX value" in found["6"].note


def test_a_match_by_chance_is_refused_by_the_second_input() -> None:
    second = sample(2)
    second.blobs["1"][:] = 1.0
    found = matched([sample(1), second], {"in0": "x", "out0": "y"})
    assert (found["1"].value, found["1"].how) == ("", "none")
    assert "for another" in found["1"].note


def test_a_name_needs_no_equal_values_but_equal_sizes() -> None:
    wrong = sample(1)
    blobs = {**wrong.blobs, "1": wrong.blobs["1"] * 7, "4": np.ones((3, 3), "f4")}
    found = matched([Sample(blobs=blobs, values=wrong.values)], {"1": "a", "4": "b"})
    assert (found["1"].value, found["1"].how) == ("a", "mapped")
    assert found["4"].how == "none"
    assert "shape (3, 3)" in found["4"].note


def test_a_turned_blob_is_seen_under_its_own_name() -> None:
    turned = sample(1)
    blobs = {**turned.blobs, "1": np.ascontiguousarray(turned.blobs["1"].T)}
    found = matched([Sample(blobs=blobs, values=turned.values)], {"1": "a"})
    assert found["1"].order == (1, 0)
    assert "axes 1,0" in found["1"].sure
