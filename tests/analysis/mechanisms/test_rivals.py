"""What looks like a mechanism and is another one, or none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.mechanisms.layer_run import LayerRun
from harness.analysis.mechanisms.mechanism import explain
from harness.model.param import Layer
from harness.model.value import Value
from tests.analysis.mechanisms.test_mechanism import case, computed, found, half

Array = np.ndarray[Any, Any]
ROWS = 20
EPSILON = 1e-5


def normalised(
    right: LayerRun,
    variance: Callable[[Array], Array] = lambda v: v,
    mean: Callable[[Array], Array] = lambda m: m,
    factor: Array | float = 1.0,
    epsilon: float = EPSILON,
) -> Array:
    """A LayerNorm with its statistics changed, and a factor on each reciprocal root."""
    x = right.inputs[0].astype(np.float64)
    centred = x - mean(x.mean(1, keepdims=True))
    root = np.sqrt(variance((centred * centred).mean(1, keepdims=True)) + epsilon)
    gamma, beta = right.weights["gamma"], right.weights["beta"]
    return np.asarray(centred / root * factor * gamma + beta)


def some(places: tuple[int, ...], amount: float) -> Array:
    factors = np.ones((ROWS, 1))
    factors[list(places)] += amount
    return factors


RANDOM = np.random.default_rng(7)
WIDTH = 60
RIVALS: dict[str, tuple[Callable[[LayerRun], Array], str]] = {
    "variance over N-1": (
        lambda r: normalised(r, variance=lambda v: v * WIDTH / (WIDTH - 1)),
        "variance over N-1",
    ),
    "statistics in fp16": (lambda r: normalised(r, half, half), "statistics in fp16"),
    "variance in fp16": (
        lambda r: normalised(r, half),
        "reciprocal square root of a number in fp16",
    ),
    "constant factor": (lambda r: r.exact * 1.0005, "one constant factor"),
    "constant factor on the root": (
        lambda r: normalised(r, factor=1.0005),
        "one constant factor on the reciprocal square root",
    ),
    "another epsilon": (lambda r: normalised(r, epsilon=1e-3), "epsilon 0.001"),
    "an epsilon nobody uses": (lambda r: normalised(r, epsilon=3e-4), "epsilon about 0.0003"),
    "two rows by 1.0005": (lambda r: normalised(r, factor=some((3, 7), 5e-4)), "unexplained"),
    "every row, up or down": (
        lambda r: normalised(r, factor=1 + 3e-4 * RANDOM.choice([-1, 1], (ROWS, 1))),
        "unexplained",
    ),
    "every row by a random factor": (
        lambda r: normalised(r, factor=1 + RANDOM.uniform(-3e-4, 3e-4, (ROWS, 1))),
        "unexplained",
    ),
}


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_of_an_estimate(name: str) -> None:
    wrong, words = RIVALS[name]
    right = case("LayerNorm")
    explanation = found(computed(right, wrong(right)))
    assert explanation.mechanism.startswith(words)
    assert "estimate" not in explanation.mechanism


def test_few_results_of_a_table_are_not_called_half_precision() -> None:
    """Two numbers of a table may both have a last bit of zero."""
    right = case("BatchNorm")
    root = 1 / np.sqrt(right.weights["variance"].astype(np.float64) + EPSILON)
    taken = half(root)
    by_channel = (taken / root).reshape(-1, 1, 1)
    shift = right.weights["bias"].reshape(-1, 1, 1)
    y = (right.exact - shift) * by_channel + shift
    assert not found(computed(right, y)).explained


@pytest.mark.parametrize("kind", ["InnerProduct", "Convolution", "LayerNorm", "Softmax", "Gemm"])
def test_one_wrong_element_says_nothing(kind: str) -> None:
    right, rng = case(kind), np.random.default_rng(5)
    for _ in range(30):
        y, place = right.output.copy(), rng.integers(right.output.size)
        y.flat[place] += rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 1)
        assert found(computed(right, y)).mechanism == "unexplained"


@pytest.mark.parametrize(("beyond", "named"), [(1, False), (2, False), (6, True)])
def test_a_bound_is_what_several_elements_share(beyond: int, named: bool) -> None:
    right = case("Gemm")
    sizes = np.sort(np.abs(right.exact).ravel())
    bound = float(np.float32(sizes[-beyond - 1] * 0.5 + sizes[-beyond] * 0.5))
    explanation = found(computed(right, np.clip(right.output, -bound, bound)))
    assert explanation.explained == named
    assert explanation.mechanism.startswith("saturation") == named


def on_another_input(right: LayerRun) -> LayerRun:
    x = np.random.default_rng(9).normal(size=right.inputs[0].shape).astype(np.float32)
    other = replace(right, inputs=[x])
    return replace(other, output=other.predict(dtype=np.float32), expected=other.predict())


HALVED = "weights rounded to fp16"


@pytest.mark.parametrize(
    ("second", "words", "inputs"),
    [("the same", HALVED, 2), ("nothing", "unexplained", 2), ("noise", "unexplained", 2)],
)
def test_another_input_confirms_or_withdraws(second: str, words: str, inputs: int) -> None:
    right = case("InnerProduct")
    other = on_another_input(right)
    weights = {**right.weights, "weight": half(right.weights["weight"])}
    noise = np.random.default_rng(3).normal(size=other.output.shape) * 1e-2
    outputs = {
        "the same": other.predict(weights=weights, dtype=np.float32),
        "nothing": other.output,
        "noise": other.output + noise,
    }
    first = explain(
        computed(right, right.predict(weights=weights, dtype=np.float32)), floors=4, limit=4e-5
    )
    assert first.complete.mechanism == HALVED
    after = first.on(computed(other, outputs[second]), floors=4, limit=4e-5).complete
    assert (after.mechanism, after.inputs) == (words, inputs)


def in_half_with_flips(run: LayerRun, share: float) -> LayerRun:
    """Storage in half precision, where the smallest results are rounded to the other side."""
    weights = {**run.weights, "weight": half(run.weights["weight"])}
    y = half(run.predict(weights=weights, inputs=[half(run.inputs[0])])).ravel()
    by_size = np.argsort(np.abs(y))[np.count_nonzero(y == 0) :]
    y[by_size[: int(share * by_size.size)]] *= 1 + 2.0**-10
    return computed(run, y.reshape(run.output.shape))


@pytest.mark.parametrize(
    ("first", "second", "explained"),
    [(0, 0, True), (0.02, 0, True), (0, 0.02, True), (0.02, 0.02, True), (0.5, 0, False)],
)
def test_few_roundings_to_the_other_side(first: float, second: float, explained: bool) -> None:
    right = case("InnerProduct")
    examined = explain(in_half_with_flips(right, first), floors=4, limit=4e-5)
    after = examined.on(in_half_with_flips(on_another_input(right), second), floors=4, limit=4e-5)
    stored = "weights, inputs and outputs rounded to fp16"
    assert after.complete.mechanism == (stored if explained else "unexplained")
    assert after.complete.at_noise_floor == (first == second == 0)


def test_a_parameter_of_the_same_number_that_is_no_activation() -> None:
    """Parameter 9 of a Crop is an array: where it starts."""
    pairs = ((9, Value.of((1,))), (10, Value.of((5,))), (11, Value.of((1,))))
    layer = Layer("Crop", "it", ("in",), ("out",), pairs)
    x = np.random.default_rng(4).normal(size=(8, 6)).astype(np.float32)
    wrong = LayerRun(layer, {}, [x], half(x[:, 1:5]).astype(np.float32), x[:, 1:5].astype(float))
    words = found(wrong).mechanism
    assert "rounded to fp16" in words
