"""Writes a report in all its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.exports import csv, json_text
from harness.report.markdown import markdown
from harness.report.page import html
from harness.util.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.model import Report


def write_files(report: Report, page: Path) -> Path:
    """Write the page, and the other forms beside it under the same name; return its path."""
    forms = ((".md", markdown), (".csv", csv), (".json", json_text))
    for suffix, form in forms:
        write_atomically(page.with_suffix(suffix), form(report))
    write_atomically(page, html(report))
    return page
