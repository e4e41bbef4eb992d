"""Writes a report in all its forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.files import write_atomically
from harness.records import CellRecord
from harness.report.commits import GuiltyCommit
from harness.report.model import Report, assemble
from harness.report.page import html
from harness.tolerance import Tolerance


def write_report(
    records: Sequence[CellRecord],
    out_dir: Path,
    *,
    title: str,
    tolerance: Tolerance,
    commits: Sequence[GuiltyCommit] = (),
    previous: Sequence[CellRecord] = (),
    config: str | Path = "",
) -> Path:
    """Write `report.html`, `report.md`, `report.csv` and `report.json`; return the first's path.

    Args:
        records: at least one cell; of one or more models, machines and runs.
        out_dir: where to write; made if it is not there.
        title: heading; empty for a plain one.
        tolerance: limits to draw and to find causes with; verdicts are those of the records.
        commits: guilty commits to mark.
        previous: older records to compare with.
        config: configuration file for the commands that reproduce a cell.
    """
    report = assemble(
        records,
        title=title,
        tolerance=tolerance,
        commits=commits,
        previous=previous,
        config=config,
    )
    return write_files(report, out_dir / "report.html")


def write_files(report: Report, page: Path) -> Path:
    """Write the page, and the other forms beside it under the same name; return the page's path."""
    write_atomically(page, html(report))
    return page
