"""When a difference is a drop: the tolerance and the verdict. `docs/tolerance.md` has the why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from harness.domain.metrics import measure

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
