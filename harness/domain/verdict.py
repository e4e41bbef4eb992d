"""What is wrong: whether an error is beyond its limit, and what a cell's verdict is.

The one place that decides it, for all who ask: verdicts, causes, the choice of the layer to bisect
and diagnoses differ in which error they ask about and in what is known of its noise floor, never in
the rule. `docs/tolerance.md` has the why. (Whether a revision is good is another question, see
`harness.analysis.bisection.criterion`.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from harness.domain.formatting import number
from harness.domain.records import LayerRecord, Metrics, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FAINTEST = 2.0**-126
"""The smallest normal number of float32: what is below may be lost, however exact arithmetic is."""

ANYTHING = 1.0
"""A limit from which on any numbers would do: an error as large as the largest value."""

ACCUMULATED = 3.0
"""How far beyond a layer's limit the rounding of layers that are right may have added up, in units
of the limit."""


class Tolerance(BaseModel):
    """`[tolerance]`: limits above which a difference is a drop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: float = Field(
        default=4e-5, gt=0, description="Scale-relative error of a layer, in the chain as it runs."
    )
    output: float = Field(default=2e-5, gt=0, description="Scale-relative error of the output.")
    floors: float = Field(
        default=4,
        ge=1,
        description="Where the noise floor times this is above a limit, it takes its place.",
    )

    def output_limit(self, floor: float | None, *, blank: bool = False) -> float:
        """Return the scale-relative error that the model's output may have.

        Args:
            floor: scale-relative error that honest fp32 arithmetic has there, if it is known.
            blank: whether the reference is zero everywhere: floor and limit are absolute then.
        """
        return self._limit(self.output, floor, blank=blank)

    def layer_limit(self, floor: float | None, *, blank: bool = False) -> float:
        """Return the same of a layer's blob, in the chain or alone."""
        return self._limit(self.layer, floor, blank=blank)

    def _limit(self, least: float, floor: float | None, *, blank: bool) -> float:
        # Beside zeros nothing but noise is a scale: a number would depend on the values' unit.
        noise = max(floor or 0.0, FAINTEST) if blank else floor or 0.0
        return self.floors * noise if blank else max(least, self.floors * noise)

    def output_excess(self, error: Metrics, floor: float | None) -> float:
        """Return an output's error in units of its limit: above 1 it is beyond."""
        return excess(error, self.output_limit(floor, blank=error.blank))

    def layer_excess(self, error: Metrics, floor: float | None) -> float:
        """Return a layer's error in units of its limit: above 1 it is beyond."""
        return excess(error, self.layer_limit(floor, blank=error.blank))

    def channel_excess(self, error: Metrics) -> float:
        """Return the error of a layer's worst channel in units of what a channel may have."""
        return error.channel_relative / self.layer_limit(error.channel_floor)


def own_excess(layer: LayerRecord, error: Metrics, tolerance: Tolerance) -> float:
    """Return a layer's own error in units of its limit.

    That of a single channel counts if the channel is as bad in the chain.
    """
    one = min(tolerance.channel_excess(each) for each in (error, layer.chain or error))
    return max(tolerance.layer_excess(error, layer.floor_alone), one)


def excess(error: Metrics, limit: float) -> float:
    """Return an error in units of its limit; wrong NaNs and infinities are infinitely beyond."""
    return math.inf if error.is_broken else error.scale_relative / limit


def is_beyond(error: Metrics, limit: float) -> bool:
    """Return whether an error is beyond its limit."""
    return excess(error, limit) > 1


def worst_output(
    outputs: Mapping[str, Metrics], layers: Iterable[LayerRecord], tolerance: Tolerance
) -> tuple[str, float]:
    """Return the output that is furthest beyond its limit, and the limit.

    Args:
        outputs: errors of the model's outputs by blob; not empty.
        layers: all layers; those of the outputs know their noise floors.
        tolerance: the limits.
    """
    floors = _floors(layers)
    worst = max(outputs, key=lambda b: tolerance.output_excess(outputs[b], floors.get(b)))
    return worst, tolerance.output_limit(floors.get(worst), blank=outputs[worst].blank)


def _floors(layers: Iterable[LayerRecord]) -> dict[str, float | None]:
    return {layer.blob: layer.floor for layer in layers}


