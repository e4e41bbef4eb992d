import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.compare.alignment import Alignment, align
from harness.compare.arrangement import plain
from harness.model.blob_layout import to_ncnn_layout
from harness.model.param import Layer, Param
from harness.util.errors import ModelError

PARAM = Param(
    (
        Layer("Input", "in", (), ("x",)),
        Layer("Split", "split", ("x",), ("x_splitncnn_0", "x_splitncnn_1")),
        Layer("Split", "again", ("x_splitncnn_1",), ("c0", "c1")),
        Layer("Sigmoid", "act", ("x_splitncnn_0",), ("5",)),
        Layer("Split", "copies", ("5",), ("5_0", "y")),
        Layer("Noop", "sink", ("5_0",), ()),
    )
)


def found(alignments: tuple[Alignment, ...]) -> dict[str, tuple[str, str]]:
    return {a.blob: (a.value, a.how) for a in alignments}


def test_by_name_and_through_copies() -> None:
    alignments = align(PARAM, {"x": (1, 3), "y": (1, 3)}, {})
    assert found(alignments) == {
        "x": ("x", "name"),
        "x_splitncnn_0": ("x", "split"),
        "x_splitncnn_1": ("x", "split"),
        "c0": ("x", "split"),
        "c1": ("x", "split"),
        "5": ("", "none"),
        "5_0": ("", "none"),
        "y": ("y", "name"),
        "": ("", "none"),
    }
    notes = {a.blob: a.note for a in alignments if a.note}
    assert notes == {
        "5": "no ONNX value has this name",
        "5_0": "a copy of 5, which is not aligned",
        "": "the layer has no output",
    }
    assert [a.layer_index for a in alignments] == [0, 1, 1, 2, 2, 3, 4, 4, 5]


def test_the_users_mapping_comes_first() -> None:
    shapes = {"x": (1, 3), "sigmoid": (1, 3), "y": (1, 3)}
    result = found(align(PARAM, shapes, {"5": "sigmoid", "y": "sigmoid"}))
    assert result["5"] == ("sigmoid", "mapped")
    assert result["5_0"] == ("sigmoid", "split")
    assert result["y"] == ("sigmoid", "mapped")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"5": "sigmoidd"}, r"no ONNX value 'sigmoidd'\. The nearest is 'sigmoid'"),
        ({"x_splitncnn_3": "sigmoid"}, r"no blob 'x_splitncnn_3'\. The nearest is 'x_split"),
        ({"?": "sigmoid"}, r"no blob '\?'\. Correct the name"),
    ],
)
def test_mapping_of_unknown_names(mapping: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        align(PARAM, {"sigmoid": (1, 3)}, mapping)


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
