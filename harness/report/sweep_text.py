"""What is said of a sweep: in the terminal and in Markdown."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from harness.analysis.sweep.suspects import FaultKind, settled
from harness.domain.formatting import count, listed, number
from harness.report.cause_text import fix_evidence, fix_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from harness.analysis.sweep.finding import Explained, SweepFinding
    from harness.execution.case_runner import CaseRecord

_FAULTS = {
    FaultKind.CRASH: "crashes",
    FaultKind.UNSTABLE: "gives other results each time",
    FaultKind.VALUES: "computes wrong values",
    FaultKind.PRECISION: "loses precision",
    FaultKind.REFUSAL: "is not computed",
    FaultKind.NARROW: "is as precise as a narrow format",
}


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """All that is told of a sweep."""

    labels: tuple[str, ...]
    flags: str
    seed: int
    cases: int
    """Cases that were made up, for each build."""
    tables: tuple[tuple[CaseRecord, ...], ...]
    """What became of them, for each build."""
    findings: tuple[Explained, ...]
    commands: tuple[str, ...]
    """What shows each finding again."""

    @property
    def runs(self) -> int:
        """How many verdicts there are."""
        return sum(len(record.verdicts) for table in self.tables for record in table)


def layer_rows(report: SweepReport) -> Iterator[tuple[str, ...]]:
    """Yield one row per layer type: its name, and for each build how many runs are how."""
    counts: list[dict[str, Counter[str]]] = []
    for table in report.tables:
        by_layer: dict[str, Counter[str]] = {}
        for record in table:
            row = by_layer.setdefault(record.case.partition(":")[0], Counter())
            for verdict in settled(record).values():
                row[verdict.narrow or verdict.outcome] += 1
        counts.append(by_layer)
    for layer in sorted({layer for by_layer in counts for layer in by_layer}):
        yield layer, *(_counts(by_layer.get(layer, Counter())) for by_layer in counts)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counter.most_common()) or "not there"


def finding_lines(explained: Explained, command: str) -> Iterator[str]:
    """Yield what is said of a finding, its head first."""
    finding = explained.finding
    yield f"{finding.layer} {fault_words(finding)}, {versions_words(finding)}"
    seen = f"{finding.case} with {finding.run}"
    others = f"; so do {count(finding.cases - 1, 'other case')}" if finding.cases > 1 else ""
    yield f"shown by {seen}{others}"
    fixes = [fix for cause in explained.causes for fix in cause.fixes if finding.run in _runs(fix)]
    for fix in fixes[:3]:
        yield f"{fix_words(fix)} stops it ({fix_evidence(fix)})"
    yield f"again: {command}"


def _runs(fix: object) -> set[str]:
    pairs = getattr(fix, "pairs", ())
    return {cell.split("/")[1] for cell, _ in pairs}


def fault_words(finding: SweepFinding) -> str:
    """Return what a layer does wrong, with the size."""
    verdict = finding.worst
    size = f": {number(verdict.error)}" if math.isfinite(verdict.error) and verdict.error else ""
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return f"{_FAULTS[finding.kind]}{size}{reason}"


def versions_words(finding: SweepFinding) -> str:
    """Return in which builds it does, and in which not."""
    if not finding.good:
        return f"in {listed(finding.bad)}"
    return f"in {listed(finding.bad)}, not in {listed(finding.good)}"


def show_sweep(console: Console, report: SweepReport) -> None:
    """Print the table of layer types and the findings."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("layer")
    for label in report.labels:
        table.add_column(label, overflow="fold")
    for row in layer_rows(report):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for heading, wanted in (("What changes", True), ("What is wrong in all", False)):
        shown = [
            (explained, command)
            for explained, command in zip(report.findings, report.commands, strict=True)
            if explained.finding.is_change == wanted
        ]
        if shown:
            console.print(f"\n[bold]{heading}[/bold]")
        for explained, command in shown:
            head, *lines = finding_lines(explained, command)
            console.print(Text(f"  • {head}"), soft_wrap=True)
            for line in lines:
                console.print(Text(f"    - {line}"), soft_wrap=True)
    changes = sum(explained.finding.is_change for explained in report.findings)
    console.print(
        f"\n[bold]{count(report.cases, 'case')}, {count(report.runs, 'run')}: "
        f"{count(changes, 'change')}, {count(len(report.findings) - changes, 'other finding')}"
        "[/bold]",
        highlight=False,
    )
