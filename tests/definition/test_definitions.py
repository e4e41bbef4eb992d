"""Definitions against ONNX's own operators: what ncnn defines is what ONNX defines."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from harness import definition
from harness.definition import DEFINITIONS
from harness.model.layouts import layout
from harness.model.param import Layer
from harness.model.value import Plain, Value

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(4)


def layer(kind: str, params: Mapping[int, Plain] | None = None, inputs: int = 1) -> Layer:
    pairs = tuple((key, Value.of(value)) for key, value in (params or {}).items())
    return Layer(kind, "it", tuple(f"in{i}" for i in range(inputs)), ("out",), pairs)


def random(*shape: int) -> Array:
    return RNG.normal(size=shape)


def compute(made: Layer, weights: Mapping[str, Array], inputs: list[Array], **kw: Any) -> Array:
    (output,) = definition.compute(made, weights, inputs, **kw)
    return output


def weights_of(made: Layer) -> dict[str, Array]:
    return {slot.name: random(*slot.shape) for slot in layout(made)}


def onnx_result(
    operator: str,
    inputs: list[Array],
    constants: list[Array] | None = None,
    opset: int = 20,
    **attributes: Any,
) -> Array:
    """Run one ONNX operator in float64; the batch axis is added and taken away again."""
    names = [f"x{i}" for i in range(len(inputs))]
    given = [numpy_helper.from_array(a, f"c{i}") for i, a in enumerate(constants or [])]
    node = helper.make_node(operator, [*names, *(t.name for t in given)], ["y"], **attributes)
    value = [helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, None) for n in (*names, "y")]
    graph = helper.make_graph([node], "g", value[:-1], value[-1:], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    (result,) = ReferenceEvaluator(model).run(
        None, {n: a[None] for n, a in zip(names, inputs, strict=True)}
    )
    return np.array(result[0])


LayerRun = Callable[[], tuple[Array, Array]]


def convolution(
    kind: str, group: int, kernel: tuple[int, int], stride: int, dilation: int, pad: int
) -> tuple[Array, Array]:
    inputs, outputs = 4, 8
    count = outputs * inputs // group * kernel[0] * kernel[1]
    made = layer(
        kind,
        {0: outputs, 1: kernel[1], 11: kernel[0], 2: dilation, 3: stride, 4: pad, 5: 1, 6: count}
        | ({7: group} if group > 1 else {}),
    )
    weights = weights_of(made)
    x = random(inputs, 9, 11)
    kernels = weights["weight"].reshape(outputs, inputs // group, *kernel)
    expected = onnx_result(
        "Conv",
        [x],
        [kernels, weights["bias"]],
        group=group,
        strides=[stride] * 2,
        dilations=[dilation] * 2,
        pads=[pad] * 4,
    )
    return compute(made, weights, [x]), expected


def pooling(average: bool, pad: int) -> tuple[Array, Array]:
    made = layer("Pooling", {0: int(average), 1: 3, 2: 2, 3: pad, 5: 1})
    x = random(3, 9, 12)
    operator = "AveragePool" if average else "MaxPool"
    expected = onnx_result(operator, [x], kernel_shape=[3, 3], strides=[2, 2], pads=[pad] * 4)
    return compute(made, {}, [x]), expected


def attention() -> tuple[Array, Array]:
    """Two heads, spelled out with ONNX's MatMul and Softmax."""
    made = layer("MultiHeadAttention", {0: 6, 1: 2, 2: 36})
    w = weights_of(made)
    x = random(5, 6)
    q, k, v = (x @ w[f"{side}_weight"].T + w[f"{side}_bias"] for side in "qkv")
    heads = []
    for columns in (slice(0, 3), slice(3, 6)):
        scores = onnx_result("MatMul", [q[:, columns] / 3**0.5, k[:, columns].T])
        heads.append(onnx_result("Softmax", [scores], axis=-1) @ v[:, columns])
    expected = np.concatenate(heads, axis=1) @ w["out_weight"].T + w["out_bias"]
    return compute(made, w, [x]), expected


def layer_norm() -> tuple[Array, Array]:
    made = layer("LayerNorm", {0: 8, 1: 1e-5})
    w = weights_of(made)
    x = random(5, 8)
    constants = [w["gamma"], w["beta"]]
    return compute(made, w, [x]), onnx_result(
        "LayerNormalization", [x], constants, axis=-1, epsilon=1e-5
    )


