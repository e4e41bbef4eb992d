"""The rows that pictures are drawn from, in a form that JSON and the page can take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.domain.versions import date_of
from harness.report.record_values import chain_error, largest, output_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.domain.records import CellRecord, LayerRecord, Metrics


def layer_names(records: Iterable[CellRecord]) -> list[tuple[str, str]]:
    """Return name and type of every layer output in the order of the network."""
    places: dict[tuple[str, str], int] = {}
    for record in records:
        for layer in record.layers:
            places.setdefault(_key(layer), layer.index)
    return sorted(places, key=places.__getitem__)


def _key(layer: LayerRecord) -> tuple[str, str]:
    """Tell apart several outputs of one layer."""
    name = layer.name if layer.blob in ("", layer.name) else f"{layer.name} → {layer.blob}"
    return name, layer.type


def affordable(
    records: Iterable[CellRecord], layers: int, numbers: int
) -> tuple[list[CellRecord], tuple[str, ...]]:
    """Return the records to draw, findings first where not all can be, and the others' ids."""
    measured = [record for record in records if any(layer.chain for layer in record.layers)]
    room = numbers // max(1, 2 * layers)
    kept = {r.cell for r in sorted(measured, key=lambda r: not r.verdict.is_finding)[:room]}
    return (
        [record for record in measured if record.cell in kept],
        tuple(record.cell for record in measured if record.cell not in kept),
    )


def cell_row(record: CellRecord, best: set[str]) -> dict[str, Any]:
    """Return one cell; `best` has the ids of the recommended ones."""
    return {
        **_place(record),
        "date": date_of(record.version) or None,
        "verdict": str(record.verdict),
        "out": _digits(output_error(record)),
        "worst": _digits(largest(map(chain_error, record.layers))),
        "ms": record.latency_ms,
        "ms_to": record.slowest_ms or record.latency_ms,
        "best": record.cell in best,
    }


def curve_row(record: CellRecord, names: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the errors of one cell along the network, in the order of `names`.

    `chain` and `alone` are the scale-relative errors of the chain and of each layer by itself, null
    where not measured; `bad` has the places where values are NaN or infinite.
    """
    layers = {_key(layer): layer for layer in record.layers}
    found = [layers.get(name) for name in names]
    bad = [
        place
        for place, layer in enumerate(found)
        if layer and layer.chain and (layer.chain.nan or layer.chain.inf)
    ]
    return {
        **_place(record),
        "chain": [_error(layer.chain) if layer else None for layer in found],
        "alone": [_error(layer.alone) if layer else None for layer in found],
        "bad": bad,
    }


def _place(record: CellRecord) -> dict[str, str]:
    return {
        "build": f"{record.version}-{record.flags}",
        "version": record.version,
        "flags": record.flags,
        "run": record.way,
        "input": record.input,
    }


def _error(metrics: Metrics | None) -> float | None:
    return _digits(metrics.scale_relative) if metrics else None


def _digits(value: float | None) -> float | None:
    """Return a number with three digits; JSON has no NaN and no infinity."""
    return float(f"{value:.2e}") if value is not None and math.isfinite(value) else None
