"""Parameters of a layer as ncnn reads them, and the axes of a blob by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import Array, NoDefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.param import Layer

AXES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
"""Names of a blob's axes, outermost first, by their number."""
AS_INPUT = -233
"""What parameters hold where a size follows from the input."""


def number(layer: Layer, key: int, default: float) -> float:
    """Return a parameter as a float, or raise `NoDefinitionError` for a string or an array."""
    value = layer.get(key)
    if value is None:
        return default
    if isinstance(value, str | tuple):
        raise NoDefinitionError(f"parameter {key} is {value!r}, not a number")
    return _as_float(value)


def numbers(layer: Layer, key: int, default: Sequence[float] = ()) -> tuple[float, ...]:
    """Return an array of floats, or raise `NoDefinitionError` for what is no array."""
    value = layer.get(key)
    if value is None:
        return tuple(default)
    if not isinstance(value, tuple):
        raise NoDefinitionError(f"parameter {key} is {value!r}, not an array")
    return tuple(_as_float(element) for element in value)


def _as_float(value: float) -> float:
    # ncnn keeps the bits: an integer where a float belongs is read as a tiny number.
    return float(np.int32(value).view(np.float32)) if isinstance(value, int) else float(value)


def integers(layer: Layer, key: int) -> tuple[int, ...] | None:
    """Return an array of integers, None where it is not given or empty."""
    value = layer.get(key)
    if value is None or value == ():
        return None
    if not isinstance(value, tuple) or not all(isinstance(v, int) for v in value):
        raise NoDefinitionError(f"parameter {key} is {value!r}, not an array of integers")
    return tuple(int(v) for v in value)


def axis_of(axis: int, ndim: int) -> int:
    """Return an axis counted from the outermost one, which may be given from the end."""
    positive = axis + ndim if axis < 0 else axis
    if not 0 <= positive < ndim:
        raise NoDefinitionError(f"there is no axis {axis} in {ndim}")
    return positive


def refuse(layer: Layer, *keys: int) -> None:
    """Refuse parameters that are something else than zero."""
    for key in keys:
        if layer.get(key) not in (None, 0):
            raise NoDefinitionError(f"parameter {key}={layer.get(key)!r} is not covered")


def column(vector: Array, axes: int) -> Array:
    """Return a vector per outermost axis in a shape that broadcasts over `axes` axes."""
    return vector.reshape(-1, *(1,) * (axes - 1))


def single(value: float) -> float:
    """Return a number as float32 holds it, for what ncnn computes in float to find places."""
    return float(np.float32(value)) if math.isfinite(value) else value