def group_norm() -> tuple[Array, Array]:
    made = layer("GroupNorm", {0: 2, 1: 6, 2: 1e-3})
    w = weights_of(made)
    x = random(6, 4, 5)
    groups = onnx_result(
        "InstanceNormalization", [x.reshape(2, -1)], [np.ones(2), np.zeros(2)], epsilon=1e-3
    ).reshape(x.shape)
    return compute(made, w, [x]), groups * w["gamma"][:, None, None] + w["beta"][:, None, None]


def batch_norm() -> tuple[Array, Array]:
    made = layer("BatchNorm", {0: 3, 1: 1e-5})
    w = weights_of(made) | {"variance": np.abs(random(3))}
    x = random(3, 4, 5)
    constants = [w["slope"], w["bias"], w["mean"], w["variance"]]
    return compute(made, w, [x]), onnx_result("BatchNormalization", [x], constants, epsilon=1e-5)


def inner_product(activation: int, shape: tuple[int, ...]) -> tuple[Array, Array]:
    made = layer("InnerProduct", {0: 5, 1: 1, 2: 60, 9: activation})
    w = weights_of(made)
    x = random(*shape)
    rows = x.reshape(-1, 12)
    expected = onnx_result("MatMul", [rows, w["weight"].T]) + w["bias"]
    expected = expected if len(shape) == 2 else expected[0]
    return compute(made, w, [x]), np.maximum(expected, 0) if activation else expected


def gemm(transposed: int) -> tuple[Array, Array]:
    # ncnn's alpha multiplies the third operand too: its beta is ONNX's by ONNX's alpha.
    made = layer("Gemm", {0: 0.5, 1: 4.0, 3: transposed, 5: 1, 6: 1, 8: 7, 9: 4, 10: 4})
    w = weights_of(made)
    a = random(3, 4)
    node = helper.make_node("Gemm", ["a", "b", "c"], ["y"], alpha=0.5, beta=2.0, transB=transposed)
    (expected,) = ReferenceEvaluator(node).run(None, {"a": a, "b": w["B"], "c": w["C"]})
    return compute(made, w, [a]), np.asarray(expected)


def unary(kind: str, operator: str, params: Mapping[int, Plain], **attributes: Any) -> LayerRun:
    def case() -> tuple[Array, Array]:
        x = random(3, 4, 5) * 4
        return compute(layer(kind, params), {}, [x]), onnx_result(operator, [x], **attributes)

    return case


def binary(kind: int, operator: str, a: tuple[int, ...], b: tuple[int, ...]) -> LayerRun:
    def case() -> tuple[Array, Array]:
        left, right = np.abs(random(*a)) + 0.5, np.abs(random(*b)) + 0.5
        shape = (-1, *(1,) * (len(a) - 1)) if len(b) == 1 else b
        expected = onnx_result(operator, [left, right.reshape(shape)])
        return compute(layer("BinaryOp", {0: kind}, 2), {}, [left, right]), expected

    return case


