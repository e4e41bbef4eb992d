"""The report for those who never open the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table as RichTable
from rich.text import Text

from harness.domain.formatting import number
from harness.report.cause_text import cause_lines
from harness.report.console import STYLES
from harness.report.grid import Table, Tile, tables
from harness.report.record_values import SYMBOLS

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.model import Part, Report


def show(console: Console, report: Report) -> None:
    """Print tables, causes, recommendation and, last, where the eye is, the verdict."""
    for part in report.parts:
        for table in tables(part.scope, prefix="", recommended=part.recommended):
            _heading(console, f"{table.run} ({table.options})")
            console.print(_table(part, table))
        _heading(console, "Causes")
        for line in cause_lines(part):
            _line(console, f"  {line}")
        if part.recommendation:
            best = part.recommendation
            _heading(console, "Recommended")
            _line(
                console,
                f"  ★ {best.version} built as {best.flags}, run with {best.run}: error "
                f"{number(best.error)}, {best.latency_words}",
            )
        _heading(console, f"{part.scope.model} on {part.scope.machine}")
        _line(console, f"  {part.sentence}.")
    for finding in report.findings:
        _heading(console, finding.title)
        _line(console, f"  {finding.sentence}.")
    if report.changes:
        _heading(console, "What changed")
        _line(console, f"  {report.changes.sentence}.")
    if report.incomplete:
        _heading(console, "This report is not complete")
        for note in report.incomplete:
            _line(console, f"  • {note}")
    counts = ", ".join(f"{SYMBOLS[v]} {count} {v}" for v, count in report.counts.items())
    _line(console, f"\n{len(report.records)} cells: {counts}")


def _table(part: Part, table: Table) -> RichTable:
    drawn = RichTable(box=None)
    drawn.add_column("version")
    for flags in part.scope.flags:
        drawn.add_column(flags, overflow="fold")
    for row in table.rows:
        drawn.add_row(row.version, *map(_tile, row.tiles))
    return drawn


def _tile(tile: Tile | None) -> Text:
    if tile is None:
        return Text("·", style="dim")
    face = tile.faces[0]
    sign = "★" if tile.recommended else face.symbol
    return Text(f"{sign} {face.output}", style=STYLES[face.verdict])


def _heading(console: Console, text: str) -> None:
    console.print(Text(f"\n{text}", style="bold"), soft_wrap=True)


def _line(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
