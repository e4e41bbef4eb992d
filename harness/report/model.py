"""The report itself, before it takes a form: every format is made from this and nothing else."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.domain.records import CellRecord, Verdict
from harness.report.advice import Recommendation, recommend, verdict_sentence
from harness.report.changes import Changes, compare
from harness.report.dataset import Scope, absent, scopes
from harness.report.known_faults import KnownFault, known_in
from harness.report.summary import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.advisories.advisory import Advisory
    from harness.analysis.attribution.causes import Cause
    from harness.domain.commits import FaultyCommit
    from harness.domain.findings import Finding
    from harness.domain.verdict import Tolerance

UNKNOWN_REASON = "not among the cells of its configuration, or the run was interrupted"
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Part:
    """Everything said about one model on one machine."""

    scope: Scope
    summary: Summary
    sentence: str
    recommendation: Recommendation | None
    left_out: Mapping[str, str]
    """Why cells were not run that the axes have, by their ids, as far as that is known."""
    advisories: tuple[Advisory, ...] = ()
    """Known faults of ncnn."""

    def known(self, cause: Cause) -> tuple[KnownFault, ...]:
        """Return the known faults that a cause is, in all of its cells or in some."""
        return self._known[cause]

    @cached_property
    def _known(self) -> Mapping[Cause, tuple[KnownFault, ...]]:
        records = (*self.scope.records, *self.scope.experiments)
        return {cause: known_in(cause, records, self.advisories) for cause in self.summary.causes}

    @property
    def recommended(self) -> tuple[CellRecord, ...]:
        """Cells of the recommended configuration; empty if there is none."""
        return self.recommendation.records if self.recommendation else ()

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes, those first that the newest version has."""
        return tuple(sorted(self.summary.causes, key=self.is_past))

    def is_past(self, cause: Cause) -> bool:
        """Return whether a cause is in older versions only."""
        versions = {r.cell: r.version for r in (*self.scope.records, *self.scope.experiments)}
        return self.scope.versions[-1] not in {versions[cell] for cell in cause.cells}

    @property
    def texts(self) -> str:
        """How many cells decode the same text as ONNX Runtime; empty for other models."""
        read = [r for r in self.scope.records if r.output and r.reference_text]
        same = sum(record.text == record.reference_text for record in read)
        if not read:
            return ""
        return f"same text as ONNX Runtime in {same} of {len(read)} cells"

    @property
    def measured_against(self) -> str:
        """What the cells were compared with."""
        against = dict.fromkeys(record.reference for record in self.scope.records)
        return "; ".join(filter(None, against)) or "the ONNX file, evaluated by ONNX Runtime"

    @property
    def is_without_onnx(self) -> bool:
        """Whether cells were compared with something else than an ONNX file."""
        return any(r.reference and "ONNX" not in r.reference for r in self.scope.records)

    @property
    def unaligned(self) -> dict[str, tuple[str, ...]]:
        """Layers that could not be compared: the reason, with their names."""
        notes: dict[str, dict[str, None]] = {}
        for record in self.scope.records:
            for layer in record.layers:
                if layer.chain is None:
                    note = layer.note or "no ONNX value corresponds to it"
                    notes.setdefault(note, {})[f"{layer.type} {layer.name}"] = None
        return {note: tuple(names) for note, names in notes.items()}

    @cached_property
    def absent(self) -> dict[str, tuple[str, ...]]:
        """Cells within the axes that have no record: the reason, with their ids."""
        reasons: dict[str, tuple[str, ...]] = {}
        for cell in absent(self.scope):
            reason = self.left_out.get(cell, UNKNOWN_REASON)
            reasons[reason] = (*reasons.get(reason, ()), cell)
        return reasons


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the report says."""

    title: str
    tolerance: Tolerance
    parts: tuple[Part, ...]
    commits: tuple[FaultyCommit, ...]
    findings: tuple[Finding, ...]
    changes: Changes | None
    config: str
    """Configuration file for the commands that reproduce a cell; empty for the default one."""
    incomplete: tuple[str, ...]
    """What is missing of the matrix, see `Joined`."""
    requested: Mapping[str, str]
    """What each flag set passes to CMake, by its name, where that is known."""

    @property
    def records(self) -> tuple[CellRecord, ...]:
        """The cells of all parts."""
        return tuple(record for part in self.parts for record in part.scope.records)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many cells got each verdict, in the order of `Verdict`."""
        found = Counter(record.verdict for record in self.records)
        return {verdict: found[verdict] for verdict in Verdict if found[verdict]}

    def reproduce(self, record: CellRecord) -> str:
        """Return the shell command that measures just this build and run again."""
        if record.command:
            return record.command
        config = f"--config {shlex.quote(self.config)} " if self.config else ""
        build_and_run = record.cell.rpartition("/")[0]
        return f"nox -s matrix -- {config}--only {shlex.quote(build_and_run)}"


