"""When a difference is a drop: the tolerance and the verdict. `docs/tolerance.md` has the why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from harness.domain.metrics import measure
from harness.domain.records import LayerRecord, Metrics, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

PLAUSIBLE_FLOOR = 1e-3
"""Rounding in fp32 costs less; a difference above this is a mistake of one of the evaluators."""

NO_FLOORS: Mapping[str, float] = MappingProxyType({})


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


def noise_floors(fp32: Mapping[str, Array], float64: Mapping[str, Array]) -> dict[str, float]:
    """Return what honest fp32 arithmetic costs at each value.

    Args:
        fp32: values of an ONNX graph by name, from ONNX Runtime.
        float64: the same evaluated in float64.

    Returns:
        Scale-relative error of every value of a float type that both have, but for implausible
        ones, which would excuse anything.
    """
    floors = {
        name: measure(fp32[name], float64[name]).scale_relative
        for name in fp32
        if name in float64 and float64[name].dtype.kind == "f"
    }
    return {name: floor for name, floor in floors.items() if floor < PLAUSIBLE_FLOOR}


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
        layers: all layers; those without a cumulative error do not count.
        tolerance: the limits.
        output_value: name of the ONNX value that the output was compared with.
        floors: scale-relative noise floors by ONNX value, see `noise_floors`.

    Returns:
        The verdict, and its reason with the numbers (empty for `ok`).
    """
    measured = [(layer, layer.cumulative) for layer in layers if layer.cumulative]
    broken = _broken(output, measured)
    if broken:
        return Verdict.BROKEN, broken

    def limit(base: float, value: str) -> float:
        return max(base, tolerance.floors * floors.get(value, 0.0))

    reasons = []
    allowed = limit(tolerance.output, output_value)
    if output.scale_relative > allowed:
        reasons.append(f"output: {_excess(output, allowed)}")
    drops = [
        (layer, error, limit(tolerance.layer, layer.value))
        for layer, error in measured
        if error.scale_relative > limit(tolerance.layer, layer.value)
        and error.max_abs > tolerance.absolute
    ]
    if drops:
        layer, error, allowed = max(drops, key=lambda drop: drop[1].scale_relative / drop[2])
        worst = f", the worst of {len(drops)} layers beyond their limits" if len(drops) > 1 else ""
        reasons.append(f"{_name(layer)}: {_excess(error, allowed)}{worst}")
    return (Verdict.DROP if reasons else Verdict.OK), "; ".join(reasons)


def _broken(output: Metrics, measured: Iterable[tuple[LayerRecord, Metrics]]) -> str:
    errors = [("the output", output), *((_name(layer), error) for layer, error in measured)]
    found = [f"{name} has {_count(error)}" for name, error in errors if error.nan or error.inf]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return found[0] + more if found else ""


def _excess(error: Metrics, limit: float) -> str:
    return f"scale-relative error {error.scale_relative:.1e} above {limit:.1e}"


def _count(error: Metrics) -> str:
    counts = ((error.nan, "NaN"), (error.inf, "infinite"))
    return " and ".join(f"{count} {kind}" for count, kind in counts if count) + " values"


def _name(layer: LayerRecord) -> str:
    return f"{layer.type} {layer.name}"
