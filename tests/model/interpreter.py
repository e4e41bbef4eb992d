"""The ncnn layers that the converter emits, in numpy: what a blob should hold, without ncnn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from harness.model.param import Layer, Param

Array = NDArray[np.floating]
Tensors = Mapping[str, Array]

ORDERS = {
    2: ["wh", "hw"],
    3: ["whc", "hwc", "wch", "cwh", "hcw", "chw"],
    4: [
        *("whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd"),
        *("wchd", "cwhd", "hcwd", "chwd", "wdch", "dwch", "wcdh", "cwdh"),
        *("dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw"),
    ],
}


def interpret(param: Param, weights: Mapping[str, Tensors], feeds: Tensors) -> dict[str, Array]:
    """Every blob's value, outermost axis first, as ncnn defines the layers."""
    blobs = dict(feeds)
    for layer in param.layers:
        if layer.type == "Input":
            continue
        inputs = [blobs[name] for name in layer.inputs]
        results = LAYERS[layer.type](layer, weights.get(layer.name, {}), *inputs)
        outputs = results if isinstance(results, list) else [results]
        blobs |= zip(layer.outputs, outputs, strict=True)
    return blobs


def number(layer: Layer, key: int, default: float = 0) -> float:
    value = layer.get(key)
    assert not isinstance(value, str | tuple)
    return default if value is None else value


def integers(layer: Layer, key: int) -> list[int]:
    value = layer.get(key)
    assert isinstance(value, tuple)
    return [int(element) for element in value]


