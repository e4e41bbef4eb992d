"""Which ONNX value a blob holds, decided by the numbers; names choose among equals.

A blob holds a value if both have the same numbers for every input that was tried, in some order of
the axes. Of several values that are equal (an Identity, a reshape), the one is taken that has the
blob's name, and else the one that follows from what the layer's own inputs hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.model.arrangement import Arrangement, arrangements, ordered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.blob_layout import Shape

    Array = NDArray[Any]

NEAR_DB = 40.0
"""Signal-to-noise ratio from which on a blob is taken for a value though it is not equal to it:
1 % of noise, which weights in half precision stay far below."""
ALIKE = 4.0
"""Values that a blob is as far from, up to this factor, are told apart by structure and name."""
ULPS = 2.0**-21
"""Scale-relative errors up to which all values are the same: a few of the last bits of float32."""
CLEARLY = 4.0
"""How much less wrong another order of the axes must be than the plain one."""
FAINT = 1e-3
"""Part of the largest number up to which one is as good as zero, or as the largest."""
INF = float("inf")


class Agreement(StrEnum):
    """How the numbers of a blob stand to those of the ONNX graph."""

    EQUAL = "equal"
    """They are those of a value, within what fp32 arithmetic costs."""
    NEAR = "near"
    """They are like those of a value, but further off than arithmetic explains."""
    UNLIKE = "unlike"
    """No value has such numbers."""
    UNKNOWN = "unknown"
    """There are no numbers."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """What was found for one blob."""

    agreement: Agreement
    value: str = ""
    way: Arrangement | None = None
    errors: tuple[float, ...] = (INF,)
    """Scale-relative error for each input."""
    equals: int = 0
    """How many other values have the same numbers."""
    tells: bool = False
    """Whether so much is equal that it shows what was computed to be right: not what is saturated,
    constant, or a number or two."""

    @property
    def error(self) -> float:
        """Largest scale-relative error over all inputs."""
        return max(self.errors)


UNLIKE = Match(agreement=Agreement.UNLIKE)
UNKNOWN = Match(agreement=Agreement.UNKNOWN)


@dataclass(frozen=True)
class Ancestry:
    """What follows from what in an ONNX graph."""

    sources: Mapping[str, frozenset[str]]
    """Value → all values that it follows from, itself included."""

    @classmethod
    def of(cls, nodes: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Ancestry:
        """Return the graph of nodes given as inputs and outputs, in topological order."""
        sources: dict[str, frozenset[str]] = {}
        for inputs, outputs in nodes:
            above = frozenset[str]().union(*(sources.get(n, frozenset({n})) for n in inputs))
            sources |= {name: above | {name} for name in outputs}
        return cls(sources)

    def follows(self, value: str, others: Iterable[str]) -> bool:
        """Whether a value follows from all others."""
        above = self.sources.get(value, frozenset({value}))
        return all(other in above for other in others)


class Matcher:
    """Finds values by their numbers."""

    def __init__(
        self, inputs: Sequence[Mapping[str, Array]], graph: Ancestry, *, limit: float, floors: float
    ) -> None:
        """Prepare for blobs of the same inputs.

        Args:
            inputs: ONNX values by name, for each input that was tried.
            graph: the ONNX graph.
            limit: scale-relative error up to which numbers are the same.
            floors: how many times a blob's noise floor takes its place, where that is larger.
        """
        self._inputs = inputs
        self._graph = graph
        self._limit = limit
        self._floors = floors
        usable = [name for name, array in inputs[0].items() if _usable(array)]
        self._order = {name: at for at, name in enumerate(usable)}
        self._marks = {name: _Mark.of(inputs[0][name]) for name in usable}

    def match(
        self,
        blobs: Sequence[Array],
        *,
        floor: float = 0.0,
        above: Collection[str] = (),
        names: Collection[str] = (),
    ) -> Match:
        """Return the value that a blob holds, or the one that it is like.

        Args:
            blobs: its numbers for each input.
            floor: scale-relative error that fp32 arithmetic has there.
            above: the values that the layer's own inputs hold.
            names: values that it may hold by its name.
        """
        if not np.isfinite(blobs[0]).any():
            return UNLIKE
        limit = max(self._limit, self._floors * floor)
        mark = _Mark.of(blobs[0])
        found = [
            candidate
            for name, other in self._marks.items()
            if mark.is_like(other)
            and (candidate := self._best(name, blobs, limit)).agreement is not Agreement.UNLIKE
        ]
        equal = [each for each in found if each.agreement is Agreement.EQUAL]
        if equal:
            # Two values may be so near to each other that a blob is within the limit of both.
            least = [min(errors) for errors in zip(*(e.errors for e in equal), strict=True)]
            alike = [
                each
                for each in equal
                if all(e <= max(ALIKE * n, ULPS) for e, n in zip(each.errors, least, strict=True))
            ] or [min(equal, key=lambda each: each.error)]
            shape = blobs[0].shape
            best = min(alike, key=lambda each: self._preference(each, shape, above, names))
            return replace(best, equals=len(alike) - 1, tells=self.tells(best.value))
        return min(found, key=lambda each: each.error, default=UNLIKE)

    def error_at(self, value: str, blobs: Sequence[Array]) -> tuple[float, Arrangement | None]:
        """Return how far a blob is from one value, and in which order of the axes.

        Numbers that are wrong may be a little less so in another order: only what is clearly
        better than the plain one counts.
        """
        errors = [
            (max(self._errors(value, way, blobs)), way)
            for way in arrangements(self._inputs[0][value].shape, blobs[0].shape)
        ]
        best = min(errors, key=lambda pair: pair[0], default=(INF, None))
        plain = next((pair for pair in errors if pair[1].is_plain), best)
        return best if best[0] < plain[0] / CLEARLY else plain

    def tells(self, name: str) -> bool:
        """Return whether a value has enough numbers between nothing and its largest."""
        value = np.abs(self._inputs[0][name].astype(np.float64))
        value = value[np.isfinite(value)]
        scale = value.max(initial=0)
        between = np.count_nonzero((value > scale * FAINT) & (value < scale * (1 - FAINT)))
        return bool(between >= max(3, value.size / 50))

    def _best(self, name: str, blobs: Sequence[Array], limit: float) -> Match:
        """Return how a blob agrees with one value; the plain order of the axes is tried first."""
        best = UNLIKE
        value = self._inputs[0][name]
        for way in arrangements(value.shape, blobs[0].shape):
            errors = self._errors(name, way, blobs)
            if max(errors) <= limit:
                return Match(agreement=Agreement.EQUAL, value=name, way=way, errors=errors)
            if max(errors) < best.error and self._ratio(name, way, blobs) >= NEAR_DB:
                best = Match(agreement=Agreement.NEAR, value=name, way=way, errors=errors)
        return best

    def _errors(self, name: str, way: Arrangement, blobs: Sequence[Array]) -> tuple[float, ...]:
        return tuple(_error(blob, value) for blob, value in self._pairs(name, way, blobs))

    def _ratio(self, name: str, way: Arrangement, blobs: Sequence[Array]) -> float:
        return min(_decibels(blob, value) for blob, value in self._pairs(name, way, blobs))

    def _pairs(
        self, name: str, way: Arrangement, blobs: Sequence[Array]
    ) -> Iterator[tuple[Array, Array]]:
        """Yield each input's blob with the value in its layout, as far as both are there."""
        for blob, values in zip(blobs, self._inputs, strict=False):
            value = values[name]
            if way.value == value.shape and way.blob == blob.shape:
                yield blob, way.to_blob(value)
                continue
            other = ordered(value.shape, blob.shape, way.axes, turns_blob=way.turns_blob)
            yield blob, np.full(blob.shape, np.nan) if other is None else other.to_blob(value)

    def _preference(
        self, match: Match, shape: Shape, above: Collection[str], names: Collection[str]
    ) -> tuple[bool, bool, bool, bool, int]:
        assert match.way is not None
        extents = [extent for extent in match.way.value if extent != 1]
        return (
            match.value not in names,
            not self._graph.follows(match.value, above),
            not match.way.is_plain,
            extents != [extent for extent in shape if extent != 1],
            self._order[match.value],
        )


