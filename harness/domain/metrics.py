"""How far one array is from its reference: the numbers that everything else is judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.domain.records import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Wide = NDArray[np.float64]

INFINITE = 1e37
"""Magnitudes from here on count as infinite: a thirtieth of the largest number of float32. Where
ONNX has an infinity (masks, padding of a maximum) ncnn has the largest number, or a sum with it."""

SMALL_CHANNEL = 2.0**-6
"""Part of an array's largest value below which a channel's scale is not taken to be, see
`docs/tolerance.md`: rounding in other channels may pass through it."""

NOISE_FROM = 1e-5
"""Noise relative to a channel's scale that is told from none: a quarter of a layer's limit."""

_BLOCK = 1 << 15
"""Elements taken at a time: the float64 copies of two blocks stay in the CPU's cache."""
_NARROW = 16
"""Elements of a row up to which rows are better turned into columns."""


def measure(actual: Array, reference: Array, noise: Array | None = None) -> Metrics:
    """Compare an array with its reference; all sums and differences are in float64.

    Equal infinities are no error, others are counted, and so are NaNs; the other measures take the
    elements at which both arrays are finite. Where nothing can be said of any, as in empty arrays,
    the errors are 0 and say nothing: `Metrics.is_void`.

    Args:
        actual: real numbers or booleans, of any shape.
        reference: array of the same shape.
        noise: what honest arithmetic may be off by in each channel, which are the first axis, in
            the units of the arrays; channels are compared each by itself where there is one for
            each, and each has several elements.

    Returns:
        The measures, in the units of the arrays, as `Metrics` defines them.

    Raises:
        ValueError: the shapes differ.
    """
    if actual.shape != reference.shape:
        raise ValueError(f"shape {actual.shape} against {reference.shape}")
    told = noise is not None and _has_channels(actual, noise)
    sums = _Sums(actual.shape[0] if told else 1)
    left, right = (array.reshape(sums.channels, -1) for array in (actual, reference))
    with np.errstate(over="ignore", invalid="ignore"):
        for place in _blocks(*left.shape):
            sums.add(place[0], left[place].astype(np.float64), right[place].astype(np.float64))
    return sums.metrics(noise if told else None)


def _has_channels(array: Array, noise: Array) -> bool:
    return array.ndim > 1 and array.shape[0] > 1 and array.size > noise.size == array.shape[0]


def _blocks(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Yield places of about `_BLOCK` elements that cover an array of rows and columns."""
    wide = min(columns, _BLOCK)
    many = _BLOCK // max(wide, 1)
    for row in range(0, rows, many):
        for column in range(0, columns, max(wide, 1)):
            yield slice(row, row + many), slice(column, column + wide)


@dataclass
class _Sums:
    """What `measure` accumulates from block to block."""

    channels: int
    count: int = 0
    signal: float = 0.0
    """Σ reference²."""
    power: float = 0.0
    """Σ actual²."""
    product: float = 0.0
    """Σ actual · reference."""
    noise: float = 0.0
    """Σ error²."""
    error: float = 0.0
    """Σ |error|."""
    nan: int = 0
    inf: int = 0
    finite: int = 0
    undefined: int = 0
    same: int = 0
    """Infinities that are so in both arrays."""
    errors: Wide = field(init=False)
    """Largest absolute error of each channel."""
    scales: Wide = field(init=False)
    """Largest absolute reference value of each channel."""

    def __post_init__(self) -> None:
        self.errors, self.scales = np.zeros(self.channels), np.zeros(self.channels)

    def add(self, rows: slice, actual: Wide, reference: Wide) -> None:
        """Add a block of some channels; the arrays are used up."""
        self.count += actual.size
        flat, known = actual.reshape(-1), reference.reshape(-1)
        signal, power = float(known @ known), float(flat @ flat)
        # The sums of squares tell whether all is finite, without another pass over the block.
        if not signal + power < INFINITE * INFINITE:
            self._clear(actual, reference)
            signal, power = float(known @ known), float(flat @ flat)
        self.signal += signal
        self.power += power
        self.product += float(flat @ known)
        error = np.subtract(flat, known, out=flat)
        self.noise += float(error @ error)
        np.abs(error, out=error)
        self.error += float(error.sum())
        _raise(self.errors[rows], _largest(actual))
        _raise(self.scales[rows], _largest(np.abs(reference, out=reference)))

    def _clear(self, actual: Wide, reference: Wide) -> None:
        """Count what is not finite, and put zeros where either array is not."""
        undefined, nan = np.isnan(reference), np.isnan(actual)
        due, got = np.abs(reference) >= INFINITE, np.abs(actual) >= INFINITE
        same = due & got & (np.signbit(actual) == np.signbit(reference))
        self.undefined += int(np.count_nonzero(undefined & ~nan))
        self.nan += int(np.count_nonzero(nan & ~undefined))
        self.inf += int(np.count_nonzero(got & ~same & ~undefined))
        self.finite += int(np.count_nonzero(due & ~got & ~nan))
        self.same += int(np.count_nonzero(same))
        out = undefined | nan | due | got
        self.count -= int(np.count_nonzero(out))
        actual[out] = reference[out] = 0

    def metrics(self, noise: Array | None) -> Metrics:
        max_error, scale = float(self.errors.max()), float(self.scales.max())
        channel: dict[str, Any] = {} if noise is None or not scale else self._worst(noise, scale)
        return Metrics(
            max_abs=max_error,
            mean_abs=self.error / self.count if self.count else 0.0,
            scale_relative=max_error / scale if scale else max_error,
            cosine=self._cosine(),
            snr_db=self._snr_db(),
            nan=self.nan,
            inf=self.inf,
            finite=self.finite,
            undefined=self.undefined,
            compared=self.count + self.same,
            blank=scale == 0 and self.count > 0,
            **channel,
        )

    def _worst(self, noise: Array, scale: float) -> dict[str, Any]:
        """Return what is said of the channel that is furthest beyond its noise."""
        scales = np.maximum(self.scales, SMALL_CHANNEL * scale)
        with np.errstate(over="ignore"):
            channel = int(np.argmax(self.errors / np.maximum(noise, NOISE_FROM * scales)))
            return {
                "channel": channel,
                "channel_relative": float(self.errors[channel] / scales[channel]),
                "channel_floor": float(noise[channel] / scales[channel]),
            }

    def _cosine(self) -> float:
        if self.power == 0 or self.signal == 0:
            return 1.0 if self.power == self.signal else 0.0
        cosine = self.product / (math.sqrt(self.power) * math.sqrt(self.signal))
        return min(1.0, max(-1.0, cosine))

    def _snr_db(self) -> float:
        if self.noise == 0:
            return math.inf
        if self.signal == 0:
            return -math.inf
        return 10 * (math.log10(self.signal) - math.log10(self.noise))


def _largest(block: Wide) -> Wide:
    """Return the largest number of each row."""
    if block.shape[1] <= _NARROW:
        turned: Wide = np.ascontiguousarray(block.T)
        return np.asarray(turned.max(axis=0))
    # Several times faster than a maximum along an axis.
    starts = np.arange(0, block.size, block.shape[1])
    largest: Wide = np.maximum.reduceat(block.reshape(-1), starts)
    return largest


def _raise(place: Wide, values: Wide) -> None:
    """Raise numbers in place to others that are larger."""
    np.maximum(place, values, out=place)
