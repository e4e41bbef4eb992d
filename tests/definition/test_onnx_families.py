"""Definitions of more layer types against ONNX's operators of the same meaning."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from harness.definition import compute
from harness.model.layouts import layout
from harness.model.param import Layer
from harness.model.value import Plain, Value

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(5)


def run(
    kind: str,
    params: Mapping[int, Plain],
    inputs: list[Array],
    tensors: Mapping[str, Array] | None = None,
) -> Array:
    """Return the first output of a layer; tensors that are not given are random."""
    pairs = tuple((key, Value.of(value)) for key, value in params.items())
    layer = Layer(kind, "it", tuple(f"in{i}" for i in range(len(inputs))), ("out",), pairs)
    drawn = {slot.name: RNG.normal(size=slot.shape) for slot in layout(layer)}
    return compute(layer, {**drawn, **(tensors or {})}, inputs)[0]


def onnx_run(operator: str, inputs: list[Array], outputs: int = 1, **attributes: Any) -> Array:
    """Return the first output of an operator; arrays of integers are constants."""
    names = [f"x{i}" for i in range(len(inputs))]
    constants = [
        numpy_helper.from_array(x, name)
        for name, x in zip(names, inputs, strict=True)
        if x.dtype.kind == "i" or not x.size
    ]
    held = {constant.name for constant in constants}
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(operator, names, results, **attributes)
    double = onnx.TensorProto.DOUBLE
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(n, double, None) for n in names if n not in held],
        [helper.make_tensor_value_info(results[0], double, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    feeds = {n: x for n, x in zip(names, inputs, strict=True) if n not in held}
    (result, *_) = ReferenceEvaluator(model).run(None, feeds)
    return np.array(result)


def random(*shape: int) -> Array:
    return RNG.normal(size=shape)


def whole(*values: int) -> Array:
    return np.array(values, np.int64)


Pair = tuple[Array, Array]
IMAGE = (3, 6, 8)


def transposed_convolution(stride: int, pad: int, extra: int) -> Pair:
    x, weight, bias = random(4, 5, 6), random(4, 6, 3, 3), random(6)
    params = {0: 6, 1: 3, 3: stride, 4: pad, 5: 1, 6: weight.size, 18: extra}
    # ncnn stores outputs before inputs.
    mine = run("Deconvolution", params, [x], {"weight": weight.swapaxes(0, 1), "bias": bias})
    theirs = onnx_run(
        "ConvTranspose",
        [x[None], weight, bias],
        strides=[stride] * 2,
        pads=[pad] * 4,
        output_padding=[extra] * 2,
    )
    return mine, theirs[0]


def volume_convolution() -> Pair:
    x, weight = random(4, 5, 6, 7), random(5, 4, 3, 2, 3)
    params = {0: 5, 1: 3, 11: 2, 21: 3, 3: 2, 13: 1, 23: 1, 4: 1, 14: 0, 24: 2, 6: weight.size}
    mine = run("Convolution3D", params, [x], {"weight": weight})
    pads = [2, 0, 1] * 2
    return mine, onnx_run("Conv", [x[None], weight], strides=[1, 1, 2], pads=pads)[0]


def lstm() -> Pair:
    x, w, r, b = random(5, 1, 4), random(1, 12, 4), random(1, 12, 3), random(1, 24)
    # ONNX has the gates as input, output, forget, cell; ncnn as input, forget, output, cell.
    order = np.r_[0:3, 6:9, 3:6, 9:12]
    tensors = {
        "weight_xc": w[:, order],
        "weight_hc": r[:, order],
        "bias_c": (b[:, :12] + b[:, 12:])[:, order].reshape(1, 4, 3),
    }
    mine = run("LSTM", {0: 3, 1: 48}, [x[:, 0]], tensors)
    return mine, onnx_run("LSTM", [x, w, r, b], hidden_size=3)[:, 0, 0]


def gru() -> Pair:
    x, w, r, b = random(5, 1, 4), random(1, 9, 4), random(1, 9, 3), random(1, 18)
    # ONNX has the gates as update, reset, hidden; ncnn as reset, update, new.
    order = np.r_[3:6, 0:3, 6:9]
    given, own = b[0, :9][order].reshape(3, 3), b[0, 9:][order].reshape(3, 3)
    bias = np.stack([given[0] + own[0], given[1] + own[1], given[2], own[2]])[None]
    tensors = {"weight_xc": w[:, order], "weight_hc": r[:, order], "bias_c": bias}
    mine = run("GRU", {0: 3, 1: 36}, [x[:, 0]], tensors)
    theirs = onnx_run("GRU", [x, w, r, b], hidden_size=3, linear_before_reset=1)
    return mine, theirs[:, 0, 0]


def resize(kind: int, mode: str, corners: int) -> Pair:
    x = random(*IMAGE)
    how = "align_corners" if corners else "half_pixel"
    sizes = whole(1, 3, 9, 20)
    theirs = onnx_run(
        "Resize",
        [x[None], np.zeros(0), np.zeros(0), sizes],
        mode=mode,
        coordinate_transformation_mode=how,
    )
    return run("Interp", {0: kind, 3: 9, 4: 20, 6: corners}, [x]), theirs[0]


def grid_sample(kind: int, mode: str, padding: int, words: str, corners: int) -> Pair:
    x, grid = random(*IMAGE), RNG.uniform(-1.3, 1.3, (4, 5, 2))
    theirs = onnx_run(
        "GridSample",
        [x[None], grid[None]],
        mode=mode,
        padding_mode=words,
        align_corners=corners,
    )
    return run("GridSample", {0: kind, 1: padding, 2: corners}, [x, grid]), theirs[0]


def reduced(kind: int, operator: str, keep: int) -> Pair:
    x = np.abs(random(*IMAGE)) + 0.1
    mine = run("Reduction", {0: kind, 1: 0, 3: (0, 2), 4: keep, 5: 1}, [x])
    return mine, onnx_run(operator, [x, whole(0, 2)], keepdims=keep)


def simple(
    kind: str,
    params: Mapping[int, Plain],
    operator: str,
    constants: tuple[Array, ...] = (),
    shape: tuple[int, ...] = IMAGE,
    *,
    batched: bool = False,
    **attributes: Any,
) -> Callable[[], Pair]:
    def pair() -> Pair:
        x = random(*shape)
        theirs = onnx_run(operator, [x[None] if batched else x, *constants], **attributes)
        return run(kind, params, [x]), theirs[0] if batched else theirs

    return pair


REDUCTIONS = {
    0: "ReduceSum",
    2: "ReduceSumSquare",
    3: "ReduceMean",
    4: "ReduceMax",
    5: "ReduceMin",
    6: "ReduceProd",
    7: "ReduceL1",
    8: "ReduceL2",
    9: "ReduceLogSum",
    10: "ReduceLogSumExp",
}
CASES: dict[str, Callable[[], Pair]] = {
    "Deconvolution": lambda: transposed_convolution(2, 1, 1),
    "Deconvolution without padding": lambda: transposed_convolution(1, 0, 0),
    "Convolution3D": volume_convolution,
    "LSTM": lstm,
    "GRU": gru,
    "Interp bilinear": lambda: resize(2, "linear", 0),
    "Interp bilinear, corners": lambda: resize(2, "linear", 1),
    "Interp bicubic": lambda: resize(3, "cubic", 0),
    "GridSample bilinear": lambda: grid_sample(1, "linear", 1, "zeros", 0),
    "GridSample at the border": lambda: grid_sample(1, "linear", 2, "border", 1),
    "GridSample reflected": lambda: grid_sample(1, "linear", 3, "reflection", 1),
    **{f"Reduction {o}": partial(reduced, kind, o, kind % 2) for kind, o in REDUCTIONS.items()},
    "Permute": simple("Permute", {0: 3}, "Transpose", perm=[1, 2, 0]),
    "Permute of four": simple("Permute", {0: 17}, "Transpose", (), (2, 3, 4, 5), perm=[2, 3, 1, 0]),
    "PixelShuffle": simple(
        "PixelShuffle", {0: 2}, "DepthToSpace", (), (8, 3, 5), batched=True, blocksize=2, mode="CRD"
    ),
    "PixelShuffle, other order": simple(
        "PixelShuffle", {0: 2, 1: 1}, "DepthToSpace", (), (8, 3, 5), batched=True, blocksize=2
    ),
    "Reorg": simple("Reorg", {0: 2, 1: 1}, "SpaceToDepth", batched=True, blocksize=2),
    "Padding": simple(
        "Padding", {0: 1, 1: 2, 2: 0, 3: 1}, "Pad", (whole(0, 1, 0, 0, 2, 1),), mode="constant"
    ),
    "Padding repeats": simple(
        "Padding", {0: 1, 1: 2, 2: 2, 3: 1, 4: 1}, "Pad", (whole(0, 1, 2, 0, 2, 1),), mode="edge"
    ),
    "Padding reflects": simple(
        "Padding", {0: 1, 1: 2, 2: 2, 3: 1, 4: 2}, "Pad", (whole(0, 1, 2, 0, 2, 1),), mode="reflect"
    ),
    "Crop": simple(
        "Crop",
        {9: (1, -5), 10: (-1, 7), 11: (1, 2)},
        "Slice",
        (whole(1, -5), whole(-1, 7), whole(1, 2)),
    ),
    "Tile": simple("Tile", {2: (2, 1, 3)}, "Tile", (whole(2, 1, 3),)),
    "CumulativeSum": simple("CumulativeSum", {0: 1}, "CumSum", (np.array(1),)),
    "CELU": simple("CELU", {0: 0.5}, "Celu", alpha=0.5),
    "Shrink": simple("Shrink", {0: 0.25, 1: 0.5}, "Shrink", bias=0.25, lambd=0.5),
    "SELU": simple("SELU", {}, "Selu"),
    "Softplus": simple("Softplus", {}, "Softplus"),
    "Erf": simple("Erf", {}, "Erf"),
    "Flatten": simple("Flatten", {}, "Reshape", (whole(-1),)),
    "Reshape": simple("Reshape", {0: 4, 1: -1, 2: 2}, "Reshape", (whole(2, -1, 4),)),
    "Squeeze": simple("Squeeze", {3: (0,)}, "Squeeze", (whole(0),), (1, 3, 4)),
    "ExpandDims": simple("ExpandDims", {3: (1,)}, "Unsqueeze", (whole(1),), (3, 4)),
    "max Pooling3D": simple(
        "Pooling3D", {1: 2, 2: 2, 5: 1}, "MaxPool", (), (3, 4, 6, 8), batched=True,
        kernel_shape=[2] * 3, strides=[2] * 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_definition_is_what_onnx_computes(name: str) -> None:
    mine, theirs = CASES[name]()
    # Attributes and places between elements are float32.
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=2e-5)
