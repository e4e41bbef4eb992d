"""What is wrong: whether an error is beyond its limit, and what a cell's verdict is.

The one place that decides it, for all who ask: verdicts, causes, the choice of the layer to bisect
and diagnoses differ in which error they ask about and in what is known of its noise floor, never in
the rule. `docs/tolerance.md` has the why. (Whether a revision is good is another question, see
`harness.analysis.bisection.criterion`.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from harness.domain.formatting import number
from harness.domain.metrics import measure
from harness.domain.records import LayerRecord, Metrics, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]

PLAUSIBLE_FLOOR = 1e-3
"""Rounding in fp32 costs less; a difference above this is a mistake of one of the evaluators."""

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
    absolute: float = Field(
        default=1e-6,
        ge=0,
        description="Absolute error up to which a layer is never a drop, however small its values.",
    )

    def output_limit(self, floor: float | None) -> float:
        """Return the scale-relative error that the model's output may have.

        Args:
            floor: scale-relative error that honest fp32 arithmetic has there, if it is known.
        """
        return max(self.output, self.floors * (floor or 0.0))

    def layer_limit(self, floor: float | None, scale: float) -> float:
        """Return the scale-relative error that a layer's blob may have, in the chain or alone.

        Args:
            floor: scale-relative error that honest fp32 arithmetic has there, if it is known.
            scale: largest absolute reference value; where it is 0, errors are absolute ones.
        """
        allowance = self.absolute / scale if scale > 0 else self.absolute
        return max(self.layer, self.floors * (floor or 0.0), allowance)

    def layer_excess(self, error: Metrics, floor: float | None) -> float:
        """Return a layer's error in units of its limit: above 1 it is beyond."""
        scale = error.max_abs / error.scale_relative if error.scale_relative > 0 else 0.0
        return excess(error, self.layer_limit(floor, scale))


def own_excess(layer: LayerRecord, error: Metrics, tolerance: Tolerance) -> float:
    """Return a layer's own error in units of its limit."""
    floor = layer.floor if layer.own_floor is None else layer.own_floor
    return tolerance.layer_excess(error, floor)


def excess(error: Metrics, limit: float) -> float:
    """Return an error in units of its limit; NaN and infinities are infinitely beyond."""
    return math.inf if error.nan or error.inf else error.scale_relative / limit


def is_beyond(error: Metrics, limit: float) -> bool:
    """Return whether an error is beyond its limit."""
    return excess(error, limit) > 1


def noise_floors(
    fp32: Mapping[str, Array], float64: Mapping[str, Array], rough: Collection[str] = ()
) -> dict[str, float]:
    """Return what honest fp32 arithmetic costs at each value.

    Args:
        fp32: values of an ONNX graph by name, from ONNX Runtime.
        float64: the same evaluated in float64.
        rough: names of values at which any noise is plausible.

    Returns:
        Scale-relative error of every value of a float type that both have, but for implausible
        ones, which would excuse anything.
    """
    floors = {
        name: measure(fp32[name], float64[name]).scale_relative
        for name in fp32
        if name in float64 and float64[name].dtype.kind == "f"
    }
    return {
        name: floor for name, floor in floors.items() if floor < PLAUSIBLE_FLOOR or name in rough
    }


def worst_output(
    outputs: Mapping[str, Metrics], layers: Iterable[LayerRecord], tolerance: Tolerance
) -> tuple[str, float]:
    """Return the output that is furthest beyond its limit, and the limit.

    Args:
        outputs: errors of the model's outputs by blob; not empty.
        layers: all layers; those of the outputs know their noise floors.
        tolerance: the limits.
    """
    limits = _output_limits(outputs, layers, tolerance)
    worst = max(outputs, key=lambda blob: excess(outputs[blob], limits[blob]))
    return worst, limits[worst]


def _output_limits(
    outputs: Iterable[str], layers: Iterable[LayerRecord], tolerance: Tolerance
) -> dict[str, float]:
    floors = {layer.blob: layer.floor for layer in layers}
    return {blob: tolerance.output_limit(floors.get(blob)) for blob in outputs}


def judge(
    outputs: Mapping[str, Metrics], layers: Iterable[LayerRecord], tolerance: Tolerance
) -> tuple[Verdict, str]:
    """Decide whether a cell that ran is `ok`, a `drop` or `broken`; or `skipped`.

    It is the last where nothing is beyond its limit, but that of an output is so wide, as behind
    int8 arithmetic, that no error could be.

    Args:
        outputs: errors of the model's outputs by blob; not empty.
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

    reasons = []
    blob, allowed = worst_output(outputs, layers, tolerance)
    if is_beyond(outputs[blob], allowed):
        which = "output" if len(outputs) == 1 else f"output {blob}"
        reasons.append(f"{which}: {_words(outputs[blob], allowed)}")
    found = [
        (tolerance.layer_excess(error, layer.floor), layer, error) for layer, error in measured
    ]
    drops = [each for each in found if each[0] > 1]
    if drops and (reasons or not _is_accumulated(drops, layers, tolerance)):
        times, layer, error = max(drops, key=lambda drop: drop[0])
        worst = f", the worst of {len(drops)} layers beyond their limits" if len(drops) > 1 else ""
        reasons.append(f"{_name(layer)}: {_words(error, error.scale_relative / times)}{worst}")
    if reasons:
        return Verdict.DROP, "; ".join(reasons)
    for blob, limit in _output_limits(outputs, layers, tolerance).items():
        if limit >= ANYTHING and is_beyond(outputs[blob], tolerance.output):
            return Verdict.SKIPPED, (
                f"not judged: '{blob}' is {number(outputs[blob].scale_relative)} of its "
                f"largest value off, and other roundings may move it by {number(limit)}"
            )
    return Verdict.OK, ""


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
    found = [f"{name} has {_count(error)}" for name, error in errors if error.nan or error.inf]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return found[0] + more if found else ""


def _words(error: Metrics, limit: float) -> str:
    return f"scale-relative error {number(error.scale_relative)} above {number(limit)}"


def _count(error: Metrics) -> str:
    counts = ((error.nan, "NaN"), (error.inf, "infinite"))
    return " and ".join(f"{count} {kind}" for count, kind in counts if count) + " values"


def _name(layer: LayerRecord) -> str:
    return f"{layer.type} {layer.name}"
