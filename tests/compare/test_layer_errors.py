import numpy as np
import pytest

from harness.compare.layer_errors import chain_records, error_of, with_alone
from harness.domain.records import LayerRecord
from harness.model.alignment import Alignment
from harness.model.param import Layer, Param

PARAM = Param(
    (
        Layer("Input", "in", (), ("x",)),
        Layer("InnerProduct", "fc", ("x",), ("y",)),
        Layer("Permute", "turn", ("y",), ("z",)),
        Layer("Exp", "other", ("z",), ("7",)),
    )
)
REFERENCE = {
    "x": np.ones((1, 2, 3)),
    "y": np.full((1, 2, 4), 2.0),
    "z": np.full((1, 2, 4), 2.0),
}
ALIGNMENTS = (
    *(
        Alignment(layer_index=at, blob=name, value=name, source="onnx", key=name, how="name")
        for at, name in enumerate("xyz")
    ),
    Alignment(layer_index=3, blob="7", how="none", note="no ONNX value has these numbers"),
)


Blobs = dict[str, np.ndarray | str]


def compared(chain: Blobs, alone: Blobs) -> list[LayerRecord]:
    """Return what a worker and its parent make of blobs together."""
    found = []
    for record, alignment in zip(
        chain_records(PARAM, ALIGNMENTS, chain, REFERENCE), ALIGNMENTS, strict=True
    ):
        known = record.blob in alone and alignment.key
        error, why = error_of(alone[record.blob], alignment, REFERENCE) if known else (None, "")
        found.append(with_alone(record, error, why))
    return found


def test_every_layer_is_measured_or_says_why_not() -> None:
    chain: Blobs = {
        "x": np.ones((2, 3), np.float32),
        "y": np.full((2, 4), 2.5, np.float32),
        "z": np.full((4, 2), 2.5, np.float32),
        "7": np.ones((4, 2), np.float32),
    }
    alone: Blobs = {"y": np.full((2, 4), 2.25, np.float32)}
    x, y, z, other = compared(chain, alone)
    assert (x.index, x.name, x.type, x.blob) == (0, "in", "Input", "x")
    assert (x.aligned, x.value, x.note, x.shape) == ("name", "x", "", (2, 3))
    assert x.chain is not None
    assert (x.chain.max_abs, x.alone) == (0, None)
    assert y.chain is not None
    assert y.alone is not None
    assert (y.chain.scale_relative, y.alone.scale_relative) == (0.25, 0.125)
    assert (z.aligned, z.value, z.chain) == ("none", "", None)
    assert z.note == "shape (4, 2) against (1, 2, 4) (z)"
    assert (other.aligned, other.note) == ("none", "no ONNX value has these numbers")


@pytest.mark.parametrize(
    ("chain", "alone", "note"),
    [
        ({"y": "extract failed"}, {}, "extract failed"),
        ({}, {}, "not run"),
        ({"y": np.ones((2, 4))}, {"y": "no reference value"}, "alone: no reference value"),
        ({"y": np.ones((2, 4))}, {"y": np.ones(3)}, "alone: shape (3,) against (1, 2, 4)"),
        ({"y": "died"}, {"y": "died too"}, "died; alone: died too"),
    ],
)
def test_reasons_are_kept(chain: Blobs, alone: Blobs, note: str) -> None:
    records = compared(chain, alone)
    assert records[1].note == note
    assert records[1].aligned == "name"
    assert (records[1].chain is None) == isinstance(chain.get("y", ""), str)
    assert records[1].alone is None


def test_a_model_that_gives_no_number_itself_is_no_measure() -> None:
    reference = {"y": np.full((1, 2, 4), np.nan)}
    error, why = error_of(np.full((2, 4), np.nan, np.float32), ALIGNMENTS[1], reference)
    assert (error, why) == (None, "nothing to compare: the model itself gives no number there")
    error, why = error_of(np.empty((0, 4), np.float32), ALIGNMENTS[1], {"y": np.empty((1, 0, 4))})
    assert (error, why) == (None, "nothing to compare: it is empty")
    reference["y"][0, 0, 0] = 1.0
    error, why = error_of(np.full((2, 4), np.nan, np.float32), ALIGNMENTS[1], reference)
    assert error is not None
    assert (error.nan, why) == (1, "")
    error, why = error_of(np.ones((2, 4), np.float32), ALIGNMENTS[1], reference)
    assert error is not None
    assert (error.nan, error.max_abs) == (0, 0)
    assert why == "7 of 8 not judged: the model gives NaN there"


def test_infinities_of_the_model_are_compared() -> None:
    reference = {"y": np.full((1, 2, 4), -np.inf)}
    for actual, finite in ((-np.inf, 0), (np.finfo(np.float32).min, 0), (5.0, 8)):
        error, why = error_of(np.full((2, 4), actual, np.float32), ALIGNMENTS[1], reference)
        assert error is not None
        assert (error.finite, error.inf, why) == (finite, 0, "")


def test_channels_are_those_of_the_blob() -> None:
    """The ONNX value has its channels last, the blob has them first."""
    alignment = Alignment(
        layer_index=1, blob="y", value="y", source="onnx", key="y", how="value", order=(1, 0)
    )
    value = np.ones((1, 4, 2))
    value[..., 1] = 100
    actual = np.ascontiguousarray(value[0].T)
    actual[0, 2] *= 1.01
    error, _ = error_of(actual, alignment, {"y": value}, {"y": np.zeros(2)})
    assert error is not None
    assert error.scale_relative == pytest.approx(1e-4)
    assert error.channel == 0
    assert error.channel_relative == pytest.approx(0.01 / (100 / 64))
