"""Whether a cell that ran is ok, a drop or broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.domain.formatting import number
from harness.domain.records import LayerRecord, Metrics, Verdict
from harness.domain.tolerance import NO_FLOORS, Tolerance, is_beyond

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[Any]


def judge(
    output: Metrics,
    layers: Iterable[LayerRecord],
    tolerance: Tolerance,
    *,
    output_value: str = "",
    floors: Mapping[str, float] = NO_FLOORS,
) -> tuple[Verdict, str]:
    """Decide whether a cell that ran is `ok`, a `drop` or `broken`.

    Args:
        output: error of the model's output.
        layers: all layers; those without a chain error do not count.
        tolerance: the limits.
        output_value: name of the ONNX value that the output was compared with.
        floors: scale-relative noise floors by ONNX value, see `noise_floors`.

    Returns:
        The verdict, and its reason with the numbers (empty for `ok`).
    """
    measured = [(layer, layer.chain) for layer in layers if layer.chain]
    broken = _broken(output, measured)
    if broken:
        return Verdict.BROKEN, broken

    reasons = []
    allowed = tolerance.output_limit(floors.get(output_value))
    if is_beyond(output, allowed):
        reasons.append(f"output: {_words(output, allowed)}")
    found = [
        (tolerance.layer_excess(error, floors.get(layer.value)), layer, error)
        for layer, error in measured
    ]
    drops = [each for each in found if each[0] > 1]
    if drops:
        times, layer, error = max(drops, key=lambda drop: drop[0])
        worst = f", the worst of {len(drops)} layers beyond their limits" if len(drops) > 1 else ""
        reasons.append(f"{_name(layer)}: {_words(error, error.scale_relative / times)}{worst}")
    return (Verdict.DROP if reasons else Verdict.OK), "; ".join(reasons)


def _broken(output: Metrics, measured: Iterable[tuple[LayerRecord, Metrics]]) -> str:
    errors = [("the output", output), *((_name(layer), error) for layer, error in measured)]
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
