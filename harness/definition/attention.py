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
from harness.definition.parameters import number
from harness.definition.quantising import dynamic
from harness.definition.reducing import softmax

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

INT8 = (1, 2, 3)
"""What the term may be for int8; there are others for weights in blocks."""
ROLES = 3
"""Query, key, value."""


class _Weights:
    """The weights of attention: of floats, or of eight bits, and then so are its blobs."""

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
    sides = _Weights(layer, tensors, maths)
    blobs, cached = list(inputs), bool(layer.integer(7, 0))
    past = [blobs.pop() for _ in range(2)][::-1] if cached else []
    mask = blobs.pop() if layer.integer(5, 0) else None
    if not 1 <= len(blobs) <= ROLES or any(x.ndim != 2 for x in blobs):
        raise NoDefinitionError(f"{len(inputs)} inputs, or some that are no matrices")
    query = blobs[0]
    key = blobs[1] if len(blobs) > 1 else query
    value = blobs[2] if len(blobs) > 2 else key
    keys, values = (
        _extended(sides, side, x, past[index] if cached else None, alone=len(blobs) == 1)
        for index, (side, x) in enumerate((("k", key), ("v", value)))
    )

    def by_head(x: Array) -> Array:
        return x.reshape(len(x), heads, embed // heads).swapaxes(0, 1)

    scale = number(layer, 6, 1 / math.sqrt(embed // heads))
    queries = by_head(sides.projected("q", query) * scale)
    scores = _product(queries, by_head(keys).swapaxes(1, 2), maths, int8=sides.int8)
    if mask is not None:
        scores = _masked(scores, mask, (heads,))
    shares = softmax(scores, -1, maths)
    found = _product(shares, by_head(values), maths, int8=sides.int8)
    y = sides.projected("out", found.swapaxes(0, 1).reshape(len(query), embed))
    return [y, keys.T, values.T] if cached else y


def _extended(weights: _Weights, side: str, x: Array, past: Array | None, *, alone: bool) -> Array:
    """Return keys or values, with those that came before."""
    if past is None:
        return weights.projected(side, x)
    # Only self-attention goes on; across, what came before is all there is.
    return np.concatenate([past.T, weights.projected(side, x)]) if alone else past.T


def _product(a: Array, b: Array, maths: Arithmetic, *, int8: bool) -> Array:
    """Return the products of matrices, one for each head, perhaps of eight bits made on the way."""
    if not int8:
        return maths.matmul(a, b)
    heads = []
    for left, right in zip(a, b, strict=True):
        # Rows of the first have scales of their own, the second has one for all.
        rows, row_scales = dynamic(left, 1)
        columns, scale = dynamic(right, None)
        heads.append(maths.matmul(rows, columns) / (row_scales * scale))
    return np.stack(heads)


def _masked(scores: Array, mask: Array, counts: tuple[int, ...]) -> Array:
    """Add a mask: one for all heads, or of three axes, of which there may be `counts`."""
    each = mask.ndim == scores.ndim and len(mask) in counts
    if mask.shape[-2:] != scores.shape[1:] or not (each or mask.ndim == 2):
        raise NoDefinitionError(f"a mask of {mask.shape} for {scores.shape}")
    return scores + mask


def _sdpa(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array | list[Array]:
    term, cached = layer.integer(18, 0), bool(layer.integer(7, 0))
    if term and term not in INT8:
        raise NoDefinitionError(f"quantisation {term}")
    expected = ROLES + bool(layer.integer(5, 0)) + (2 if cached else 0)
    if len(inputs) != expected or any(x.ndim != 3 for x in inputs[:ROLES]):
        raise NoDefinitionError(f"{len(inputs)} inputs, not {expected}, or not of three axes")
    query, key, value = inputs[:ROLES]
    if cached:
        pairs = zip(inputs[-2:], (key, value), strict=True)
        key, value = (np.concatenate(pair, axis=1) for pair in pairs)
    if len(query) % len(key):
        raise NoDefinitionError(f"{len(query)} heads share {len(key)} keys")
    # Several heads share a key and a value.
    keys, values = (np.repeat(x, len(query) // len(key), axis=0) for x in (key, value))
    scale = number(layer, 6, 0) or 1 / math.sqrt(query.shape[-1])
    scores = _product(query, keys.swapaxes(1, 2), maths, int8=bool(term)) * scale
    if layer.integer(5, 0):
        scores = _masked(scores, inputs[ROLES], (1, len(query)))
    y = _product(softmax(scores, -1, maths), values, maths, int8=bool(term))
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