def _usable(array: Array) -> bool:
    return array.size > 0 and array.dtype.kind in "fiub"


def _error(blob: Array, value: Array) -> float:
    """Return the scale-relative error, infinite where the numbers cannot be compared."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(blob - value.astype(np.float64))
        # Equal infinities, and NaN in the place of NaN, differ by nothing.
        difference[(blob == value) | (np.isnan(blob) & np.isnan(value))] = 0
        worst = float(difference.max(initial=0))
        scale = float(np.abs(value[np.isfinite(value)].astype(np.float64)).max(initial=0))
    if math.isnan(worst):
        return INF
    return worst / scale if scale > 0 else worst


def _decibels(blob: Array, value: Array) -> float:
    """Return the signal-to-noise ratio of a blob against a value in decibels."""
    reference = value.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        signal = float(np.square(reference).sum())
        noise = float(np.square(blob - reference).sum())
    if not math.isfinite(noise) or signal == 0:
        return -INF
    return INF if noise == 0 else 10 * math.log10(signal / noise)


@dataclass(frozen=True)
class _Mark:
    """Numbers of an array that no order of its elements changes, to find candidates quickly."""

    size: int
    numbers: tuple[float, float, float, float]
    """Mean, root mean square, smallest and largest."""

    TOLERANCE = 1e-2

    @classmethod
    def of(cls, array: Array) -> _Mark:
        wide = array.astype(np.float64).ravel()
        wide = wide[np.isfinite(wide)]
        if not wide.size:
            return cls(array.size, (0.0, 0.0, 0.0, 0.0))
        with np.errstate(invalid="ignore", over="ignore"):
            rms = math.sqrt(float(wide @ wide) / wide.size)
            return cls(array.size, (float(wide.mean()), rms, float(wide.min()), float(wide.max())))

    def is_like(self, other: _Mark) -> bool:
        near = self.TOLERANCE * max(map(abs, self.numbers[1:]))
        return self.size == other.size and all(
            abs(a - b) <= near or a == b for a, b in zip(self.numbers, other.numbers, strict=True)
        )
