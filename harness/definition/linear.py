"""Layers that are sums of products: InnerProduct, Gemm, MatMul, attention, convolutions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import Array, Definition, Inputs, Tensors, define
from harness.definition.normal import softmax
from harness.definition.parameters import column, number
from harness.definition.pointwise import activated

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

SAME_UPPER, SAME_LOWER = -233, -234


def _inner_product(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    weight = tensors["weight"]
    by_row = x.ndim == 2 and x.shape[1] == weight.shape[1]
    rows = x if by_row else x.reshape(1, -1)
    y = maths.matmul(rows, weight.T) + tensors.get("bias", 0)
    return activated(layer, y if by_row else y[0], maths)


def _gemm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    given = list(inputs)
    a = tensors["A"] if layer.integer(4, 0) else _matrix(given.pop(0))
    b = tensors["B"] if layer.integer(5, 0) else _matrix(given.pop(0))
    c = tensors.get("C") if layer.integer(6, 0) else (given.pop(0) if given else None)
    a = a.T if layer.integer(2, 0) else a
    b = b.T if layer.integer(3, 0) else b
    y = maths.matmul(a, b)
    if c is not None:
        # A vector from another layer belongs to the columns if it fits there.
        by_row = c.ndim == 1 and c.size > 1 and ("C" in tensors or c.size != y.shape[1])
        y = y + number(layer, 1, 1) * (column(c, 2) if by_row else c)
    y = y * number(layer, 0, 1)
    return y.T if layer.integer(14, 0) else y


def _matrix(blob: Array) -> Array:
    """Return a three-axis operand as the matrix that Gemm sees: outermost axis by innermost."""
    return blob.reshape(blob.shape[0], -1) if blob.ndim == 3 else blob


def _matmul(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    a, b = inputs
    transposed = layer.integer(0, 0) and b.ndim > 1
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else (b.swapaxes(-1, -2) if transposed else b)
    y = maths.matmul(left, right)
    y = y[..., 0, :] if a.ndim == 1 else y
    return y[..., 0] if b.ndim == 1 else y


def _attention(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    embed, heads = layer.integer(0, 0), layer.integer(1, 1)
    blobs = list(inputs)
    mask = blobs.pop() if layer.integer(5, 0) else None
    query = blobs[0]
    key = blobs[1] if len(blobs) > 1 else query
    value = blobs[2] if len(blobs) > 2 else key

    def projected(side: str, x: Array) -> Array:
        y = maths.matmul(x, tensors[f"{side}_weight"].T) + tensors[f"{side}_bias"]
        return y.reshape(len(x), heads, embed // heads).swapaxes(0, 1)

    scale = number(layer, 6, 1 / math.sqrt(embed // heads))
    scores = maths.matmul(projected("q", query) * scale, projected("k", key).swapaxes(1, 2))
    weights = softmax(scores if mask is None else scores + mask, -1, maths)
    merged = maths.matmul(weights, projected("v", value)).swapaxes(0, 1).reshape(len(query), embed)
    return maths.matmul(merged, tensors["out_weight"].T) + tensors["out_bias"]


def _convolution(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    weight = tensors["weight"]
    outputs, group = layer.integer(0, 0), layer.integer(7, 1)
    height, width = weight.shape[-2:]
    dilation_w, stride_w = layer.integer(2, 1), layer.integer(3, 1)
    dilation_h, stride_h = layer.integer(12, dilation_w), layer.integer(13, stride_w)
    window = (dilation_h * (height - 1) + 1, dilation_w * (width - 1) + 1)
    x = _padded(layer, x, window, (stride_h, stride_w))
    views = np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
    views = views[:, ::stride_h, ::stride_w, ::dilation_h, ::dilation_w]
    rows, columns = views.shape[1:3]
    # Per group a product (pixels, inputs·kernel) x (inputs·kernel, outputs).
    patches = views.reshape(group, -1, rows, columns, height * width)
    patches = patches.transpose(0, 2, 3, 1, 4).reshape(group, rows * columns, -1)
    kernel = weight.reshape(group, outputs // group, -1).swapaxes(1, 2)
    y = maths.matmul(patches, kernel).swapaxes(1, 2).reshape(outputs, rows, columns)
    if "bias" in tensors:
        y = y + column(tensors["bias"], 3)
    return activated(layer, y, maths)


def _padded(layer: Layer, x: Array, window: tuple[int, int], strides: tuple[int, int]) -> Array:
    left = layer.integer(4, 0)
    right = layer.integer(15, left)
    top = layer.integer(14, left)
    bottom = layer.integer(16, top)
    if left in (SAME_UPPER, SAME_LOWER):
        pads = []
        for extent, kernel, stride in zip(x.shape[1:], window, strides, strict=True):
            total = max(0, kernel + (extent - 1) // stride * stride - extent)
            less, more = total // 2, total - total // 2
            pads.append((less, more) if left == SAME_UPPER else (more, less))
    else:
        pads = [(top, bottom), (left, right)]
    return np.pad(x, ((0, 0), *pads), constant_values=number(layer, 18, 0))


DEFINITIONS: dict[str, Definition] = {
    "InnerProduct": define(_inner_product, 0, 1, 2, 9, 10),
    "Gemm": define(_gemm, *range(12), 14),
    "MatMul": define(_matmul, 0),
    "MultiHeadAttention": define(_attention, *range(7)),
    "Convolution": define(_convolution, *range(8), *range(9, 19)),
    "ConvolutionDepthWise": define(_convolution, *range(8), *range(9, 19)),
}