CASES: dict[str, LayerRun] = {
    "InnerProduct on rows": lambda: inner_product(0, (3, 12)),
    "InnerProduct on a vector": lambda: inner_product(1, (12,)),
    "InnerProduct flattens": lambda: inner_product(1, (3, 2, 2)),
    "Gemm": lambda: gemm(0),
    "Gemm transposed": lambda: gemm(1),
    "MultiHeadAttention": attention,
    "Convolution": lambda: convolution("Convolution", 1, (3, 3), 1, 1, 1),
    "Convolution strided, dilated": lambda: convolution("Convolution", 1, (3, 2), 2, 2, 1),
    "ConvolutionDepthWise": lambda: convolution("ConvolutionDepthWise", 4, (3, 3), 2, 1, 1),
    "LayerNorm": layer_norm,
    "GroupNorm": group_norm,
    "BatchNorm": batch_norm,
    "average Pooling": lambda: pooling(True, 0),
    "padded average Pooling": lambda: pooling(True, 1),
    "max Pooling": lambda: pooling(False, 1),
    "Softmax inner": unary("Softmax", "Softmax", {0: -1, 1: 1}, axis=-1),
    "Softmax outer": unary("Softmax", "Softmax", {0: 0, 1: 1}, axis=1),
    "GELU": unary("GELU", "Gelu", {}),
    "fast GELU": unary("GELU", "Gelu", {0: 1}, approximate="tanh"),
    "Sigmoid": unary("Sigmoid", "Sigmoid", {}),
    "TanH": unary("TanH", "Tanh", {}),
    "Mish": unary("Mish", "Mish", {}),
    "HardSigmoid": unary("HardSigmoid", "HardSigmoid", {0: 0.25, 1: 0.5}, alpha=0.25, beta=0.5),
    "HardSwish": unary("HardSwish", "HardSwish", {0: 1 / 6, 1: 0.5}),
    "ELU": unary("ELU", "Elu", {0: 0.5}, alpha=0.5),
    "ReLU": unary("ReLU", "Relu", {}),
    "leaky ReLU": unary("ReLU", "LeakyRelu", {0: 0.125}, alpha=0.125),
    "global average": lambda: (
        compute(layer("Pooling", {0: 1, 4: 1}), {}, [x := random(3, 4, 5)]),
        onnx_result("GlobalAveragePool", [x])[:, 0, 0],
    ),
    "BinaryOp add": binary(0, "Add", (3, 4, 5), (3, 4, 5)),
    "BinaryOp multiplies by channel": binary(2, "Mul", (3, 4, 5), (3,)),
    "BinaryOp divides with axes of one": binary(3, "Div", (3, 4, 5), (1, 4, 1)),
    "MatMul": lambda: (
        compute(layer("MatMul", inputs=2), {}, [a := random(2, 3, 4), b := random(2, 4, 5)]),
        onnx_result("MatMul", [a, b]),
    ),
    "MatMul transposed": lambda: (
        compute(layer("MatMul", {0: 1}, 2), {}, [a := random(2, 3, 4), b := random(2, 5, 4)]),
        onnx_result("MatMul", [a, b.swapaxes(1, 2)]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_definition_is_what_onnx_computes(name: str) -> None:
    computed, expected = CASES[name]()
    # Attributes of ONNX are float32: 1/6 is not the sixth that the formula takes.
    np.testing.assert_allclose(computed, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["InnerProduct", "Softmax", "LayerNorm"])
def test_float32_is_less_exact_than_float64_but_not_by_much(kind: str) -> None:
    params: dict[str, dict[int, Plain]] = {
        "InnerProduct": {0: 64, 1: 1, 2: 64 * 200},
        "Softmax": {0: -1, 1: 1},
        "LayerNorm": {0: 200, 1: 1e-5},
    }
    made = layer(kind, params[kind])
    weights = {k: v.astype(np.float32) for k, v in weights_of(made).items()}
    x = random(4, 200).astype(np.float32)
    exact = compute(made, weights, [x])
    single = compute(made, weights, [x], dtype=np.float32)
    error = np.abs(single - exact).max() / np.abs(exact).max()
    assert 1e-9 < error < 1e-5


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (1, [0, 0, 1, 2, 2, 3, 4]),
        # Of PyTorch, as told in ncnn issue #6836: not those of 5 / 7 elements a step.
        (2, [0, 1 / 2, 7 / 6, 11 / 6, 5 / 2, 19 / 6, 23 / 6]),
    ],
)
def test_interp_goes_by_the_scale_that_is_given(kind: int, expected: list[float]) -> None:
    made = layer("Interp", {0: kind, 1: 1.0, 2: 1.5})
    row = np.arange(5.0).reshape(1, 1, 5)
    np.testing.assert_allclose(compute(made, {}, [row])[0, 0], expected, atol=1e-6)


def test_interp_to_the_size_of_another_blob_goes_by_the_sizes() -> None:
    made = layer("Interp", {0: 1, 5: 1}, inputs=2)
    row = np.arange(2.0).reshape(1, 1, 2)
    assert compute(made, {}, [row, np.zeros((1, 1, 4))])[0, 0].tolist() == [0, 0, 1, 1]


def test_the_logarithm_of_a_sum_of_powers_does_not_overflow() -> None:
    made = layer("Reduction", {0: 10, 1: 1})
    assert compute(made, {}, [np.array([1000.0, 1000.0])]) == pytest.approx(1000 + np.log(2))


def test_every_definition_that_is_promised_is_there() -> None:
    assert {
        "InnerProduct", "Gemm", "MatMul", "MultiHeadAttention", "Convolution",
        "ConvolutionDepthWise", "LayerNorm", "Softmax", "GELU", "Pooling", "BinaryOp",
    } <= set(DEFINITIONS)  # fmt: skip
