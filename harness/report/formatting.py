"""How numbers and verdicts look wherever the report shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from harness.domain.records import CellRecord, LayerRecord, Verdict

SYMBOLS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.OK: "✓",
        Verdict.DROP: "▼",
        Verdict.BROKEN: "✕",
        Verdict.BUILD_FAILED: "!",
        Verdict.UNSUPPORTED: "–",
        Verdict.SKIPPED: "○",
    }
)
"""A sign beside every colour: nobody has to tell colours apart."""

MEANINGS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.OK: "within tolerance",
        Verdict.DROP: "precision below tolerance",
        Verdict.BROKEN: "NaN or infinite values, crash, hang or wrong shape",
        Verdict.BUILD_FAILED: "did not compile",
        Verdict.UNSUPPORTED: "this version or this CPU cannot do it",
        Verdict.SKIPPED: "not run",
    }
)

_WORST_FIRST = (
    Verdict.BUILD_FAILED,
    Verdict.BROKEN,
    Verdict.DROP,
    Verdict.SKIPPED,
    Verdict.UNSUPPORTED,
    Verdict.OK,
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that stands for several cells: the least favourable one."""
    return min(verdicts, key=_WORST_FIRST.index)


def number(value: float | None) -> str:
    """Return an error with two digits: `2.2e-3`, `0.14`, `12`; `–` where it was not measured."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if 0.1 <= value < 100:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def short(value: float) -> str:
    """Return a limit as a person would write it: `2e-5`, `0.001`."""
    return re.sub(r"e-0(\d)", r"e-\1", f"{value:g}")


def milliseconds(value: float | None) -> str:
    """Return a latency such as `12.3 ms`."""
    return f"{value:.1f} ms" if value is not None else "–"


def output_error(record: CellRecord) -> float | None:
    """Return the scale-relative error of the model's output."""
    return record.output.scale_relative if record.output else None


def worst_layer(record: CellRecord) -> LayerRecord | None:
    """Return the layer with the largest chain scale-relative error."""
    measured = [layer for layer in record.layers if layer.chain]
    return max(measured, key=lambda layer: chain_error(layer) or 0.0, default=None)


def chain_error(layer: LayerRecord) -> float | None:
    """Return a layer's chain scale-relative error."""
    return layer.chain.scale_relative if layer.chain else None


def largest(values: Iterable[float | None]) -> float | None:
    """Return the largest of the numbers there are; None where there is none."""
    return max((v for v in values if v is not None), default=None)
