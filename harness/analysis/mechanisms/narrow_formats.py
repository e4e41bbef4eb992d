"""Numbers as other formats hold them, in float64 arrays: the roundings that hypotheses apply."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Format = Literal["fp16", "bf16"]

FP16_MAX = 65504.0
"""The largest finite half-precision number."""


def rounded(array: Array, kind: Format, *, truncated: bool = False) -> Array:
    """Return an array as a narrow format holds it, in its own type.

    To nearest even, where values beyond the format's range become infinite as the conversion
    instructions do; or truncated, that is, rounded towards zero.
    """
    return _fp16(array, truncated) if kind == "fp16" else _bf16(array, truncated)


def _fp16(array: Array, truncated: bool) -> Array:
    with np.errstate(over="ignore"):
        nearest = array.astype(np.float16)
    if truncated:
        beyond = np.abs(nearest.astype(array.dtype)) > np.abs(array)
        nearest = np.where(beyond, np.nextafter(nearest, np.float16(0)), nearest)
    return nearest.astype(array.dtype)


def _bf16(array: Array, truncated: bool) -> Array:
    """Keep the upper half of a float32."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    if not truncated:
        bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    upper = bits & ~np.uint32(0xFFFF)
    finite = np.isfinite(array)
    return np.where(finite, upper.view(np.float32), array).astype(array.dtype)


def erf_polynomial(array: Array) -> Array:
    """Return formula 7.1.26 of Abramowitz and Stegun, right to 1.5e-7, in float64."""
    size = np.abs(array)
    t = 1 / (1 + 0.3275911 * size)
    series = ((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t
    value: Array = np.sign(array) * (1 - (series + 0.254829592) * t * np.exp(-size * size))
    return value


def erf_by_tanh(array: Array) -> Array:
    """Return the tanh approximation of erf that "fast GELU" consists of, right to 5e-4.

    D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415.
    """
    x = array * math.sqrt(2)
    return np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def exp_schraudolph(array: Array) -> Array:
    """Return exp by the exponent trick: a linear function written into a float's bits.

    N. Schraudolph, "A Fast, Compact Approximation of the Exponential Function", Neural
    Computation 11 (4), 1999, with the constants for float32; right to 3 %.
    """
    scale, offset = 2**23 / math.log(2), 127 * 2**23 - 366393
    bits = np.clip(array * scale + offset, 0, 0x7F7FFFFF).astype(np.int32)
    return bits.view(np.float32).astype(array.dtype)


def tanh_rational(array: Array) -> Array:
    """Return the continued fraction of tanh cut after its third term, right to 1e-4 below 2."""
    square = array * array
    value = array * (135135 + square * (17325 + square * (378 + square)))
    value = value / (135135 + square * (62370 + square * (3150 + 28 * square)))
    return np.asarray(np.clip(value, -1, 1))
