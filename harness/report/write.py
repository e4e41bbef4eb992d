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


OTHER_FORMS = (".md", ".csv", ".json")
"""Suffixes of what stands beside a page."""


def beside(page: Path, suffix: str) -> Path:
    """Return the path of another form of a page."""
    is_html = page.suffix in (".html", ".htm")
    return page.with_suffix(suffix) if is_html else page.with_name(page.name + suffix)


def write_files(report: Report, page: Path) -> Path:
    """Write the page, and the other forms beside it under the same name; return its path."""
    # The page first: what stands beside one may be replaced, see `targets.py`.
    write_atomically(page, html(report))
    for suffix, form in zip(OTHER_FORMS, (markdown, csv, json_text), strict=True):
        write_atomically(beside(page, suffix), form(report))
    return page
