"""Parameters of a layer as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.model.param import Layer

    Array = NDArray[Any]


def number(layer: Layer, key: int, default: float) -> float:
    """Return a parameter as a float.

    Raises:
        ValueError: it is a string or an array.
    """
    value = layer.get(key)
    if value is None:
        return default
    if isinstance(value, str | tuple):
        raise ValueError(f"parameter {key} of {layer.name} is {value!r}, not a number")
    return float(value)


def numbers(layer: Layer, key: int, default: Sequence[float] = ()) -> tuple[float, ...]:
    """Return an array parameter.

    Raises:
        ValueError: it is a string.
    """
    value = layer.get(key)
    if value is None:
        return tuple(default)
    if isinstance(value, str):
        raise ValueError(f"parameter {key} of {layer.name} is {value!r}, not numbers")
    return tuple(float(v) for v in value) if isinstance(value, tuple) else (float(value),)


def column(vector: Array, axes: int) -> Array:
    """Return a vector per outermost axis in a shape that broadcasts over `axes` axes."""
    return vector.reshape(-1, *(1,) * (axes - 1))
