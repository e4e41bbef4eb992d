"""Whether two measurements of one input gave the same, and which layer differs first."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from harness.domain.instability import NUMBERS, Change, Instability

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.domain.records import LayerRecord
    from harness.domain.verdict import Tolerance
    from harness.execution.launcher import InputResult
    from harness.model.param import Layer, Param


class Kind(Enum):
    """How a measurement ended. Two of the same kind are told apart by their numbers only."""

    NUMBERS = auto()
    NOT_FINITE = auto()
    FAILED = auto()
    """ncnn said that it could not."""
    DIED = auto()
    """By whichever signal: it depends on what was hit first."""
    UNKNOWN = auto()
    """It took too long, or was ended by the machine."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What differs between two measurements of one input."""

    index: float = math.inf
    """Place of the first layer that differs, in the order of execution."""
    layer: Layer | None = None
    """That layer; None if it is not known."""
    blob: str = ""
    alone: bool = False
    endings: tuple[str, ...] = ()
    """How both ended, if they are not of one kind."""
    spread: float | None = None

    def with_earlier(self, other: Difference) -> Difference:
        """Return this, with the layer of another one if that comes first."""
        if other.index >= self.index:
            return self
        return replace(
            self, index=other.index, layer=other.layer, blob=other.blob, alone=other.alone
        )

    def instability(self, change: Change) -> Instability:
        """Return this as what a record says of it."""
        return Instability(
            change=change,
            layer=self.layer.name if self.layer else "",
            type=self.layer.type if self.layer else "",
            blob=self.blob,
            alone=self.alone,
            spread=self.spread,
            endings=self.endings,
        )


def ending(result: InputResult, param: Param) -> tuple[Kind, str]:
    """Return how a measurement ended, and the same in words."""
    chain, ended = result.chain, result.ended
    if result.mishap:
        return Kind.UNKNOWN, result.failure
    if result.opened.failure:
        return Kind.FAILED, result.opened.failure
    if chain is None:
        unknown = ended is None or ended.timed_out
        return Kind.UNKNOWN if unknown else Kind.DIED, result.failure
    if chain.failure:
        return Kind.FAILED, chain.failure
    for layer in param.layers:
        for blob in layer.outputs:
            if blob in chain.spoilt:
                where = "" if blob in chain.output_files else f" in {layer.type} {layer.name}"
                return Kind.NOT_FINITE, f"{chain.spoilt[blob]} NaN or infinite values{where}"
    return Kind.NUMBERS, NUMBERS


def difference(first: InputResult, second: InputResult, param: Param) -> Difference | None:
    """Return what differs in any bit (NaN is equal to NaN), or None if nothing is known to."""
    (kind, words), (other_kind, other_words) = ending(first, param), ending(second, param)
    if Kind.UNKNOWN in (kind, other_kind):
        return None
    endings = () if kind is other_kind else (words, other_words)
    found = next(_differing(first, second, param), Difference())
    if not endings and found.layer is None:
        return None
    return replace(
        found,
        endings=endings or found.endings,
        spread=None if endings else spread(first, second),
    )


def first_alone(first: InputResult, second: InputResult, param: Param) -> Difference | None:
    """Return the first layer that differs when it is run alone."""
    found = _differing(first, second, param)
    return next((each for each in found if each.alone), None)


def _differing(first: InputResult, second: InputResult, param: Param) -> Iterator[Difference]:
    """Yield the layers that differ, in the order of execution."""
    one = first.chain.digests if first.chain else {}
    other = second.chain.digests if second.chain else {}
    for index, layer in enumerate(param.layers):
        alone = _alone(first, second, index, layer)
        blob = _unequal(one, other, layer.outputs)
        if alone:
            yield alone
        elif blob:
            yield Difference(index=index, layer=layer, blob=blob)


