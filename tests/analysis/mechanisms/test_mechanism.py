"""Each mechanism is built into a layer on purpose and has to be found, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.mechanisms import narrow_formats as numbers
from harness.analysis.mechanisms.layer_run import LayerRun
from harness.analysis.mechanisms.mechanism import Explanation, explain
from harness.definition import compute
from harness.definition.arithmetic import EXACT, matmul_in_fp16
from harness.model.layouts import layout
from harness.model.param import Layer
from harness.model.value import Plain, Value

Array = np.ndarray[Any, Any]


def layer(kind: str, params: Mapping[int, Plain]) -> Layer:
    pairs = tuple((key, Value.of(value)) for key, value in params.items())
    return Layer(kind, "it", ("in",), ("out",), pairs)


LAYERS = {
    "InnerProduct": (layer("InnerProduct", {0: 24, 1: 1, 2: 24 * 40, 9: 1}), (10, 40)),
    "Convolution": (layer("Convolution", {0: 8, 1: 3, 4: 1, 5: 1, 6: 8 * 6 * 9}), (6, 9, 11)),
    "MultiHeadAttention": (layer("MultiHeadAttention", {0: 24, 1: 4, 2: 24 * 24}), (12, 24)),
    "Gemm": (layer("Gemm", {3: 1, 5: 1, 6: 1, 8: 20, 9: 16, 10: 4}), (7, 16)),
    "LayerNorm": (layer("LayerNorm", {0: 60, 1: 1e-5}), (20, 60)),
    "BatchNorm": (layer("BatchNorm", {0: 4, 1: 1e-5}), (4, 9, 11)),
    "Softmax": (layer("Softmax", {0: -1, 1: 1}), (20, 60)),
    "GELU": (layer("GELU", {}), (20, 60)),
    "Swish": (layer("Swish", {}), (60, 400)),
    "DetectionOutput": (layer("DetectionOutput", {}), (20, 60)),
}


def case(kind: str) -> LayerRun:
    """A layer that ncnn computed honestly, in single precision."""
    made, shape = LAYERS[kind]
    rng = np.random.default_rng(1)
    weights = {s.name: rng.normal(size=s.shape).astype(np.float32) for s in layout(made)}
    weights = {name: abs(w) if name == "variance" else w for name, w in weights.items()}
    x = rng.normal(size=shape).astype(np.float32)
    if kind == "DetectionOutput":
        return LayerRun(made, {}, [x], x.T.copy(), x.T.astype(float))
    return LayerRun(
        made,
        weights,
        [x],
        compute(made, weights, [x], dtype=np.float32)[0],
        compute(made, weights, [x])[0],
    )


def found(wrong: LayerRun) -> Explanation:
    return explain(wrong, floors=4, limit=4e-5).complete


def computed(right: LayerRun, output: Array) -> LayerRun:
    return replace(right, output=output.astype(np.float32))


def half(array: Array, kind: numbers.Format = "fp16", truncated: bool = False) -> Array:
    return numbers.rounded(array.astype(float), kind, truncated=truncated)


@pytest.mark.parametrize("kind", ["InnerProduct", "Convolution", "MultiHeadAttention", "Gemm"])
@pytest.mark.parametrize("stored", ["fp16", "bf16"])
@pytest.mark.parametrize("truncated", [False, True])
def test_weights_in_a_narrow_format(kind: str, stored: numbers.Format, truncated: bool) -> None:
    right = case(kind)
    weights = {
        name: half(w, stored, truncated) if name in right.stored else w
        for name, w in right.weights.items()
    }
    explanation = found(computed(right, right.predict(weights=weights, dtype=np.float32)))
    words = f"weights rounded to {stored}"
    assert explanation.mechanism == (f"{words}, towards zero" if truncated else words)
    assert explanation.at_noise_floor
    assert explanation.side == "ncnn"
    assert explanation.residual < explanation.error / 10


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("InnerProduct", "inputs"),
        ("InnerProduct", "outputs"),
        ("InnerProduct", "weights, inputs and outputs"),
        ("LayerNorm", "inputs and outputs"),
        ("DetectionOutput", "outputs"),
    ],
)
def test_blobs_in_half_precision(kind: str, parts: str) -> None:
    right = case(kind)
    weights = dict(right.weights)
    if "weights" in parts:
        weights |= {name: half(weights[name]) for name in right.stored}
    inputs = [half(x) if "inputs" in parts else x for x in right.inputs]
    y = (
        right.predict(weights=weights, inputs=inputs, dtype=np.float32)
        if right.has_formula
        else right.output
    )
    explanation = found(computed(right, half(y) if "outputs" in parts else y))
    assert explanation.mechanism == f"{parts} rounded to fp16"


def test_sums_in_half_precision() -> None:
    right = case("InnerProduct")
    maths = EXACT.replaced("matmul", matmul_in_fp16(4))
    weights = {"weight": half(right.weights["weight"]), "bias": right.weights["bias"]}
    y = right.predict(weights=weights, inputs=[half(right.inputs[0])], arithmetic=maths)
    explanation = found(computed(right, half(y)))
    assert explanation.mechanism == "fp16 accumulation in 4 partial sums"
    assert explanation.at_noise_floor


@pytest.mark.parametrize("bits", [12, 13])
@pytest.mark.parametrize(
    ("kind", "function", "words"),
    [
        ("LayerNorm", "rsqrt", "reciprocal square root by the CPU's estimate"),
        ("Softmax", "reciprocal", "reciprocal by the CPU's estimate"),
        ("Swish", "reciprocal", "reciprocal by the CPU's estimate, element by element"),
    ],
)
def test_estimates_of_reciprocals(kind: str, function: str, words: str, bits: int) -> None:
    right = case(kind)
    exact = getattr(EXACT, function)

    def estimate(x: Array) -> Array:
        mantissa, exponent = np.frexp(exact(x))
        return np.asarray(np.ldexp(np.rint(mantissa * 2**bits) / 2**bits, exponent))

    y = right.predict(arithmetic=EXACT.replaced(function, estimate))
    explanation = found(computed(right, y))
    assert explanation.mechanism == words
    assert explanation.at_noise_floor


def test_a_row_that_is_quite_wrong_is_no_estimate() -> None:
    right = case("LayerNorm")
    y = right.output.copy()
    y[3] *= 1.2
    assert not found(computed(right, y)).explained


@pytest.mark.parametrize(
    ("kind", "function", "replacement", "words"),
    [
        ("GELU", "erf", numbers.erf_by_tanh, "erf by tanh (fast GELU)"),
        ("Softmax", "exp", numbers.exp_schraudolph, "exp by the exponent trick (Schraudolph)"),
    ],
)
def test_approximate_functions(kind: str, function: str, replacement: Any, words: str) -> None:
    right = case(kind)
    y = right.predict(arithmetic=EXACT.replaced(function, replacement))
    assert found(computed(right, y)).mechanism == words


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("InnerProduct", "bias left out"),
        ("LayerNorm", "epsilon 0.001"),
        ("InnerProduct", "activation left out"),
        ("InnerProduct", "weight read transposed"),
        ("InnerProduct", "saturation at 8"),
        ("InnerProduct", "the last 2 of 10 along axis 0 not computed: zeros there"),
    ],
)
def test_wrong_computations(kind: str, words: str) -> None:
    right = case(kind)
    weight = right.weights.get("weight", np.ones((1, 1)))
    outputs: dict[str, Callable[[], Array]] = {
        "bias left out": lambda: right.predict(
            weights={**right.weights, "bias": np.zeros(24, np.float32)}
        ),
        "epsilon 0.001": lambda: right.predict(layer=right.layer.with_param(1, 1e-3)),
        "activation left out": lambda: right.predict(layer=right.layer.with_param(9, 0)),
        "weight read transposed": lambda: right.predict(
            weights={**right.weights, "weight": weight.reshape(40, 24).T}
        ),
        "saturation at 8": lambda: np.clip(right.exact, -8, 8),
        "the last 2 of 10 along axis 0 not computed: zeros there": lambda: np.where(
            np.arange(10)[:, None] < 8, right.exact, 0
        ),
    }
    y = outputs[words]()
    explanation = found(computed(right, y))
    assert explanation.mechanism == words
    assert explanation.at_noise_floor


@pytest.mark.parametrize(
    "words",
    [
        "weight in the .bin is not 'w'",
        "weight in the .bin is not 'w' transposed",
        "weight in the .bin is only fp16 of 'w'",
        "weight stands transposed in the .bin",
        "bias in the .bin is not 'b'",
        "the bias 'b' is missing in the .bin",
        "an activation too much (9=)",
    ],
)
def test_wrong_files(words: str) -> None:
    """ncnn computes what its files say, but the files say something else than the graph."""
    right = case("InnerProduct")
    w, b = right.weights["weight"], right.weights["bias"]
    made, weights, constants = right.layer, dict(right.weights), {"w": w, "b": b}
    other = np.random.default_rng(2).normal(size=w.shape).astype(np.float32)
    if words.startswith("weight in the .bin is not"):
        constants["w"] = w.T if "transposed" in words else w
        weights["weight"] = other
    elif "only fp16" in words:
        weights["weight"] = half(w).astype(np.float32)
    elif "stands transposed" in words:
        constants = {}
        weights["weight"] = np.ascontiguousarray(w.T).reshape(w.shape)
    elif "not 'b'" in words:
        weights["bias"] = other[:, 0]
    elif "missing" in words:
        made = made.with_param(1, 0)
        del weights["bias"]
    expected = right.exact
    if "activation" in words:
        expected = compute(made.with_param(9, 0), weights, right.inputs)[0]
    y = compute(made, weights, right.inputs, dtype=np.float32)[0]
    wrong = LayerRun(made, weights, right.inputs, y, expected, initialisers=constants)
    explanation = found(wrong)
    assert (explanation.mechanism, explanation.side) == (words, "model")
    assert "ncnn is within" in explanation.note


def test_what_is_not_known_stays_unexplained_with_all_that_was_tried() -> None:
    right = case("InnerProduct")
    noise = np.random.default_rng(3).normal(size=right.output.shape) * 1e-2
    explanation = found(computed(right, right.output + noise))
    assert explanation.mechanism == "unexplained"
    assert len(explanation.tried) > 15
    residuals = [t.residual for t in explanation.tried if t.residual is not None]
    assert residuals == sorted(residuals)


def test_nan_is_not_explained_away() -> None:
    right = case("InnerProduct")
    y = right.output.copy()
    y[0, 0] = np.nan
    assert not found(computed(right, y)).explained


@pytest.mark.parametrize(
    ("kind", "value", "nearest", "truncated"),
    [
        ("fp16", 1 + 2**-10 * 0.75, 1 + 2**-10, 1.0),
        ("fp16", -(1 + 2**-10 * 0.75), -(1 + 2**-10), -1.0),
        ("fp16", 1e6, np.inf, 65504.0),
        ("bf16", 1 + 2**-7 * 0.75, 1 + 2**-7, 1.0),
        ("bf16", 1 + 2**-8, 1.0, 1.0),
        ("bf16", np.inf, np.inf, np.inf),
    ],
)
def test_rounding(kind: numbers.Format, value: float, nearest: float, truncated: float) -> None:
    array = np.array([value])
    assert numbers.rounded(array, kind)[0] == nearest
    assert numbers.rounded(array, kind, truncated=True)[0] == truncated
