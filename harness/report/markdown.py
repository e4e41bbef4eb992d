"""The report as Markdown, short enough for a pull request, an issue or a job summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.grid import Table, Tile, tables
from harness.report.templating import environment

if TYPE_CHECKING:
    from jinja2 import Environment

    from harness.domain.findings import Finding
    from harness.report.model import Report

LIMIT = 60_000
"""Characters; GitHub refuses bodies of issues and comments above 65 536."""
_LISTED = 12


def markdown(report: Report) -> str:
    """Return the whole report; of long lists their beginning, and no table where it gets too long.

    The first screen says what the page's first screen says.
    """
    engine = environment()
    text = _render(engine, report, with_tables=True)
    return text if len(text) <= LIMIT else _render(engine, report, with_tables=False)


def finding_markdown(finding: Finding) -> str:
    """Return one finding, as the report has it."""
    module = environment().get_template("finding.md.j2").module
    text: str = module.finding(finding)  # type: ignore[attr-defined]
    return text


def _render(engine: Environment, report: Report, *, with_tables: bool) -> str:
    parts = [
        (part, tables(part.scope, prefix="", recommended=part.recommended)) for part in report.parts
    ]
    text: str = engine.get_template("report.md.j2").render(
        report=report, parts=parts, with_tables=with_tables, row=_row, listed=_LISTED
    )
    return text


def _row(table: Table, place: int) -> str:
    """Return one row of a table: a sign and a number for each flag set."""
    row = table.rows[place]
    return " | ".join([f"**{row.version}**", *map(_tile, row.tiles)])


def _tile(tile: Tile | None) -> str:
    if tile is None:
        return "·"
    face = tile.faces[0]
    text = f"{face.symbol} {face.output}"
    return f"★ **{text}**" if tile.recommended else text
