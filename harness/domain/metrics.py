"""How far one array is from its reference: the numbers that everything else is judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.domain.records import Metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

HUGE = 1e140
"""Magnitudes from here on count as infinite; below, no sum of squares overflows float64."""

_BLOCK = 1 << 15
"""Elements taken at a time: the float64 copies of two blocks stay in the CPU's cache."""


def measure(actual: NDArray[Any], reference: NDArray[Any]) -> Metrics:
    """Compare an array with its reference; all sums and differences are in float64.

    Where the reference is finite, NaNs and infinities of `actual` are counted; the other measures
    take the elements at which both arrays are finite. Two empty arrays agree perfectly.

    Args:
        actual: real numbers or booleans, of any shape.
        reference: array of the same shape.

    Returns:
        The measures, in the units of the arrays, as `Metrics` defines them.

    Raises:
        ValueError: the shapes differ.
    """
    if actual.shape != reference.shape:
        raise ValueError(f"shape {actual.shape} against {reference.shape}")
    left, right = actual.reshape(-1), reference.reshape(-1)
    sums = _Sums()
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, left.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            sums.add(left[block].astype(np.float64), right[block].astype(np.float64))
    return sums.metrics()


@dataclass
class _Sums:
    """What `measure` accumulates from block to block."""

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
    max_error: float = 0.0
    scale: float = 0.0
    """Largest absolute reference value."""
    nan: int = 0
    inf: int = 0

    def add(self, actual: NDArray[np.float64], reference: NDArray[np.float64]) -> None:
        signal, power = float(reference @ reference), float(actual @ actual)
        # The sums of squares tell whether all is finite, without another pass over the block.
        if not signal + power < HUGE * HUGE:
            actual, reference = self._finite(actual, reference)
            signal, power = float(reference @ reference), float(actual @ actual)
        if actual.size == 0:
            return
        self.count += actual.size
        self.signal += signal
        self.power += power
        self.product += float(actual @ reference)
        self.scale = max(self.scale, float(reference.max()), -float(reference.min()))
        error = np.subtract(actual, reference, out=actual)
        self.noise += float(error @ error)
        np.abs(error, out=error)
        self.error += float(error.sum())
        self.max_error = max(self.max_error, float(error.max()))

    def _finite(
        self, actual: NDArray[np.float64], reference: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known = np.abs(reference) < HUGE
        nan = np.isnan(actual)
        usable = np.abs(actual) < HUGE
        self.nan += int(np.count_nonzero(known & nan))
        self.inf += int(np.count_nonzero(known & ~nan & ~usable))
        both = known & usable
        return actual[both], reference[both]

    def metrics(self) -> Metrics:
        return Metrics(
            max_abs=self.max_error,
            mean_abs=self.error / self.count if self.count else 0.0,
            scale_relative=self.max_error / self.scale if self.scale > 0 else self.max_error,
            cosine=self._cosine(),
            snr_db=self._snr_db(),
            nan=self.nan,
            inf=self.inf,
        )

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
