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
from harness.definition.reducing import softmax

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


def _multi_head(
    layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic
) -> Array | list[Array]:
    refuse(layer, 18)
    embed, heads = layer.integer(0, 0), layer.integer(1, 1)
    blobs, cached = list(inputs), bool(layer.integer(7, 0))
    past = [blobs.pop() for _ in range(2)][::-1] if cached else []
    mask = blobs.pop() if layer.integer(5, 0) else None
    query = blobs[0]
    key = blobs[1] if len(blobs) > 1 else query
    value = blobs[2] if len(blobs) > 2 else key

    def projected(side: str, x: Array) -> Array:
        return maths.matmul(x, tensors[f"{side}_weight"].T) + tensors[f"{side}_bias"]

    def by_head(x: Array) -> Array:
        return x.reshape(len(x), heads, embed // heads).swapaxes(0, 1)

    if past:
        sides = [
            # Of what came before only self-attention is extended.
            np.concatenate([before.T, projected(side, x)]) if len(blobs) == 1 else before.T
            for side, before, x in zip("kv", past, (key, value), strict=True)
        ]
    else:
        sides = [projected("k", key), projected("v", value)]
    keys, values = sides
    scale = number(layer, 6, 1 / math.sqrt(embed // heads))
    scores = maths.matmul(by_head(projected("q", query) * scale), by_head(keys).swapaxes(1, 2))
    weights = softmax(_masked(scores, mask), -1, maths)
    merged = maths.matmul(weights, by_head(values)).swapaxes(0, 1).reshape(len(query), embed)
    y = maths.matmul(merged, tensors["out_weight"].T) + tensors["out_bias"]
    return [y, keys.T, values.T] if cached else y


def _masked(scores: Array, mask: Array | None) -> Array:
    if mask is None:
        return scores
    if mask.shape[-2:] != scores.shape[1:] or mask.ndim > 3 or len(mask) not in (1, *scores.shape):
        raise NoDefinitionError(f"a mask of {mask.shape} for {scores.shape}")
    return scores + mask


def _sdpa(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array | list[Array]:
    refuse(layer, 18)
    blobs, cached = list(inputs), bool(layer.integer(7, 0))
    query, key, value = blobs[:3]
    mask = blobs[3] if layer.integer(5, 0) else None
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
    "MultiHeadAttention": define(_multi_head, *range(8), 18),
    "SDPA": define(_sdpa, 5, 6, 7, 18),
    "RotaryEmbed": define(_rotary, 0),
}
