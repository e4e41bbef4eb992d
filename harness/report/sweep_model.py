"""The report of a sweep before it takes a form: made from its run directory and nothing else."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.attribution.causes import attribute
from harness.analysis.sweep.collection import cases_file
from harness.analysis.sweep.finding import Explained, SweepFinding
from harness.analysis.sweep.suspects import FaultKind
from harness.domain.coverage import read_coverage
from harness.domain.records import CellRecord
from harness.execution.case_runner import CaseRecord
from harness.report.sweep_about import read_about
from harness.report.sweep_known import known_faults
from harness.report.sweep_table import layer_rows
from harness.util.files import write_atomically
from harness.util.kept import kept_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.advisories.advisory import Advisory
    from harness.domain.coverage import BuildCoverage
    from harness.report.known_faults import KnownFault
    from harness.report.sweep_about import SweepAbout
    from harness.report.sweep_table import LayerRow

FINDINGS = "findings.jsonl"
CELLS = "finding-cells.jsonl"
"""The runs that the findings' causes rest on."""


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """All that is told of a sweep."""

    about: SweepAbout
    tables: tuple[tuple[CaseRecord, ...], ...]
    """What became of the cases, for each build."""
    findings: tuple[Explained, ...]
    advisories: tuple[Advisory, ...] = ()
    """Known faults of ncnn."""
    coverage: tuple[BuildCoverage, ...] = ()
    """What the cases reached in the sources, where that was asked for."""

    @cached_property
    def rows(self) -> tuple[LayerRow, ...]:
        """The compatibility table: layer types in the order of their findings, then the others."""
        told = sorted(self.findings, key=lambda each: each.finding.kind is FaultKind.NARROW)
        first = list(dict.fromkeys(explained.finding.layer for explained in told))
        rows = layer_rows(self.about, self.tables)
        place = {layer: number for number, layer in enumerate(first)}
        return tuple(sorted(rows, key=lambda row: place.get(row.layer, len(first))))

    @property
    def troubled(self) -> tuple[LayerRow, ...]:
        """The layer types with faults."""
        found = {
            explained.finding.layer
            for explained in self.findings
            if explained.finding.kind is not FaultKind.NARROW
        }
        return tuple(r for r in self.rows if r.layer in found or r.state.is_fault)

    @property
    def calm(self) -> tuple[LayerRow, ...]:
        """The other layer types, by name."""
        troubled = {row.layer for row in self.troubled}
        rest = (row for row in self.rows if row.layer not in troubled)
        return tuple(sorted(rest, key=lambda row: row.layer))

    @property
    def runs(self) -> int:
        """How many verdicts there are."""
        return sum(len(record.verdicts) for table in self.tables for record in table)

    def of(self, layer: str) -> tuple[Explained, ...]:
        """Return the findings of a layer type."""
        return tuple(each for each in self.findings if each.finding.layer == layer)

    def known(self, explained: Explained) -> tuple[KnownFault, ...]:
        """Return the known faults that a finding is."""
        return known_faults(explained, self.advisories)

    def command(self, finding: SweepFinding) -> str:
        """Return the command that shows a finding again."""
        words = ["--versions", *self.about.versions, *self.about.arguments]
        return f"nox -s sweep -- {shlex.join([*words, '--case', finding.case])}"

    def reproducer(self, finding: SweepFinding) -> str:
        """Return the command that writes a change out for upstream; empty for anything else."""
        if not finding.is_change or finding.kind is FaultKind.NARROW:
            return ""
        arguments = self.about.arguments
        repo = arguments[arguments.index("--repo") :][:2] if "--repo" in arguments else ()
        good, bad = (labels[-1].partition("#")[0] for labels in (finding.good, finding.bad))
        words = ["--case", finding.case, "--run", finding.run, "--good", good, "--bad", bad]
        return f"nox -s reproducer -- {shlex.join([*words, '--flags', finding.flags, *repo])}"


def keep_findings(found: Iterable[Explained], folder: Path) -> None:
    """Write findings, and the cells that they rest on, into a run directory."""
    kept = list(found)
    findings = [explained.finding.model_dump_json() for explained in kept]
    cells = [record.model_dump_json() for explained in kept for record in explained.records]
    for name, lines in ((FINDINGS, findings), (CELLS, cells)):
        write_atomically(folder / name, "".join(f"{line}\n" for line in lines))


def read_sweep(folder: Path, advisories: Sequence[Advisory] = ()) -> SweepReport:
    """Read the run directory of a sweep.

    Args:
        folder: the directory.
        advisories: known faults of ncnn, to tell where a finding is one of them.

    Raises:
        UsageError: it is none.
    """
    about = read_about(folder)
    cells = kept_lines(folder / CELLS, CellRecord.model_validate_json)
    return SweepReport(
        about=about,
        tables=tuple(_table(folder, label) for label in about.labels),
        findings=tuple(
            _explained(finding, cells, about)
            for finding in kept_lines(folder / FINDINGS, SweepFinding.model_validate_json)
        ),
        advisories=tuple(advisories),
        coverage=read_coverage(folder),
    )


def _table(folder: Path, label: str) -> tuple[CaseRecord, ...]:
    records = kept_lines(cases_file(folder, label), CaseRecord.model_validate_json)
    return tuple({record.case: record for record in records}.values())


def _explained(finding: SweepFinding, cells: Sequence[CellRecord], about: SweepAbout) -> Explained:
    own = set(finding.cells)
    rests_on = {
        record.cell: record
        for record in cells
        if record.model == finding.case and record.cell in own
    }
    records = tuple(rests_on.values())
    return Explained(finding=finding, records=records, causes=attribute(records, about.tolerance))
