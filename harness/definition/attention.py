"""Attention: MultiHeadAttention, SDPA, and the RotaryEmbed before it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)
from harness.definition.parameters import number, refuse
from harness.definition.quantising import dynamic
from harness.definition.reducing import softmax

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

INT8 = (1, 2, 3)
"""What the term may be for int8; there are others for weights in blocks."""
ROLES = 3
"""Query, key, value."""


class _Products:
    """The products of attention: of floats, or of what ncnn makes eight bits of on the way."""

    def __init__(self, layer: Layer, tensors: Tensors, maths: Arithmetic) -> None:
        term = layer.integer(18, 0)
        self.int8 = bool(term)
        self.tensors = tensors
        self.maths = maths
        stored = {name for name in tensors if name.endswith("_weight")}
        if self.int8 and (term not in INT8 or not stored <= tensors.int8):
            raise NoDefinitionError(f"quantisation {term}, or weights that are not int8")
        if tensors.int8 and not self.int8:
            raise NoDefinitionError("int8 without its scales")

    def product(self, a: Array, b: Array) -> Array:
        """Return a matrix product for each head; rows of the first have scales of their own."""
        if not self.int8:
            return self.maths.matmul(a, b)
        heads = []
        for left, right in zip(a, b, strict=True):
            rows, row_scales = dynamic(left, 1)
            columns, scale = dynamic(right, None)
            heads.append(self.maths.matmul(rows, columns) / (row_scales * scale))
        return np.stack(heads)

    def projected(self, side: str, x: Array) -> Array:
        """Return what a weight makes of a blob."""
        weight, bias = self.tensors[f"{side}_weight"], self.tensors[f"{side}_bias"]
        if not self.int8:
            return self.maths.matmul(x, weight.T) + bias
        # The output's rows have scales of their own, its weight has one for all.
        x, scale = dynamic(x, 1 if side == "out" else None)
        y = self.maths.matmul(x, weight.T)
        return np.asarray(y / (scale * self.tensors[f"{side}_scale"]) + bias)


def _multi_head(
    layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic
) -> Array | list[Array]:
    embed, heads = layer.integer(0, 0), layer.integer(1, 1)
    products = _Products(layer, tensors, maths)
    blobs, cached = list(inputs), bool(layer.integer(7, 0))
    past = [blobs.pop() for _ in range(2)][::-1] if cached else []
    mask = blobs.pop() if layer.integer(5, 0) else None
    if not 1 <= len(blobs) <= ROLES or any(x.ndim != 2 for x in blobs):
        raise NoDefinitionError(f"{len(inputs)} inputs, or some that are no matrices")
    query = blobs[0]
    key = blobs[1] if len(blobs) > 1 else query
    value = blobs[2] if len(blobs) > 2 else key
    keys, values = (
        _extended(products, side, x, past[index] if cached else None, alone=len(blobs) == 1)
        for index, (side, x) in enumerate((("k", key), ("v", value)))
    )

    def by_head(x: Array) -> Array:
        return x.reshape(len(x), heads, embed // heads).swapaxes(0, 1)

    scale = number(layer, 6, 1 / math.sqrt(embed // heads))
    queries = products.projected("q", query) * scale
    scores = products.product(by_head(queries), by_head(keys).swapaxes(1, 2))
    weights = softmax(_masked(scores, mask), -1, maths)
    merged = products.product(weights, by_head(values)).swapaxes(0, 1).reshape(len(query), embed)
    y = products.projected("out", merged)
    return [y, keys.T, values.T] if cached else y


def _extended(
    products: _Products, side: str, x: Array, past: Array | None, *, alone: bool
) -> Array:
    """Return keys or values, with those that came before."""
    if past is None:
        return products.projected(side, x)
    # Only self-attention goes on; across, what came before is all there is.
    return np.concatenate([past.T, products.projected(side, x)]) if alone else past.T


def _masked(scores: Array, mask: Array | None) -> Array:
    if mask is None:
        return scores
    if mask.shape[-2:] != scores.shape[1:] or mask.ndim > 3 or len(mask) not in (1, *scores.shape):
        raise NoDefinitionError(f"a mask of {mask.shape} for {scores.shape}")
    return scores + mask


def _sdpa(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array | list[Array]:
    refuse(layer, 18)
    blobs, cached = list(inputs), bool(layer.integer(7, 0))
    expected = ROLES + bool(layer.integer(5, 0)) + (2 if cached else 0)
    if len(blobs) != expected:
        raise NoDefinitionError(f"{len(blobs)} inputs, not {expected}")
    query, key, value = blobs[:ROLES]
    mask = blobs[ROLES] if layer.integer(5, 0) else None
    if cached:
        before = blobs[-2:]
        key, value = (np.concatenate(p, axis=1) for p in zip(before, (key, value), strict=True))
    count = len(query) // len(key)
    scale = number(layer, 6, 0) or 1 / math.sqrt(query.shape[-1])
    # Several heads share a key and a value.
    keys, values = np.repeat(key, count, axis=0), np.repeat(value, count, axis=0)
    scores = maths.matmul(query, keys.swapaxes(1, 2)) * scale
    y = maths.matmul(softmax(_masked(scores, mask), -1, maths), values)
    return [y, key, value] if cached else y


def _rotary(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    x, cosine, sine = inputs
    half = x.shape[-1] // 2
    if x.ndim != 3 or x.shape[-1] % 2 or cosine.shape[-1] != half or sine.shape != cosine.shape:
        raise NoDefinitionError(f"{x.shape} by angles of {cosine.shape}")
    if len(cosine) < x.shape[1]:
        raise NoDefinitionError(f"{len(cosine)} angles for {x.shape[1]} places")
    cosine, sine = cosine[: x.shape[1]], sine[: x.shape[1]]
    pairs = x.reshape(*x.shape[:2], half, 2) if layer.integer(0, 0) else None
    a, b = (pairs[..., 0], pairs[..., 1]) if pairs is not None else np.split(x, 2, axis=-1)
    turned = a * cosine - b * sine, a * sine + b * cosine
    if pairs is not None:
        return np.stack(turned, axis=-1).reshape(x.shape)
    return np.concatenate(turned, axis=-1)


DEFINITIONS: dict[str, Definition] = {
    "MultiHeadAttention": define(_multi_head, *range(8), 18, int8=True),
    "SDPA": define(_sdpa, 5, 6, 7, 18),
    "RotaryEmbed": define(_rotary, 0),
}
