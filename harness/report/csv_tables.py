"""The tables of a run directory: one row per cell, and one per cell and layer."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from harness.domain.records import CellRecord


def matrix_table(records: Iterable[CellRecord]) -> pd.DataFrame:
    """Return one row per cell; errors are against ONNX Runtime, latency in milliseconds."""
    rows = []
    for record in records:
        worst = max(
            (layer for layer in record.layers if layer.chain),
            key=lambda layer: layer.chain.scale_relative if layer.chain else 0.0,
            default=None,
        )
        output = record.output.model_dump() if record.output else {}
        rows.append(
            {
                "cell": record.cell,
                "version": record.version,
                "flags": record.flags,
                "run": record.run,
                "input": record.input,
                "verdict": str(record.verdict),
                "reason": record.reason,
                **{f"output_{name}": value for name, value in output.items()},
                "worst_layer": worst.name if worst else "",
                "worst_layer_type": worst.type if worst else "",
                "worst_layer_scale_relative": (
                    worst.chain.scale_relative if worst and worst.chain else None
                ),
                "inner_product_scale_relative": type_error(record, "InnerProduct"),
                "latency_ms": record.latency_ms,
                "text": record.text,
                "reference_text": record.reference_text,
                "build_key": record.build.key,
                "compiler": record.build.compiler,
                "ineffective_flags": "; ".join(record.build.ineffective),
            }
        )
    return pd.DataFrame(rows)


def type_error(record: CellRecord, layer_type: str) -> float | None:
    """Return the largest chain scale-relative error over the layers of one type."""
    return max(
        (
            layer.chain.scale_relative
            for layer in record.layers
            if layer.type == layer_type and layer.chain
        ),
        default=None,
    )


def layer_table(records: Iterable[CellRecord]) -> pd.DataFrame:
    """Return one row per cell and layer output, chain and alone errors side by side."""
    rows = []
    for record in records:
        for layer in record.layers:
            row: dict[str, object] = {
                "cell": record.cell,
                **layer.model_dump(exclude={"chain", "alone", "shape"}),
                "shape": "x".join(map(str, layer.shape)),
            }
            for kind, metrics in (("chain", layer.chain), ("alone", layer.alone)):
                values = metrics.model_dump() if metrics else {}
                row |= {f"{kind}_{name}": value for name, value in values.items()}
            rows.append(row)
    return pd.DataFrame(rows)
