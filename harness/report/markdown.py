"""The report as Markdown, short enough for a pull request, an issue or a job summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.domain.formatting import option_text
from harness.report.grid import Table, Tile, tables
from harness.report.templating import markdown_environment
from harness.util.markdown import row as cells
from harness.util.markdown import text as escaped

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    engine = markdown_environment()
    text = _render(engine, report, with_tables=True)
    return text if len(text) <= LIMIT else _render(engine, report, with_tables=False)


def finding_markdown(finding: Finding) -> str:
    """Return one finding, as the report has it."""
    module = markdown_environment().get_template("finding.md.j2").module
    return str(module.finding(finding))  # type: ignore[attr-defined]


def _render(engine: Environment, report: Report, *, with_tables: bool) -> str:
    parts = [
        (part, tables(part.scope, prefix="", recommended=part.recommended)) for part in report.parts
    ]
    text: str = engine.get_template("report.md.j2").render(
        report=report, parts=parts, with_tables=with_tables, row_of=_row, cpp=_cpp, listed=_LISTED
    )
    return text


def _cpp(options: Mapping[str, object]) -> str:
    return "\n".join(f"opt.{name} = {option_text(value)};" for name, value in options.items())


def _row(table: Table, place: int) -> Markup:
    """Return one row of a table: a sign and a number for each flag set."""
    row = table.rows[place]
    version = Markup("**{}**").format(escaped(row.version))
    return cells([version, *map(_tile, row.tiles)])


def _tile(tile: Tile | None) -> Markup:
    if tile is None:
        return escaped("·")
    face = tile.faces[0]
    text = escaped(f"{face.symbol} {face.output}")
    return Markup("★ **{}**").format(text) if tile.recommended else text
