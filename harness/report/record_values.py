"""What the report reads off a record, and the signs of its verdicts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.domain.records import CellRecord, LayerRecord, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYMBOLS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.OK: "✓",
        Verdict.DROP: "▼",
        Verdict.MODEL_DIFFERS: "≠",
        Verdict.BROKEN: "✕",
        Verdict.UNSTABLE: "≈",
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
        Verdict.MODEL_DIFFERS: "computes what its files say, which is not the ONNX model",
        Verdict.BROKEN: "NaN or infinite values, crash, hang or wrong shape",
        Verdict.UNSTABLE: "measured again, gives another result",
        Verdict.BUILD_FAILED: "did not compile",
        Verdict.UNSUPPORTED: "this version or this CPU cannot do it",
        Verdict.SKIPPED: "not run",
    }
)

_WORST_FIRST = (
    Verdict.BUILD_FAILED,
    Verdict.BROKEN,
    Verdict.UNSTABLE,
    Verdict.DROP,
    Verdict.MODEL_DIFFERS,
    Verdict.SKIPPED,
    Verdict.UNSUPPORTED,
    Verdict.OK,
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that stands for several cells: the least favourable one."""
    return min(verdicts, key=_WORST_FIRST.index)


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


def own_error(layer: LayerRecord) -> float | None:
    """Return a layer's own scale-relative error; None where it was not measured."""
    return layer.alone.scale_relative if layer.alone else None


def largest(values: Iterable[float | None]) -> float | None:
    """Return the largest of the numbers there are; None where there is none."""
    return max((v for v in values if v is not None), default=None)
