"""Parameters of a layer as ncnn reads them, and the axes of a blob by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    # ncnn keeps the bits: it reads an integer where a float belongs as a tiny number.
    if isinstance(value, int) and value:
        raise NoDefinitionError(f"{value} has no decimal point")
    return float(value)


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


def column(vector: Array, x: Array) -> Array:
    """Return a vector of one number per element of a blob's outermost axis, to broadcast."""
    if vector.size != x.shape[0]:
        raise NoDefinitionError(f"{vector.size} numbers for {x.shape}")
    return vector.reshape(-1, *(1,) * (x.ndim - 1))