def _alone(first: InputResult, second: InputResult, index: int, layer: Layer) -> Difference | None:
    """Return what differs of a layer run alone."""
    one, other = first.alone.get(layer.name), second.alone.get(layer.name)
    if one is None or other is None:
        return None
    fates = [done.died for done in (one, other)]
    if any(_is_the_machines(fate) for fate in fates):
        return None
    if bool(one.died) != bool(other.died):
        endings = tuple(fate or NUMBERS for fate in fates)
        blob = layer.outputs[0]
        return Difference(index=index, layer=layer, blob=blob, alone=True, endings=endings)
    blob = _unequal(one.digests, other.digests, layer.outputs)
    return Difference(index=index, layer=layer, blob=blob, alone=True) if blob else None


def _is_the_machines(fate: str) -> bool:
    """Return whether a process may have ended without a fault of the build."""
    return fate.startswith("no result")


def _unequal(one: Mapping[str, str], other: Mapping[str, str], blobs: Sequence[str]) -> str:
    """Return the first of some blobs that both have, with different values."""
    shared = (blob for blob in blobs if blob in one and blob in other)
    return next((blob for blob in shared if one[blob] != other[blob]), "")


def spread(first: InputResult, second: InputResult) -> float | None:
    """Return the largest difference of the outputs, in units of their largest value.

    None where nothing differs, or not all values are finite.
    """
    found = 0.0
    others = second.outputs()
    for blob, array in first.outputs().items():
        other = others.get(blob)
        if other is None or other.shape != array.shape or not array.size:
            continue
        scale = float(np.abs(array).max())
        distance = float(np.abs(array.astype(np.float64) - other).max())
        if not np.isfinite(distance):
            return None
        found = max(found, distance / scale if scale else distance)
    return found or None


def difference_beyond(
    first: InputResult, second: InputResult, param: Param, limit: float
) -> Difference | None:
    """Return what differs by more than a limit: the rest may be in another order of sums.

    Args:
        first: one measurement.
        second: another one.
        param: the ncnn graph.
        limit: what the outputs may differ by, in units of their largest value.
    """
    (kind, words), (other_kind, other_words) = ending(first, param), ending(second, param)
    if Kind.UNKNOWN in (kind, other_kind):
        return None
    if kind is not other_kind:
        return Difference(endings=(words, other_words))
    found = spread(first, second)
    return Difference(spread=found) if found is not None and found > limit else None


def with_one_thread(
    result: InputResult,
    layers: Sequence[LayerRecord],
    other: InputResult,
    other_layers: Sequence[LayerRecord],
    param: Param,
    tolerance: Tolerance,
) -> Instability | None:
    """Return what differs by more than its limit with one thread.

    Args:
        result: a measurement with several threads.
        layers: its layers, with their noise floors.
        other: one with one thread.
        other_layers: its layers.
        param: the ncnn graph.
        tolerance: the limits.
    """
    (kind, words), (other_kind, other_words) = ending(result, param), ending(other, param)
    if Kind.UNKNOWN in (kind, other_kind):
        return None
    if kind is not other_kind:
        return Difference(endings=(words, other_words)).instability(Change.THREADS)
    layer = _beyond(layers, other_layers, tolerance)
    if layer is None:
        return None
    found = Difference(
        index=layer.index,
        layer=param.layers[layer.index],
        blob=layer.blob,
        spread=spread(result, other),
    )
    return found.instability(Change.THREADS)


def _beyond(
    own: Sequence[LayerRecord], other: Sequence[LayerRecord], tolerance: Tolerance
) -> LayerRecord | None:
    """Return the first layer whose errors in the chain are further apart than its limit.

    Then its values are, too.
    """
    errors = {layer.blob: layer.chain for layer in other}
    for layer in own:
        one, two = layer.chain, errors.get(layer.blob)
        if one is None or two is None:
            continue
        times = tolerance.layer_excess(one, layer.floor), tolerance.layer_excess(two, layer.floor)
        if times[0] != times[1] and abs(times[0] - times[1]) > 1:
            return layer
    return None
