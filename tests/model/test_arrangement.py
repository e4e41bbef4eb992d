import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.arrangement import arrangements, plain
from harness.model.blob_layout import to_ncnn_layout


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


@pytest.mark.parametrize(
    ("blob", "value"),
    [
        ((3, 48, 320), (1, 3, 48, 320)),
        ((40, 120), (1, 40, 120)),
        ((64,), (1, 64, 1, 1)),
        ((64, 1, 1), (1, 64, 1, 1)),
        ((512, 80), (1, 512, 1, 80)),
        ((40, 3, 8, 15), (1, 40, 3, 8, 15)),
        ((40, 120), (1, 40, 8, 15)),
        ((8, 40, 15), (1, 8, 600)),
        ((1,), ()),
    ],
)
def test_layouts_that_differ_in_axes_of_one_or_merged_ones(
    blob: tuple[int, ...], value: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(value), dtype=np.float32).reshape(value)
    fed = to_ncnn_layout(array, blob)
    assert fed.shape == blob
    assert np.array_equal(plain(value, blob).to_value(fed), array)


@pytest.mark.parametrize(
    ("blob", "value"),
    [
        ((120, 40), (1, 40, 120)),
        ((48, 320, 3), (1, 3, 48, 320)),
        ((40, 8, 15), (1, 8, 40, 15)),
        ((3, 48, 320), (2, 3, 48, 320)),
        ((5,), ()),
    ],
)
def test_layouts_that_no_reshape_makes_equal(blob: tuple[int, ...], value: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(.*\) against \(.*\)"):
        plain(value, blob)
    with pytest.raises(ValueError, match=r"shape \(.*\) against \(.*\)"):
        to_ncnn_layout(np.zeros(value), blob)


@given(st.permutations([2, 3, 5]), st.permutations([2, 3, 5]))
def test_permuted_axes_are_never_taken_for_reshaped_ones(one: list[int], other: list[int]) -> None:
    try:
        plain(tuple(other), tuple(one))
    except ValueError:
        assert one != other
    else:
        assert one == other


@pytest.mark.parametrize(
    ("value", "blob"),
    [((1, 3, 48, 320), (3, 48, 320)), ((1, 7), (7,)), ((7,), (7,)), ((1,), (1,)), ((4, 7), (4, 7))],
)
def test_inputs_lose_their_batch_axis(value: tuple[int, ...], blob: tuple[int, ...]) -> None:
    fed = to_ncnn_layout(np.zeros(value, np.float64))
    assert fed.shape == blob
    assert fed.dtype == np.float32


def test_ncnn_has_four_axes() -> None:
    with pytest.raises(ValueError, match="more axes than ncnn's 4"):
        to_ncnn_layout(np.zeros((1, 2, 2, 2, 2, 2)))