def assemble(
    records: Sequence[CellRecord],
    *,
    title: str,
    tolerance: Tolerance,
    commits: Sequence[FaultyCommit] = (),
    findings: Sequence[Finding] = (),
    previous: Sequence[CellRecord] = (),
    config: str | Path = "",
    requested: Mapping[str, str] = NOTHING,
    left_out: Mapping[str, str] = NOTHING,
    incomplete: Sequence[str] = (),
    advisories: Sequence[Advisory] = (),
) -> Report:
    """Work out everything that the report says.

    Args:
        records: cells of one or more models, machines and runs; none if there are findings.
        title: heading; empty for a plain one.
        tolerance: limits to draw and to find causes with; verdicts are those of the records.
        commits: those at fault, to mark.
        findings: findings of diagnoses and bisections.
        previous: older records to compare with.
        config: configuration file for the commands that reproduce a cell.
        requested: what each flag set passes to CMake, see `cmake_arguments`.
        left_out: why cells were not run, by their ids.
        incomplete: what is missing of the matrix.
        advisories: known faults of ncnn, to tell where a cause is one of them.
    """
    parts = []
    all_scopes = scopes(records)
    for scope in all_scopes:
        part = Part(
            scope=scope,
            summary=summarise(
                scope.records, tolerance, [*scope.experiments, *_abroad(scope, all_scopes)]
            ),
            sentence=verdict_sentence(scope),
            recommendation=recommend(scope.records),
            left_out={**left_out, **_measured_elsewhere(scope, all_scopes)},
            advisories=tuple(advisories),
        )
        parts.append(part)
    current = [record for part in parts for record in part.scope.records]
    return Report(
        title=title or "ncnn compatibility report",
        tolerance=tolerance,
        parts=tuple(parts),
        commits=tuple(commits),
        findings=tuple(findings),
        changes=compare(previous, current, tolerance) if previous else None,
        config=str(config),
        incomplete=tuple(incomplete),
        requested=requested,
    )


def _others(scope: Scope, all_scopes: Sequence[Scope]) -> list[Scope]:
    """Return the scopes of the same model on other machines."""
    return [other for other in all_scopes if other.model == scope.model and other is not scope]


def _abroad(scope: Scope, all_scopes: Sequence[Scope]) -> list[CellRecord]:
    """Return what other machines measured, as evidence about cells of this one.

    It is no part of the table, and ids say where it is from.
    """
    return [
        record.model_copy(update={"cell": f"{record.cell} on {other.machine}", "experiment": True})
        for other in _others(scope, all_scopes)
        for record in (*other.records, *other.experiments)
    ]


def _measured_elsewhere(scope: Scope, all_scopes: Sequence[Scope]) -> dict[str, str]:
    """Return the cells that other machines measured, with which."""
    return {
        record.cell: f"measured on {other.machine}"
        for other in _others(scope, all_scopes)
        for record in other.records
    }
