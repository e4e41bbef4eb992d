"""Writes the report of a sweep in all its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.sweep_exports import sweep_csv, sweep_json
from harness.report.sweep_page import sweep_html, sweep_markdown
from harness.report.write import OTHER_FORMS, beside
from harness.util.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.sweep_model import SweepReport


def write_sweep(report: SweepReport, page: Path) -> Path:
    """Write the page, and the other forms beside it under the same name; return its path."""
    # The page first: what stands beside one may be replaced, see `targets.py`.
    write_atomically(page, sweep_html(report))
    for suffix, form in zip(OTHER_FORMS, (sweep_markdown, sweep_csv, sweep_json), strict=True):
        write_atomically(beside(page, suffix), form(report))
    return page
