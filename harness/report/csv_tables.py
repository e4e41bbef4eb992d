"""The tables of a run directory: one row per cell, and one per cell and layer."""

from __future__ import annotations

import csv
import io
import re
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

import pandas as pd

from harness.domain.records import CellRecord, Metrics
from harness.report.record_values import chain_error, largest, worst_layer
from harness.util.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable


_FORMULA = re.compile(r"[=+\-@\t\r](?!$)")
"""What spreadsheets take for the beginning of a formula, whatever the type of the cell."""


def csv_cell(value: object) -> object:
    """Return a value as it stands in a table.

    Text that spreadsheets would compute gets an apostrophe, by which they know it for text, and
    what cannot be seen is written out. Numbers stay, and JSON has every name as it is.
    """
    return _text(value) if isinstance(value, str) else value


@lru_cache(maxsize=1 << 16)
def _text(value: str) -> str:
    return f"'{printable(value)}" if _FORMULA.match(value) else printable(value)


def frame_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV."""
    text: str = table.map(csv_cell).to_csv(index=False)
    return text


def matrix_table(records: Iterable[CellRecord]) -> pd.DataFrame:
    """Return one row per cell; latency is in milliseconds."""
    rows = []
    for record in records:
        worst = worst_layer(record)
        output = record.output.model_dump() if record.output else {}
        rows.append(
            {
                "cell": record.cell,
                "version": record.version,
                "flags": record.flags,
                "run": record.run,
                "converter": record.converter,
                "input": record.input,
                "verdict": str(record.verdict),
                "reason": record.reason,
                "instability": record.instability.sentence if record.instability else "",
                "reference": record.reference,
                **{f"output_{name}": value for name, value in output.items()},
                "worst_layer": worst.name if worst else "",
                "worst_layer_type": worst.type if worst else "",
                "worst_layer_scale_relative": chain_error(worst) if worst else None,
                "inner_product_scale_relative": type_error(record, "InnerProduct"),
                "latency_ms": record.latency_ms,
                "slowest_ms": record.slowest_ms,
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
    return largest(chain_error(layer) for layer in record.layers if layer.type == layer_type)


LAYER_FIELDS = ("index", "name", "type", "blob", "value", "aligned", "note", "floor", "device")
METRIC_FIELDS = tuple(Metrics.model_fields)


def layers_csv(records: Iterable[CellRecord]) -> str:
    """Return one row per cell and layer output as CSV, errors of the chain and alone side by side.

    Tens of thousands of rows: a frame of them would take longer than a warm matrix.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    kinds = [f"{kind}_{name}" for kind in ("chain", "alone") for name in METRIC_FIELDS]
    writer.writerow(["cell", *LAYER_FIELDS, "shape", *kinds])
    fields, metrics = attrgetter(*LAYER_FIELDS), attrgetter(*METRIC_FIELDS)
    blank = ("",) * len(METRIC_FIELDS)
    for record in records:
        writer.writerows(
            (
                csv_cell(record.cell),
                *map(csv_cell, fields(layer)),
                "x".join(map(str, layer.shape)),
                *(metrics(layer.chain) if layer.chain else blank),
                *(metrics(layer.alone) if layer.alone else blank),
            )
            for layer in record.layers
        )
    return stream.getvalue()
