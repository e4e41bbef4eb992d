"""All blobs of a model as ncnn's own definitions give them, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition import IllFormedError, NoDefinitionError, compute
from harness.model.integer_blobs import quantised_blobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.param import Layer, Param

    Array = NDArray[Any]
    Tensors = Mapping[str, Mapping[str, Array]]

_MIX = (0x9E3779B1, 0x85EBCA77)
"""Primes whose product with a number has well mixed upper bits (those of xxHash32)."""
_NO_EXPONENT = 0x807FFFFF
"""Sign and mantissa of float32."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass
class Evaluated:
    """Blobs by name, and why others are not there."""

    blobs: dict[str, Array] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Layers that could not be computed though their inputs were there, with the reason."""
    int8: frozenset[str] = frozenset()
    """Blobs that are int8 inside of ncnn; here they have the same numbers in another type."""
    ill_formed: set[str] = field(default_factory=set)
    """Those of them whose shapes or tensors do not fit together."""


def evaluate(
    param: Param,
    tensors: Tensors,
    feeds: Mapping[str, Array],
    *,
    given: Mapping[str, Array] = NOTHING,
    dtype: type[np.floating[Any]] = np.float64,
    flipped: float = 0.0,
    nudged: float = 0.0,
    seed: int = 0,
) -> Evaluated:
    """Compute every blob of a model from its inputs.

    Args:
        param: the layers.
        tensors: contents of the `.bin` file by layer and tensor.
        feeds: the model's inputs by blob, in ncnn's layout.
        given: blobs that are taken as they are, whatever their layers define.
        dtype: type of every step.
        flipped: part of the elements of each int8 blob that are rounded the other way.
        nudged: relative error of each element of every blob that a layer computes.
        seed: of all that is random.
    """
    generator = np.random.default_rng(seed)
    found = Evaluated(int8=quantised_blobs(param))
    for layer in param.layers:
        outputs = outputs_of(layer, tensors, feeds, found, given, dtype)
        if outputs is not None:
            found.blobs |= {
                blob: np.asarray(given.get(blob, array), dtype)
                for blob, array in zip(layer.outputs, outputs, strict=True)
            }
            for blob in found.int8.intersection(layer.outputs) if flipped else ():
                _flip(found.blobs[blob], flipped, generator)
            for blob in layer.outputs if nudged and layer.type != "Input" else ():
                found.blobs[blob] *= 1 + nudged * _signs(found.blobs[blob], generator)
    return found


def _signs(array: Array, generator: np.random.Generator) -> Array:
    """Return 1 or -1 for each element, the same for equal ones, and for those twice as large.

    Rounding is no dice: where much of a blob is alike, such as behind padding, it is rounded alike,
    and what follows sees an error that does not average out.
    """
    with np.errstate(over="ignore"):
        bits = array.astype(np.float32).view(np.uint32) & np.uint32(_NO_EXPONENT)
    mixed = (bits ^ generator.integers(1 << 32, dtype=np.uint32)) * np.uint32(_MIX[0])
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(_MIX[1])
    return np.where(mixed >> np.uint32(31), 1.0, -1.0)


def _flip(array: Array, part: float, generator: np.random.Generator) -> None:
    """Move some elements of an int8 blob, at least one, by a step."""
    places = generator.choice(array.size, max(1, round(part * array.size)), replace=False)
    moved = array.flat[places] + generator.choice((-1, 1), places.size)
    array.flat[places] = np.clip(moved, -127, 127)


def outputs_of(
    layer: Layer,
    tensors: Tensors,
    feeds: Mapping[str, Array],
    known: Evaluated,
    given: Mapping[str, Array],
    dtype: type[np.floating[Any]] = np.float64,
) -> Sequence[Array] | None:
    """Return a layer's outputs; None, with a reason in `known`, where they cannot be had."""
    if layer.outputs and all(blob in given for blob in layer.outputs):
        return [given[blob] for blob in layer.outputs]
    if layer.type == "Input":
        return (
            [feeds[blob] for blob in layer.outputs] if feeds.keys() >= set(layer.outputs) else None
        )
    if any(blob not in known.blobs for blob in layer.inputs):
        return None
    try:
        inputs = [
            np.rint(known.blobs[blob]).astype(np.int8) if blob in known.int8 else known.blobs[blob]
            for blob in layer.inputs
        ]
        return compute(layer, tensors.get(layer.name, NOTHING), inputs, dtype=dtype)
    except NoDefinitionError as error:
        known.reasons[layer.name] = str(error)
        if isinstance(error, IllFormedError):
            known.ill_formed.add(layer.name)
        return None
