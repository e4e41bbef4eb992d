"""Writes a report in all its forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.domain.commits import FaultyCommit
from harness.domain.findings import Finding
from harness.domain.limits import Tolerance
from harness.domain.records import CellRecord
from harness.report.exports import csv, json_text
from harness.report.markdown import markdown
from harness.report.model import NOTHING, Report, assemble
from harness.util.files import write_atomically


def write_report(
    records: Sequence[CellRecord],
    out_dir: Path,
    *,
    title: str,
    tolerance: Tolerance,
    commits: Sequence[FaultyCommit] = (),
    findings: Sequence[Finding] = (),
    config: str | Path = "",
    requested: Mapping[str, str] = NOTHING,
    left_out: Mapping[str, str] = NOTHING,
) -> Path:
    """Write `report.html`, `.md`, `.csv` and `.json` into a directory; return the first's path.

    Args:
        records: cells of one or more models, machines and runs; none if there are findings.
        out_dir: where to write; made if it is not there.
        title: heading; empty for a plain one.
        tolerance: limits to draw and to find causes with; verdicts are those of the records.
        commits: those at fault, to mark.
        findings: findings of diagnoses and bisections.
        config: configuration file for the commands that reproduce a cell.
        requested: what each flag set passes to CMake, see `cmake_arguments`.
        left_out: why cells were not run, by their ids.
    """
    report = assemble(
        records,
        title=title,
        tolerance=tolerance,
        commits=commits,
        findings=findings,
        config=config,
        requested=requested,
        left_out=left_out,
    )
    return write_files(report, out_dir / "report.html")


def write_files(report: Report, page: Path) -> Path:
    """Write the page, and the other forms beside it under the same name; return its path."""
    # The plotting library takes half a second to import, which no other command should wait for.
    from harness.report.page import html

    forms = ((".md", markdown), (".csv", csv), (".json", json_text))
    for suffix, form in forms:
        write_atomically(page.with_suffix(suffix), form(report))
    write_atomically(page, html(report))
    return page