def convolution(layer: Layer, weights: Tensors, x: Array) -> Array:
    outputs, width = (int(number(layer, key)) for key in (0, 1))
    height = layer.integer(11, width)
    group = layer.integer(7, 1)
    left, right, top, bottom = (layer.integer(key, 0) for key in (4, 15, 14, 16))
    x = np.pad(x, ((0, 0), (top, bottom), (left, right)))
    dilation_w, stride_w = layer.integer(2, 1), layer.integer(3, 1)
    dilation_h, stride_h = layer.integer(12, dilation_w), layer.integer(13, stride_w)
    window = (dilation_h * (height - 1) + 1, dilation_w * (width - 1) + 1)
    views = np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
    views = views[:, ::stride_h, ::stride_w, ::dilation_h, ::dilation_w]
    kernel = weights["weight"].reshape(group, outputs // group, -1, height, width)
    views = views.reshape(group, -1, *views.shape[1:])
    y = np.einsum("gchwij,gocij->gohw", views, kernel).reshape(outputs, *views.shape[2:4])
    return activated(layer, y + weights.get("bias", np.zeros(outputs))[:, None, None])


def inner_product(layer: Layer, weights: Tensors, x: Array) -> Array:
    weight = weights["weight"].reshape(layer.integer(0, 0), -1)
    return activated(layer, x @ weight.T + weights.get("bias", 0))


def activated(layer: Layer, x: Array) -> Array:
    return np.maximum(x, 0) if layer.get(9) == 1 else x


def pooling(layer: Layer, _: Tensors, x: Array) -> Array:
    reduce: Callable[..., Array] = np.mean if layer.get(0) else np.max
    if layer.get(4):
        return reduce(x, axis=(1, 2))
    assert layer.get(5) == 1
    assert not layer.get(6)
    width, stride_w, left = layer.integer(1, 0), layer.integer(2, 1), layer.integer(3, 0)
    height, stride_h, top = layer.integer(11, 0), layer.integer(12, 1), layer.integer(13, 0)
    pads = ((0, 0), (top, layer.integer(15, 0)), (left, layer.integer(14, 0)))
    x = np.pad(x, pads, constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    reduce = np.nanmean if layer.get(0) else np.nanmax
    y: Array = reduce(views[:, ::stride_h, ::stride_w], axis=(3, 4))
    return y


def binary(layer: Layer, _: Tensors, a: Array, *others: Array) -> Array:
    b: Array = others[0] if others else np.array(number(layer, 2))
    if b.ndim == 1:
        b = b.reshape(-1, *(1,) * (a.ndim - 1))
    operations: list[Callable[[Array, Array], Array]] = [
        np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.power,
        lambda a, b: b - a, lambda a, b: b / a,
    ]  # fmt: skip
    return operations[layer.integer(0, 0)](a, b)


def scale(_: Layer, weights: Tensors, x: Array) -> Array:
    column = (-1, *(1,) * (x.ndim - 1))
    return x * weights["scale"].reshape(column) + weights["bias"].reshape(column)


def batch_norm(layer: Layer, weights: Tensors, x: Array) -> Array:
    column = (-1, *(1,) * (x.ndim - 1))
    w = {name: array.reshape(column) for name, array in weights.items()}
    root = np.sqrt(w["variance"] + number(layer, 1))
    y: Array = w["slope"] * (x - w["mean"]) / root + w["bias"]
    return y


def layer_norm(layer: Layer, weights: Tensors, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    root = np.sqrt((centred**2).mean(-1, keepdims=True) + number(layer, 1))
    y: Array = centred / root * weights["gamma"] + weights["beta"]
    return y


def softmax(layer: Layer, _: Tensors, x: Array) -> Array:
    axis = layer.integer(0, 0)
    power = np.exp(x - x.max(axis, keepdims=True))
    y: Array = power / power.sum(axis, keepdims=True)
    return y


def reshape(layer: Layer, _: Tensors, x: Array) -> Array:
    keys = [key for key in (2, 11, 1, 0) if layer.get(key) is not None]
    extents = {2: x.shape[0], 1: x.shape[-2] if x.ndim > 1 else 1, 0: x.shape[-1]}
    return x.reshape([layer.integer(key, 0) or extents[key] for key in keys])


def permute(layer: Layer, _: Tensors, x: Array) -> Array:
    letters = ORDERS[x.ndim]
    order = letters[layer.integer(0, 0)][::-1]
    return x.transpose([letters[0][::-1].index(letter) for letter in order])


def crop(layer: Layer, _: Tensors, x: Array) -> Array:
    cuts = [slice(None)] * x.ndim
    for start, end, axis in zip(*(integers(layer, key) for key in (9, 10, 11)), strict=True):
        cuts[axis] = slice(start, None if end == -233 else end)
    return x[tuple(cuts)]


def sliced(layer: Layer, _: Tensors, x: Array) -> list[Array]:
    ends = np.cumsum(integers(layer, 0)[:-1])
    return np.split(x, ends, axis=layer.integer(1, 0))


def hard_sigmoid(layer: Layer, x: Array) -> Array:
    y: Array = np.clip(x * number(layer, 0) + number(layer, 1), 0, 1)
    return y


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


UNARY: dict[int, Callable[[Array], Array]] = {0: np.abs, 1: np.negative, 5: np.sqrt, 7: np.exp}

LAYERS: dict[str, Callable[..., Array | list[Array]]] = {
    "Convolution": convolution,
    "ConvolutionDepthWise": convolution,
    "InnerProduct": inner_product,
    "Pooling": pooling,
    "BinaryOp": binary,
    "UnaryOp": lambda layer, _, x: UNARY[layer.integer(0, 0)](x),
    "Scale": scale,
    "BatchNorm": batch_norm,
    "LayerNorm": layer_norm,
    "Softmax": softmax,
    "MatMul": lambda layer, _, a, b: a @ b,
    "MemoryData": lambda layer, weights: weights["data"].reshape(
        [layer.integer(key, 0) for key in (2, 11, 1, 0) if layer.get(key)]
    ),
    "Clip": lambda layer, _, x: np.clip(x, number(layer, 0), number(layer, 1)),
    "ReLU": lambda layer, _, x: np.where(x > 0, x, x * number(layer, 0)),
    "ELU": lambda layer, _, x: np.where(x > 0, x, number(layer, 0) * np.expm1(x)),
    "Sigmoid": lambda layer, _, x: sigmoid(x),
    "TanH": lambda layer, _, x: np.tanh(x),
    "Swish": lambda layer, _, x: x * sigmoid(x),
    "HardSigmoid": lambda layer, _, x: hard_sigmoid(layer, x),
    "HardSwish": lambda layer, _, x: x * hard_sigmoid(layer, x),
    "Reshape": reshape,
    "Permute": permute,
    "Crop": crop,
    "Slice": sliced,
    "Squeeze": lambda layer, _, x: x.squeeze(tuple(integers(layer, 3))),
    "Concat": lambda layer, _, *x: np.concatenate(x, axis=layer.integer(0, 0)),
    "Split": lambda layer, _, x: [x] * len(layer.outputs),
    "Noop": lambda layer, _, x: x,
}
