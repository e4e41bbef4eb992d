"""Which ncnn blob holds which ONNX value, where names do not tell: by value and by structure.

A blob and a value belong together if they hold the same numbers up to the error of an honest fp32
run, in some order of the axes, and if they do so again for another input. Of several values that
are equal (an Identity, a reshape), the one that follows from the layer's own inputs is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.compare.alignment import Alignment, align
from harness.compare.arrangement import Arrangement, arrangements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.blob_layout import Shape
    from harness.model.param import Layer, Param

    Array = NDArray[Any]

SURE_DB = 40.0
"""Signal-to-noise ratio from which on two arrays count as the same: 1 % of noise."""
EQUAL_DB = 12.0
"""Candidates whose ratios differ by less are told apart by structure, not by value."""
CLEARLY_DB = 20.0
"""How much better another order of the axes must fit a blob that is known by its name."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One input: the blobs that ncnn computed for it and the values of the ONNX graph."""

    blobs: Mapping[str, Array]
    values: Mapping[str, Array]


@dataclass(frozen=True)
class _Candidate:
    value: str
    arrangement: Arrangement
    db: float


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


def match(
    param: Param,
    names: Mapping[str, str],
    samples: Sequence[Sample],
    graph: Ancestry,
) -> tuple[Alignment, ...]:
    """Find the ONNX value of every blob.

    Args:
        param: the ncnn graph.
        names: ncnn blob → ONNX value, as far as it is known.
        samples: the first finds the candidates, the others confirm them. Blobs should come from
            the most exact run there is.
        graph: the ONNX graph.

    Returns:
        One entry per output blob, in the order of the `.param` file.
    """
    first = samples[0]
    shapes = {name: first.values[name].shape for name in first.values}
    marks = _Marks(first.values)
    found: dict[str, Alignment] = {}
    result = []
    for known in align(param, shapes, names):
        layer = param.layers[known.layer_index]
        match = known
        if known.blob in first.blobs:
            match = _matched(match, layer, found, samples, marks, graph)
        elif known.blob:
            match = _unknown(match, "ncnn did not compute it")
        found[known.blob] = match
        result.append(match)
    return tuple(result)


def _matched(
    match: Alignment,
    layer: Layer,
    found: Mapping[str, Alignment],
    samples: Sequence[Sample],
    marks: _Marks,
    graph: Ancestry,
) -> Alignment:
    first = samples[0]
    blob = first.blobs[match.blob]
    if match.value:
        # The name is known; the values only say how the axes stand.
        shape = first.values[match.value].shape
        best = _best(blob, first.values[match.value], match.value)
        if best is None:
            return _unknown(match, f"shape {blob.shape} against {shape} of {match.value}")
        usual = next(arrangements(shape, blob.shape))
        turned = best.db > _db(blob, usual.to_blob(first.values[match.value])) + CLEARLY_DB
        return _with(match, best.arrangement if turned else usual, match.how, match.value, "")
    candidates = [
        best
        for name in marks.like(blob)
        if (best := _best(blob, first.values[name], name)) and best.db >= SURE_DB
    ]
    if not candidates:
        return _unknown(match, "no ONNX value has these numbers: part of a fused or rewritten step")
    above = [found[name].value for name in layer.inputs if name in found and found[name].value]
    top = max(candidate.db for candidate in candidates)
    equal = [c for c in candidates if c.db > top - EQUAL_DB]
    chosen = min(equal, key=lambda c: _preference(c, blob.shape, above, graph, marks.order))
    others = [c.db for c in candidates if c not in equal]
    return _confirmed(match, chosen, samples[1:], len(equal) - 1, max(others, default=None))


def _confirmed(
    match: Alignment,
    chosen: _Candidate,
    samples: Sequence[Sample],
    equals: int,
    runner_up: float | None,
) -> Alignment:
    """Check a candidate on the other inputs."""
    words = [f"{chosen.db:.0f} dB"]
    for sample in samples:
        if match.blob not in sample.blobs:
            continue
        value = sample.values[chosen.value]
        again = _db(sample.blobs[match.blob], chosen.arrangement.to_blob(value))
        if again < SURE_DB:
            return _unknown(
                match, f"like {chosen.value} for one input, but {again:.0f} dB for another"
            )
        words.append(f"{again:.0f} dB for a second input")
    if equals:
        words.append(f"equal values: {equals} more")
    words.append(f"next {runner_up:.0f} dB" if runner_up else "nothing else near")
    return _with(match, chosen.arrangement, "value", chosen.value, ", ".join(words))


def _with(match: Alignment, arrangement: Arrangement, how: str, value: str, sure: str) -> Alignment:
    sure = ", ".join(filter(None, (sure, arrangement.words)))
    return Alignment(
        layer_index=match.layer_index,
        blob=match.blob,
        value=value,
        how=how,
        sure=sure,
        order=() if arrangement.is_plain else arrangement.axes,
        turns_blob=not arrangement.is_plain and arrangement.turns_blob,
    )


def _unknown(match: Alignment, note: str) -> Alignment:
    return Alignment(layer_index=match.layer_index, blob=match.blob, how="none", note=note)


def _preference(
    candidate: _Candidate,
    shape: Shape,
    above: Sequence[str],
    graph: Ancestry,
    order: Mapping[str, int],
) -> tuple[bool, bool, bool, int]:
    extents = [extent for extent in candidate.arrangement.value if extent != 1]
    return (
        not graph.follows(candidate.value, above),
        not candidate.arrangement.is_plain,
        extents != [extent for extent in shape if extent != 1],
        order[candidate.value],
    )


def _best(blob: Array, value: Array, name: str) -> _Candidate | None:
    """Return the best way to see a value in a blob."""
    ways = [
        _Candidate(name, way, _db(blob, way.to_blob(value)))
        for way in arrangements(value.shape, blob.shape)
    ]
    return max(ways, key=lambda way: way.db, default=None)


def _db(blob: Array, value: Array) -> float:
    """Return the signal-to-noise ratio of a blob against a value in decibels."""
    reference = value.astype(np.float64)
    signal = float(np.square(reference).sum())
    noise = float(np.square(blob - reference).sum())
    if not math.isfinite(noise):
        return -math.inf
    if noise == 0:
        return 200.0
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


class _Marks:
    """Numbers of all values that no order of the elements changes, to find candidates quickly."""

    TOLERANCE = 1e-2

    def __init__(self, values: Mapping[str, Array]) -> None:
        usable = [
            name for name in values if values[name].dtype.kind == "f" and values[name].size > 1
        ]
        self.order = {name: at for at, name in enumerate(usable)}
        self._marks = {name: _mark(values[name]) for name in usable}

    def like(self, blob: Array) -> list[str]:
        """Return the values that a blob may hold."""
        size, mean, rms, low, high = _mark(blob)
        near = self.TOLERANCE * max(rms, abs(low), abs(high))
        return [
            name
            for name, mark in self._marks.items()
            if mark[0] == size
            and all(
                abs(a - b) <= near for a, b in zip(mark[1:], (mean, rms, low, high), strict=True)
            )
        ]


def _mark(array: Array) -> tuple[int, float, float, float, float]:
    wide = array.astype(np.float64)
    rms = math.sqrt(float(np.square(wide).mean()))
    return array.size, float(wide.mean()), rms, float(wide.min()), float(wide.max())