def judge(
    outputs: Mapping[str, Metrics], layers: Iterable[LayerRecord], tolerance: Tolerance
) -> tuple[Verdict, str]:
    """Decide whether a cell that ran is `ok`, a `drop` or `broken`; or `skipped`.

    It is the last where nothing is beyond its limit, but nothing of an output was compared, or its
    limit is so wide, as behind int8 arithmetic, that no error could be.

    Args:
        outputs: errors of the model's outputs by blob.
        layers: all layers; those without a chain error do not count.
        tolerance: the limits.

    Returns:
        The verdict, and its reason with the numbers (empty for `ok`).
    """
    layers = list(layers)
    measured = [(layer, layer.chain) for layer in layers if layer.chain]
    broken = _broken(outputs, measured)
    if broken:
        return Verdict.BROKEN, broken
    if not outputs:
        return Verdict.SKIPPED, "not judged: no output was compared"

    floors = _floors(layers)
    reasons = []
    blob, allowed = worst_output(outputs, layers, tolerance)
    if is_beyond(outputs[blob], allowed):
        which = "output" if len(outputs) == 1 else f"output {blob}"
        reasons.append(f"{which}: {_words(outputs[blob], allowed)}")
    drops = [
        (times, layer, error)
        for layer, error in measured
        if (times := tolerance.layer_excess(error, layer.floor)) > 1
    ]
    if drops and (reasons or not _is_accumulated(drops, layers, tolerance)):
        reasons.append(_worst_drop(drops, tolerance))
    elif narrow := _worst_channel(layers, tolerance):
        reasons.append(narrow)
    if reasons:
        return Verdict.DROP, "; ".join(reasons)
    for blob, error in outputs.items():
        if error.is_void:
            return Verdict.SKIPPED, f"not judged: nothing of '{blob}' could be compared"
        limit = tolerance.output_limit(floors.get(blob))
        if limit >= ANYTHING and not error.blank and is_beyond(error, tolerance.output):
            return Verdict.SKIPPED, (
                f"not judged: '{blob}' is {number(error.scale_relative)} of its "
                f"largest value off, and other roundings may move it by {number(limit)}"
            )
    return Verdict.OK, ""


def _worst_channel(layers: Iterable[LayerRecord], tolerance: Tolerance) -> str:
    """Return what is said of the layer with the worst channel; nothing if none is beyond.

    A channel has to be beyond its limit both alone, which shows that the layer itself does it, and
    in the chain, which shows that it happens when the model runs.
    """
    found = [
        (min(map(tolerance.channel_excess, (layer.alone, layer.chain))), layer)
        for layer in layers
        if layer.alone and layer.chain
    ]
    times, layer = max(found, key=lambda pair: pair[0], default=(0.0, None))
    if layer is None or layer.alone is None or times <= 1:
        return ""
    error = layer.alone
    limit = tolerance.layer_limit(error.channel_floor)
    return (
        f"{_name(layer)}: channel {error.channel} alone is {number(error.channel_relative)} of "
        f"its scale off, above {number(limit)}"
    )


def _worst_drop(drops: Sequence[tuple[float, LayerRecord, Metrics]], tolerance: Tolerance) -> str:
    """Return the layer to name, of those beyond their limits in the chain.

    That is one that is at fault by itself, if any is: the others may only pass on what they get.
    """
    own = [
        (own_excess(layer, layer.alone, tolerance), layer, error)
        for _, layer, error in drops
        if layer.alone
    ]
    guilty = [each for each in own if each[0] > 1]
    _, layer, error = max(guilty or drops, key=lambda drop: drop[0])
    limit = tolerance.layer_limit(layer.floor, blank=error.blank)
    others = f" of {len(drops)} layers beyond their limits" if len(drops) > 1 else ""
    place = ""
    if guilty:
        place = ", at fault by itself" + (f", one{others}" if others else "")
    elif others:
        place = f", the worst{others}"
    return f"{_name(layer)}: {_words(error, limit)}{place}"


def _is_accumulated(
    drops: Sequence[tuple[float, LayerRecord, Metrics]],
    layers: Iterable[LayerRecord],
    tolerance: Tolerance,
) -> bool:
    """Return whether what is beyond its limit in the chain is rounding that added up on the way.

    It is if every layer of the cell is within its limit by itself, and what the chain has is not
    far beyond. (The output is within its limit: it was asked about before.)
    """
    own = [(layer, layer.alone) for layer in layers if layer.alone]
    if any(own_excess(layer, error, tolerance) > 1 for layer, error in own):
        return False
    return all(times <= ACCUMULATED and layer.alone for times, layer, _ in drops)


def _broken(outputs: Mapping[str, Metrics], measured: Iterable[tuple[LayerRecord, Metrics]]) -> str:
    one = len(outputs) == 1
    errors = [("the output" if one else f"output {b}", error) for b, error in outputs.items()]
    errors += [(_name(layer), error) for layer, error in measured]
    found = [f"{name} has {_count(error)}" for name, error in errors if error.is_broken]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return found[0] + more if found else ""


def _words(error: Metrics, limit: float) -> str:
    if error.blank:
        return f"up to {number(error.max_abs)} where all should be 0, above {number(limit)}"
    kind = "wrong values, scale-relative" if error.is_wrong else "scale-relative"
    return f"{kind} error {number(error.scale_relative)} above {number(limit)}"


def _count(error: Metrics) -> str:
    counts = (
        (error.nan, "NaN"),
        (error.inf, "infinite"),
        (error.finite, "finite instead of infinite"),
    )
    return " and ".join(f"{count} {kind}" for count, kind in counts if count) + " values"


def _name(layer: LayerRecord) -> str:
    return f"{layer.type} {layer.name}"
