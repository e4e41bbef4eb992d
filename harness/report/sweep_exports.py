"""A sweep for machines: its table as CSV, and all that is told of it as JSON."""

from __future__ import annotations

import csv as csv_files
import io
import json
import math
from typing import TYPE_CHECKING, Any

from harness.report.cause_text import cause_head, cause_title, fix_evidence, fix_words
from harness.report.csv_tables import csv_cell
from harness.report.sweep_table import SEVERITY, run_names
from harness.report.sweep_text import (
    causes_of,
    direction,
    finding_head,
    gaps,
    sentence,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.sweep.finding import Explained
    from harness.report.sweep_model import SweepReport


def sweep_csv(report: SweepReport) -> str:
    """Return one row per layer type, version and set of run options."""
    rows = list(_rows(report))
    stream = io.StringIO()
    names = ["layer", "reference", "version", "run", "options", "state", "cases"]
    names += [*map(str, SEVERITY), "error", "limit", "reason", "case"]
    writer = csv_files.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def sweep_json(report: SweepReport) -> str:
    """Return the sweep, its findings and its table."""
    content = {
        "schema_version": 1,
        "title": title(report),
        "sentence": sentence(report),
        "sweep": report.about.model_dump(mode="json"),
        "findings": [_finding(report, explained) for explained in report.findings],
        "not_tried": gaps(report),
        "table": list(_rows(report)),
        "coverage": [each.model_dump(mode="json") for each in report.coverage],
    }
    return json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)


def _rows(report: SweepReport) -> Iterator[dict[str, Any]]:
    runs = run_names(report.about)
    for row in report.rows:
        for build in report.about.builds:
            for run in runs:
                cell = row.cells.get((build.label, run))
                if cell is None:
                    continue
                yield {
                    "layer": row.layer,
                    "reference": str(row.reference),
                    "version": build.label,
                    "run": run,
                    "options": build.runs[run],
                    "state": str(cell.state),
                    "cases": cell.cases,
                    **{str(state): cell.counts.get(state, 0) for state in SEVERITY},
                    "error": cell.verdict.error,
                    "limit": cell.verdict.limit,
                    "reason": cell.verdict.reason,
                    "case": cell.case,
                }


def _finding(report: SweepReport, explained: Explained) -> dict[str, Any]:
    finding = explained.finding
    return {
        **finding.model_dump(mode="json"),
        "direction": str(direction(finding)),
        "sentence": finding_head(report, explained),
        "fixes": [
            {"change": fix_words(fix), "proved": fix.proved, "evidence": fix_evidence(fix)}
            for fix in explained.fixes
        ],
        "causes": [f"{cause_head(cause)} {cause_title(cause)}" for cause in causes_of(explained)],
        "known": [known.advisory.id for known in report.known(explained)],
        "command": report.command(finding),
    }


def _finite(value: object) -> object:
    """Return the same with text in place of the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
