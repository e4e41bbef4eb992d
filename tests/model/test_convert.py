from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.definition.evaluation import evaluate as define
from harness.model.convert import convert
from harness.model.convert.emit import with_splits
from harness.model.layouts import layout
from harness.model.param import Layer, Param, write
from harness.util.errors import ModelError
from tests.model.onnx_text import Array, evaluate, model

if TYPE_CHECKING:
    import onnx


def draw(*shape: int) -> Array:
    """Weights, the same for the same shape; positive so that they can be variances too."""
    return np.random.default_rng(shape).uniform(0.1, 1, shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def number(value: float) -> Array:
    return np.array(value, np.float32)


@dataclass(frozen=True, kw_only=True)
class Case:
    shape: tuple[int, ...]
    nodes: str
    constants: dict[str, Array] = field(default_factory=dict)
    layers: str
    """The expected layers without the Input: type, input → output, parameters."""
    opset: int = 13
    second: tuple[int, ...] | None = None
    """Shape of a second input `z`."""

    def model(self) -> onnx.ModelProto:
        return model(self.inputs(), self.nodes, self.constants, opset=self.opset)

    def inputs(self) -> dict[str, tuple[int, ...]]:
        return {"x": self.shape} | ({"z": self.second} if self.second else {})


BATCH_NORM = {"g": draw(4), "b": draw(4), "m": draw(4) + 1, "v": draw(4)}
LAYER_NORM = """
    mean = ReduceMean<axes=[2]>(x) centre = Sub(x, mean) square = Pow(centre, two)
    variance = ReduceMean<axes=[-1]>(square) sum = Add(variance, eps) root = Sqrt(sum)
    normal = Div(centre, root) scaled = Mul(normal, g) y = Add(scaled, b)
"""
HARD_SWISH = {"three": number(3), "zero": number(0), "six": number(6)}

CASES = {
    "convolution with batch norm and relu": Case(
        shape=(1, 3, 6, 8),
        nodes="""a = Conv<kernel_shape=[3,2], pads=[1,0,1,1], strides=[2,1]>(x, w)
                 n = BatchNormalization<epsilon=0.001>(a, g, b, m, v) y = Relu(n)""",
        constants={"w": draw(4, 3, 3, 2), **BATCH_NORM},
        opset=15,
        layers="Convolution x→y 0=4 1=2 2=1 3=1 4=0 5=1 6=72 9=1 11=3 12=1 13=2 14=1 15=1 16=1",
    ),
    "convolution with added bias": Case(
        shape=(1, 3, 6, 8),
        nodes="""a = Conv<dilations=[2,1]>(x, w) r = Reshape(c, shape) y = Add(r, a)""",
        constants={"w": draw(4, 3, 2, 2), "c": draw(4), "shape": ints(1, 4, 1, 1)},
        layers="Convolution x→y 0=4 1=2 2=1 3=1 4=0 5=1 6=48 11=2 12=2 13=1 14=0 15=0 16=0",
    ),
    "depthwise convolution without bias": Case(
        shape=(1, 4, 6, 8),
        nodes="y = Conv<group=2>(x, w)",
        constants={"w": draw(6, 2, 1, 1)},
        layers="ConvolutionDepthWise x→y 0=6 1=1 2=1 3=1 4=0 5=0 6=12 7=2 "
        "11=1 12=1 13=1 14=0 15=0 16=0",
    ),
    "batch norm alone": Case(
        shape=(1, 4, 3, 2),
        nodes="y = BatchNormalization(x, g, b, m, v)",
        constants=BATCH_NORM,
        opset=15,
        layers="BatchNorm x→y 0=4 1=1.0e-05",
    ),
    "squeeze and excitation": Case(
        shape=(1, 4, 3, 5),
        nodes="""p = GlobalAveragePool(x) a = Conv(p, w1, b1) r = Relu(a) b = Conv(r, w2)
                 h = HardSigmoid<alpha=0.25, beta=0.5>(b) y = Mul(x, h)""",
        constants={"w1": draw(2, 4, 1, 1), "b1": draw(2), "w2": draw(4, 2, 1, 1)},
        layers="""Split x→x_splitncnn_0,x_splitncnn_1
                  Pooling x_splitncnn_0→p 0=1 4=1
                  InnerProduct p→r 0=2 1=1 2=8 9=1
                  InnerProduct r→b 0=4 1=0 2=8
                  HardSigmoid b→h 0=2.5e-01 1=5.0e-01
                  BinaryOp x_splitncnn_1,h→y 0=2""",
    ),
    "pooling": Case(
        shape=(1, 2, 7, 9),
        nodes="""a = AveragePool<kernel_shape=[2,3], strides=[2,1], pads=[1,0,0,1]>(x)
                 y = MaxPool<kernel_shape=[2,2]>(a)""",
        layers="""Pooling x→a 0=1 1=3 2=1 3=0 5=1 6=0 11=2 12=2 13=1 14=1 15=0
                  Pooling a→y 0=0 1=2 2=1 3=0 5=1 11=2 12=1 13=0 14=0 15=0""",
    ),
    "mean over the image": Case(
        shape=(1, 2, 3, 4),
        nodes="y = ReduceMean<axes=[2,-1]>(x)",
        layers="Pooling x→y 0=1 4=1",
    ),
    "hard swish, divided": Case(
        shape=(1, 5),
        nodes="a = Add(three, x) c = Clip(a, zero, six) m = Mul(c, x) y = Div(m, six)",
        constants=HARD_SWISH,
        layers="HardSwish x→y 0=1.6666667e-01 1=5.0e-01",
    ),
    "hard swish, multiplied, old clip": Case(
        shape=(1, 5),
        nodes="a = Add(x, three) c = Clip<min=0.0, max=6.0>(a) s = Div(c, six) y = Mul(x, s)",
        constants=HARD_SWISH,
        opset=10,
        layers="HardSwish x→y 0=1.6666667e-01 1=5.0e-01",
    ),
    "hard sigmoid, spelled out": Case(
        shape=(1, 5),
        nodes="a = Add(x, three) c = Clip(a, zero, six) y = Div(c, six)",
        constants=HARD_SWISH,
        layers="HardSigmoid x→y 0=1.6666667e-01 1=5.0e-01",
    ),
    "a clip of another height is no hard swish": Case(
        shape=(1, 5),
        nodes="a = Add(x, three) c = Clip(a, zero, three) y = Div(c, six)",
        constants=HARD_SWISH,
        layers="""BinaryOp x→a 0=0 1=1 2=3.0e+00
                  Clip a→c 0=0.0e+00 1=3.0e+00
                  BinaryOp c→y 0=3 1=1 2=6.0e+00""",
    ),
    "swish behind needless steps": Case(
        shape=(1, 5),
        nodes="i = Identity(x) a = Mul(i, one) s = Sigmoid(a) m = Mul(i, s) y = Add(m, zero)",
        constants={"one": draw(1) ** 0, "zero": number(0)},
        layers="Swish x→y",
    ),
    "layer norm": Case(
        shape=(1, 4, 6),
        nodes=LAYER_NORM,
        constants={"two": number(2), "eps": number(1e-5), "g": draw(6), "b": -draw(6)},
        layers="LayerNorm x→y 0=6 1=1.0e-05 2=1",
    ),
    "layer norm as one operator": Case(
        shape=(1, 4, 6),
        nodes="y = LayerNormalization<epsilon=0.001>(x, g, b)",
        constants={"g": draw(6), "b": draw(6)},
        opset=17,
        layers="LayerNorm x→y 0=6 1=1.0e-03 2=1",
    ),
    "linear layers": Case(
        shape=(1, 4, 6),
        nodes="a = MatMul(x, w1) b = Add(a, c) r = Relu(b) m = MatMul(r, w2) y = Softmax(m)",
        constants={"w1": draw(6, 5), "c": draw(5), "w2": draw(5, 3)},
        layers="""InnerProduct x→r 0=5 1=1 2=30 9=1
                  InnerProduct r→m 0=3 1=0 2=15
                  Softmax m→y 0=1 1=1""",
    ),
    "gemm": Case(
        shape=(1, 6),
        nodes="y = Gemm<transB=1>(x, w, c)",
        constants={"w": draw(5, 6), "c": draw(5)},
        layers="InnerProduct x→y 0=5 1=1 2=30",
    ),
    "attention": Case(
        shape=(1, 5, 12),
        nodes="""r = Reshape(x, heads) t = Transpose<perm=[2,0,3,1,4]>(r)
                 q1 = Slice(t, i0, i1, i0) q = Squeeze(q1, i0) qs = Mul(q, factor)
                 k1 = Slice(t, i1, i2, i0) k = Squeeze(k1, i0)
                 kt = Transpose<perm=[0,1,3,2]>(k) s = MatMul(qs, kt) p = Softmax(s)
                 o = MatMul(p, k) ot = Transpose<perm=[0,2,1,3]>(o) y = Reshape(ot, merged)""",
        constants={
            "heads": ints(0, -1, 2, 2, 3), "merged": ints(0, -1, 6), "factor": number(0.5),
            "i0": ints(0), "i1": ints(1), "i2": ints(2),
        },
        layers="""Reshape x→r 0=3 1=2 2=-1 11=2
                  Permute r→t 0=8
                  Split t→t_splitncnn_0,t_splitncnn_1
                  Crop t_splitncnn_0→q1 -23309=1,0 -23310=1,1 -23311=1,0
                  Reshape q1→q 0=0 1=0 2=-1
                  BinaryOp q→qs 0=2 1=1 2=5.0e-01
                  Crop t_splitncnn_1→k1 -23309=1,1 -23310=1,-233 -23311=1,0
                  Reshape k1→k 0=0 1=0 2=-1
                  Split k→k_splitncnn_0,k_splitncnn_1
                  Permute k_splitncnn_0→kt 0=1
                  MatMul qs,kt→s
                  Softmax s→p 0=2 1=1
                  MatMul p,k_splitncnn_1→o
                  Permute o→ot 0=2
                  Reshape ot→y 0=6 1=-1""",
    ),
    "image to sequence": Case(
        shape=(1, 6, 1, 5),
        nodes="""s = Shape(x) h = Slice(s, i0, i2, i0) c = Concat<axis=0>(h, rest)
                 f = Reshape(x, c) t = Transpose<perm=[0,2,1]>(f) r = Reshape(t, back)
                 m = Transpose<perm=[0,3,1,2]>(r) j = Concat<axis=1>(x, m)
                 e = Squeeze(j, i2) y = Transpose<perm=[0,2,1]>(e)""",
        constants={
            "i0": ints(0), "i2": ints(2), "rest": ints(-1), "back": ints(0, 1, -1, 6),
        },
        layers="""Split x→x_splitncnn_0,x_splitncnn_1
                  Reshape x_splitncnn_0→f 0=-1 1=6
                  Permute f→t 0=1
                  Reshape t→r 0=6 1=-1 2=1
                  Permute r→m 0=4
                  Concat x_splitncnn_1,m→j 0=0
                  Squeeze j→e -23303=1,1
                  Permute e→y 0=1""",
    ),
    "flatten": Case(
        shape=(1, 2, 3, 4),
        nodes="f = Flatten(x) u = Unsqueeze(f, one) y = Neg(u)",
        constants={"one": ints(1)},
        layers="Reshape x→f 0=24\nReshape f→u 0=24 1=1\nUnaryOp u→y 0=1",
    ),
    "open extents stay open": Case(
        shape=(1, 4, 6),
        nodes="y = Reshape(x, shape)",
        constants={"shape": ints(0, 0, 2, 3)},
        layers="Reshape x→y 0=3 1=2 2=-1",
    ),
    "one tensor in parts": Case(
        shape=(1, 6, 2, 2),
        nodes="a, b = Split<axis=1>(x, sizes) c = Sigmoid(b) y = Concat<axis=-3>(c, a)",
        constants={"sizes": ints(2, 4)},
        layers="""Slice x→a,b -23300=2,2,-233 1=0
                  Sigmoid b→c
                  Concat c,a→y 0=0""",
    ),
    "crop on two axes, from the end": Case(
        shape=(1, 6, 5, 4),
        nodes="y = Slice(x, starts, ends, axes)",
        constants={
            "starts": ints(1, -3, 0), "ends": ints(-2, 2**31, 9), "axes": ints(1, 2, 3),
        },
        layers="Crop x→y -23309=2,1,-3 -23310=2,-2,-233 -23311=2,0,1",
    ),
    "constants": Case(
        shape=(1, 3, 2, 4),
        nodes="""a = Mul(x, c) b = Add(a, c) d = Sub(one, b) e = Div(one, d) f = Add(e, full)
                 g = Mul(f, full) y = Max(g, one)""",
        constants={"c": draw(3, 1, 1), "one": number(9), "full": draw(1, 3, 2, 4)},
        layers="""Scale x→a 0=3 1=1
                  Scale a→b 0=3 1=1
                  BinaryOp b→d 0=7 1=1 2=9.0e+00
                  BinaryOp d→e 0=8 1=1 2=9.0e+00
                  MemoryData →full 0=4 1=2 2=3
                  Split full→full_splitncnn_0,full_splitncnn_1
                  BinaryOp e,full_splitncnn_0→f 0=0
                  BinaryOp f,full_splitncnn_1→g 0=2
                  BinaryOp g→y 0=4 1=1 2=9.0e+00""",
    ),
    "two inputs, one value per channel": Case(
        shape=(1, 3, 1, 1),
        second=(1, 3, 2, 4),
        nodes="a = Add(x, z) y = Sub(a, x)",
        layers="""Split x→x_splitncnn_0,x_splitncnn_1
                  BinaryOp z,x_splitncnn_0→a 0=0
                  BinaryOp a,x_splitncnn_1→y 0=1""",
    ),
    "activations": Case(
        shape=(1, 7),
        nodes="""a = LeakyRelu<alpha=0.1>(x) b = Elu(a) c = Tanh(b) d = Exp(c) e = Sqrt(d)
                 y = Clip(e, low)""",
        constants={"low": number(1.1)},
        layers="""ReLU x→a 0=1.0e-01
                  ELU a→b 0=1.0e+00
                  TanH b→c
                  UnaryOp c→d 0=7
                  UnaryOp d→e 0=5
                  Clip e→y 0=1.1e+00 1=3.4028235e+38""",
    ),
    "an output that shares its blob gets one of its own": Case(
        shape=(1, 3, 1, 2),
        nodes="p = GlobalMaxPool(x) y = Squeeze(p, axes)",
        constants={"axes": ints(2, 3)},
        layers="Pooling x→p 0=0 4=1\nNoop p→y",
    ),
}  # fmt: skip


def text(param: Param) -> list[str]:
    return [
        " ".join(
            (
                layer.type,
                f"{','.join(layer.inputs)}→{','.join(layer.outputs)}",
                *(value.assignment(key) for key, value in layer.params),
            )
        )
        for layer in param.layers
        if layer.type != "Input"
    ]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_graph_becomes_these_layers(case: Case) -> None:
    param, _ = convert(case.model(), case.inputs())
    assert text(param) == [line.strip() for line in case.layers.splitlines()]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_blob_equals_the_value_of_its_name(case: Case) -> None:
    proto = case.model()
    rng = np.random.default_rng(0)
    feeds: dict[str, Array] = {
        name: rng.uniform(-4, 4, shape).astype(np.float32) for name, shape in case.inputs().items()
    }
    expected = evaluate(proto, feeds) | feeds
    param, weights = convert(proto, case.inputs())
    inputs = {name: feed[0] for name, feed in feeds.items()}
    shaped = {
        layer.name: {
            slot.name: weights[layer.name][slot.name].reshape(slot.shape) for slot in layout(layer)
        }
        for layer in param.layers
    }
    blobs = define(param, shaped, inputs).blobs
    names = [name for name in blobs if name in expected]
    assert {name for name in blobs if "_splitncnn_" not in name} == set(names) | set(feeds)
    for name in names:
        found, wanted = blobs[name], expected[name]
        np.testing.assert_allclose(found.ravel(), wanted.ravel(), rtol=2e-5, atol=2e-6)
        assert [n for n in found.shape if n > 1] == [n for n in wanted.shape if n > 1]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_weights_fill_exactly_what_the_layers_read(case: Case) -> None:
    param, weights = convert(case.model(), case.inputs())
    slots = {
        layer.name: {slot.name: slot.size for slot in layout(layer)}
        for layer in param.layers
        if layout(layer)
    }
    sizes = {
        name: {key: tensor.size for key, tensor in found.items()} for name, found in weights.items()
    }
    assert sizes == slots
    assert all(t.dtype == np.float32 for found in weights.values() for t in found.values())


def test_batch_norm_is_folded_in_double_precision() -> None:
    case = CASES["convolution with batch norm and relu"]
    _, weights = convert(case.model(), case.inputs())
    w, g, b, m, v = (case.constants[name].astype(np.float64) for name in "wgbmv")
    scale = g / np.sqrt(v + np.float64(np.float32(0.001)))
    exact = (w * scale[:, None, None, None]).astype(np.float32)
    np.testing.assert_array_equal(weights["y"]["weight"], exact)
    np.testing.assert_array_equal(weights["y"]["bias"], (b - m * scale).astype(np.float32))


REFUSED = {
    "unknown operator": ("y = Erf(x)", {}, r"node .*y \(Erf\): this operator"),
    "foreign operator": ("y = Gelu2(x)", {}, r"\(Gelu2\)"),
    "broadcast along rows": (
        "s = Softmax(x) r = ReduceMax<axes=[3]>(x) y = Add(r, s)", {}, "ReduceMax",
    ),
    "row vector": ("m = MaxPool<kernel_shape=[2,1]>(x) y = Add(x, m)", {}, "broadcast differs"),
    "smaller first": ("g = GlobalMaxPool(x) y = Sub(g, x)", {}, "smaller operand"),
    "wide constant": ("y = Add(x, c)", {"c": draw(2, 4)}, r"a constant of shape \(1, 1, 2, 4\)"),
    "step": ("y = Slice(x, a, b, a, s)", {"a": ints(1), "b": ints(9), "s": ints(2)}, "a step"),
    "norm of an image": (
        "y = LayerNormalization(x, c)", {"c": draw(4)}, "more than the last axis",
    ),
    "five axes": ("y = Reshape(x, s)", {"s": ints(3, 1, 2, 2, 2)}, "5 axes"),
    "mean over channels": ("y = ReduceMean<axes=[1]>(x)", {}, r"a mean over the axes \[1\]"),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_known_is_refused_with_the_remedy(
    nodes: str, constants: dict[str, Array], message: str
) -> None:
    inputs = {"x": (1, 3, 2, 4)}
    proto = model(inputs, nodes, constants, opset=17)
    with pytest.raises(ModelError, match=message) as caught:
        convert(proto, inputs)
    assert "give its `param` and `bin` in the configuration" in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({}, "input x of the model has no shape"),
        ({"x": (1, 3, 2, 5)}, r"the model takes \(1, 3, 2, 4\)"),
        ({"x": (1, 3, 2)}, r"the model takes \(1, 3, 2, 4\)"),
        ({"x": (1, 3, 2, 4), "z": (1,)}, "no input z. It has x"),
    ],
)
def test_wrong_input_shapes_are_refused(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        convert(model({"x": (1, 3, 2, 4)}, "y = Relu(x)", {}), shapes)


def test_a_batch_is_refused() -> None:
    with pytest.raises(ModelError, match="give batch 1"):
        convert(model({"x": (2, 3)}, "y = Relu(x)", {}), {"x": (2, 3)})


def test_a_pattern_whose_inner_value_is_used_elsewhere_stays() -> None:
    nodes = "s = Sigmoid(x) m = Mul(x, s) y = Add(m, s)"
    param, _ = convert(model({"x": (1, 4)}, nodes, {}), {"x": (1, 4)})
    assert "Swish" not in param.layer_types()
    assert {"Sigmoid", "BinaryOp"} <= param.layer_types()


def test_splits_are_numbered_in_the_order_of_use() -> None:
    layers = [
        Layer("Input", "x", (), ("x",)),
        Layer("ReLU", "a", ("x",), ("a",)),
        Layer("BinaryOp", "b", ("a", "x"), ("b",)),
        Layer("BinaryOp", "c", ("b", "x"), ("c",)),
    ]
    split = with_splits(Param(tuple(layers)))
    assert split.layers[1].outputs == tuple(f"x_splitncnn_{n}" for n in range(3))
    assert [layer.inputs for layer in split.layers[2:]] == [
        ("x_splitncnn_0",), ("a", "x_splitncnn_1"), ("b", "x_splitncnn_2"),
    ]  # fmt: skip
    assert write(split).splitlines()[1] == "5 7"
