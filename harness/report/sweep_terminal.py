"""What a sweep prints when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from harness.domain.formatting import count
from harness.report.sweep_text import (
    Direction,
    calm_words,
    count_words,
    counts_words,
    directions,
    finding_head,
    finding_lines,
    gaps,
    narrow_lines,
    scope_words,
    sentence,
)

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.sweep_model import SweepReport

ROWS = 25
"""Layer types that the table has; the report has all."""
TOLD, HEADS = 8, 20
"""Findings under one heading that are told in full, and those of which there is one line."""


def show_sweep(console: Console, report: SweepReport) -> None:
    """Print the layer types with something to tell, the findings, and the answer."""
    if report.troubled:
        console.print(_table(report))
    hidden = len(report.troubled) - ROWS
    if hidden > 0:
        _line(console, f"{count(hidden, 'more layer type')} with faults, see the report")
    _line(console, calm_words(report))
    for heading, findings in directions(report).items():
        console.print(Text(f"\n{heading}", style="bold"))
        for place, explained in enumerate(findings[:HEADS]):
            _line(console, f"  • {finding_head(report, explained)}")
            for line in finding_lines(report, explained) if place < TOLD else ():
                _line(console, f"    - {line}")
        if len(findings) > HEADS:
            _line(console, f"  • {len(findings) - HEADS} more, see the report")
    narrow = narrow_lines(report)
    if narrow:
        console.print(Text(f"\n{Direction.NARROW}", style="bold"))
    for line in narrow:
        _line(console, f"  • {line}")
    untried = gaps(report)
    if untried:
        _line(console, "\nNot all cases were tried everywhere, see the report")
    console.print(Text(f"\n{sentence(report)}", style="bold"), soft_wrap=True)
    _line(console, f"{count_words(report)}; {scope_words(report)}")


def _table(report: SweepReport) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("cases with faults", overflow="fold")
    for label in report.about.labels:
        table.add_column(label, overflow="fold")
    for row in report.troubled[:ROWS]:
        cells = (counts_words(row, label) for label in report.about.labels)
        table.add_row(row.layer, *(Text(cell) for cell in cells))
    return table


def _line(console: Console, text: str) -> None:
    if text:
        console.print(Text(text), soft_wrap=True)
