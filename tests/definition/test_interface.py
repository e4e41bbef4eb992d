"""What `compute` promises: the outputs of a layer, or the reason why there is no definition."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.definition import NoDefinitionError, compute, has_definition
from harness.definition.arithmetic import EXACT
from harness.definition.definition import Tensors
from harness.model.param import Layer, parse
from harness.model.value import Plain
from tests.definition.cases import Case
from tests.definition.table import CASES

Array = np.ndarray[Any, Any]
KINDS = sorted({case.kind for case in CASES})


def line(text: str) -> Layer:
    """Return the layer of one line of a `.param` file."""
    (layer,) = parse(f"7767517\n1 9\n{text}\n").layers
    return layer


REFUSED: dict[str, tuple[str, tuple[int, ...], str]] = {
    "an unknown type": ("Proposal it 1 1 x y", (3, 4, 5), "no definition"),
    "an unknown parameter": ("ReLU it 1 1 x y 7=1", (5,), "parameter 7"),
    "a float for an integer": ("Permute it 1 1 x y 0=1.5", (3, 4), "1.5"),
    "an integer for a float": ("ReLU it 1 1 x y 0=2", (5,), "decimal point"),
    "a string": ('Reshape it 1 1 x y 6="0w"', (24,), "expression"),
    "a shape that does not fit": ("Reshape it 1 1 x y 0=5 1=5", (24,), "reshape"),
    "a missing tensor": ("PReLU it 1 1 x y 0=3", (3, 4), "slope"),
    "a tensor that does not fit": ("BatchNorm it 1 1 x y 0=3", (4, 5), "slope"),
    "no such axis": ("Softmax it 1 1 x y 0=3 1=1", (4, 5), "axis"),
    "what ncnn refuses": ("Softmax it 1 1 x y 0=1", (4, 5), "refuses"),
    "what versions see differently": ("Reshape it 1 1 x y 0=4 1=6 3=1", (24,), "3=1"),
    "too few inputs": ("BinaryOp it 2 1 x z y 0=0", (4, 5), "1 inputs"),
    "too many outputs": ("ReLU it 1 2 x y z", (5,), "2"),
    "nothing left": ("Crop it 1 1 x y -23309=1,3 -23310=1,3 -23311=1,0", (5,), "no part"),
    "an unknown operator": ("UnaryOp it 1 1 x y 0=99", (5,), "99"),
    "an order below zero": ("Permute it 1 1 x y 0=-1", (4, 5), "-1"),
    "a stride of nothing": ("Pooling it 1 1 x y 1=2 2=0", (3, 4, 5), "stride"),
    "a huge output": ("Padding it 1 1 x y 2=2000000000 0=2000000000", (3, 4), ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    text, shape, words = REFUSED[name]
    with pytest.raises(NoDefinitionError, match=rf"(?s)layer it \(\w+\).*{words}"):
        compute(line(text), {}, [np.ones(shape, np.float32)])


def test_types_are_known_or_not() -> None:
    assert has_definition(line("Convolution it 1 1 x y"))
    assert not has_definition(line("DetectionOutput it 1 1 x y"))


def test_int8_needs_its_term() -> None:
    text = "InnerProduct it 1 1 x y 0=2 2=6"
    weight: dict[str, Array] = {"weight": np.ones((2, 3), np.int8)}
    scales: dict[str, Array] = {
        "weight_scale": np.array([2, 2], np.float32),
        "input_scale": np.array([10], np.float32),
    }
    x = np.array([0.05, -0.25, 20], np.float32)
    with pytest.raises(NoDefinitionError, match="int8"):
        compute(line(text), weight, [x])
    # 0.5 and -2.5 are rounded away from zero, 200 is cut off at 127: 1 - 3 + 127 by 20.
    (y,) = compute(line(f"{text} 8=2"), {**weight, **scales}, [x])
    np.testing.assert_allclose(y, [6.25, 6.25])


def test_blob_of_int8_is_not_quantised_again() -> None:
    layer = line("InnerProduct it 1 1 x y 0=1 2=3 8=2")
    tensors: dict[str, Array] = {
        "weight": np.ones((1, 3), np.int8),
        "weight_scale": np.array([2.0], np.float32),
        "input_scale": np.array([10.0], np.float32),
    }
    (y,) = compute(layer, tensors, [np.array([1, 2, 3], np.int8)])
    np.testing.assert_allclose(y, [0.3])


def test_words_are_whole_numbers_of_any_type() -> None:
    layer = line("Embed it 1 1 x y 0=2 1=3 3=6")
    weight = np.arange(6, dtype=np.float32).reshape(3, 2)
    words = np.array([2, 0, 7, -1], np.int32)
    for given_words in (words, words.astype(np.int64), words.astype(np.float32)):
        (y,) = compute(layer, {"weight": weight}, [given_words])
        np.testing.assert_array_equal(y, weight[[2, 0, 2, 0]])


def test_whole_numbers_are_moved_but_not_taken_for_floats() -> None:
    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    (y,) = compute(line("Permute it 1 1 x y 0=1"), {}, [x])
    np.testing.assert_array_equal(y, x.T)
    with pytest.raises(NoDefinitionError, match="whole numbers"):
        compute(line("ReLU it 1 1 x y"), {}, [x])


def test_type_of_the_arrays() -> None:
    layer = line("GELU it 1 1 x y")
    x = np.linspace(-3, 3, 50, dtype=np.float32)
    (exact,) = compute(layer, {}, [x])
    (single,) = compute(layer, {}, [x], dtype=np.float32)
    assert (exact.dtype.name, single.dtype.name) == ("float64", "float32")
    assert 0 < np.abs(exact - single).max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_is_near_and_nothing_given_is_changed(kind: str) -> None:
    for case in (c for c in CASES if c.kind == kind):
        tensors, inputs = case.arrays()
        kept = [x.copy() for x in (*tensors.values(), *inputs)]
        exact = compute(case.layer, tensors, inputs)
        single = compute(case.layer, tensors, inputs, dtype=np.float32)
        for y, z in zip(exact, single, strict=True):
            np.testing.assert_allclose(z, y, rtol=0, atol=_allowed(case) * np.abs(y).max())
        for x, old in zip((*tensors.values(), *inputs), kept, strict=True):
            np.testing.assert_array_equal(x, old)


def _allowed(case: Case) -> float:
    # An eighth bit falls the other way: rounding to integers is not continuous.
    return 2e-2 if 18 in case.params or 8 in case.params else 2e-5


PRODUCTS = ("Convolution", "Deconvolution", "Deformable", "InnerProduct", "Gemm", "MatMul")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith(PRODUCTS)])
def test_products_that_a_hypothesis_replaces_are_the_same(kind: str) -> None:
    seen = []

    def product(a: Array, b: Array) -> Array:
        seen.append(a.shape)
        return np.asarray(np.matmul(a, b))

    maths = EXACT.replaced("matmul", product)
    for case in [c for c in CASES if c.kind == kind]:
        tensors, inputs = case.arrays()
        for y, z in zip(
            compute(case.layer, tensors, inputs),
            compute(case.layer, tensors, inputs, maths),
            strict=True,
        ):
            np.testing.assert_allclose(z, y, rtol=1e-9, atol=1e-9)
    assert seen


PLAIN: st.SearchStrategy[Plain] = st.one_of(
    st.integers(-3, 6),
    st.sampled_from([-233, -234, 100]),
    st.floats(-3, 3, width=32),
    st.lists(st.integers(-3, 4), min_size=1, max_size=4).map(tuple),
    st.just("text"),
)


@given(
    st.sampled_from(CASES),
    st.dictionaries(st.integers(0, 31), PLAIN, max_size=3),
    st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), max_size=3),
    st.sampled_from([np.float32, np.float16, np.int8, np.int32]),
)
def test_nothing_else_is_raised(
    case: Case, changes: Mapping[int, Plain], shapes: list[list[int]], kind: type[Any]
) -> None:
    layer, (tensors, inputs) = case.layer, case.arrays()
    for key, value in changes.items():
        layer = layer.with_param(key, value)
    changed = [np.ones(shape, kind) for shape in shapes] or inputs
    try:
        outputs = compute(layer, tensors, changed)
    except NoDefinitionError:
        return
    assert len(outputs) == len(layer.outputs)
    assert all(y.dtype == np.float64 and 1 <= y.ndim <= 4 and y.size for y in outputs)


def test_tensors_that_are_missing_are_named() -> None:
    with pytest.raises(NoDefinitionError, match="tensor weight is missing"):
        Tensors({}, np.float64)["weight"]
