"""A diagnosis as the compatibility report tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.domain.findings import Finding, Section
from harness.domain.formatting import assignments, milliseconds, number
from harness.report.crash_text import crash_sections
from harness.report.diagnosis_text import (
    columns,
    conclusion,
    mechanism_lines,
    output_lines,
    row,
    shown,
)

if TYPE_CHECKING:
    from harness.analysis.diagnosis.layer_findings import Diagnosis, Score, TriedFix

SHOWN = 12
"""Layers at fault in the table; the folded one has all."""


def as_finding(diagnosis: Diagnosis, command: str) -> Finding:
    """Return what was found, the fixes that worked first."""
    sections = [
        *crash_sections(diagnosis.crash),
        Section(heading="Output", lines=tuple(output_lines(diagnosis))),
        Section(heading="The model's files", lines=diagnosis.about_model),
        _fixes(diagnosis),
        Section(heading="Mechanisms", lines=tuple(mechanism_lines(diagnosis))),
        _layers(diagnosis),
        *(
            Section(heading=f"What {fix.kind} changes in the .param", code=fix.diff)
            for fix in diagnosis.fixes
        ),
        _every_layer(diagnosis),
        _trials(diagnosis),
        Section(heading="Options in force", lines=_options(diagnosis), folded=True),
    ]
    return Finding(
        title=f"Diagnosis of {diagnosis.cell}",
        sentence=_sentence(diagnosis),
        sections=tuple(s for s in sections if s.lines or s.rows or s.code),
        command=command,
    )


def _sentence(diagnosis: Diagnosis) -> str:
    words = conclusion(diagnosis).rstrip(".")
    fixes = [fix for fix in diagnosis.fixes if fix.outcome == "fixed"]
    return f"{words}. Fixed by {fixes[0].kind}: {fixes[0].change}" if fixes else words


def _fixes(diagnosis: Diagnosis) -> Section:
    order = ("fixed", "helped", "did not help", "not tried")
    fixes = sorted(diagnosis.fixes, key=lambda fix: order.index(fix.outcome))
    return Section(
        heading="Fixes, each applied and run again",
        header=(
            "fix",
            "outcome",
            "output: max abs",
            "worst layer alone",
            "latency",
            "what changes",
        ),
        rows=tuple(_fix(fix) for fix in fixes),
    )


def _fix(fix: TriedFix) -> tuple[str, ...]:
    scores = (fix.before, fix.after)
    return (
        fix.kind,
        fix.outcome,
        _change([number(score.output_max_abs) for score in scores if score]),
        _change([number(score.worst_layer) for score in scores if score]),
        _change([_latency(score) for score in scores if score]),
        "; ".join(filter(None, (fix.change, fix.note))),
    )


def _change(values: list[str]) -> str:
    return " → ".join(values)


def _latency(score: Score) -> str:
    return milliseconds(score.latency_ms)


def _layers(diagnosis: Diagnosis) -> Section:
    rows = []
    for layer in diagnosis.at_fault[:SHOWN]:
        mechanism = layer.explanation.words if layer.explanation else "not examined"
        errors = (layer.alone_worst, layer.chain_worst)
        numbers = ["" if error is None else number(error) for error in errors]
        rows.append((f"{layer.type} {layer.name}", layer.blob, *numbers, mechanism))
    more = len(diagnosis.at_fault) - len(rows)
    return Section(
        heading="Layers at fault, the worst first" + (f" ({more} more)" if more > 0 else ""),
        header=("layer", "blob", "alone", "in the chain", "mechanism"),
        rows=tuple(rows),
    )


def _every_layer(diagnosis: Diagnosis) -> Section:
    header = columns(diagnosis)
    return Section(
        heading=f"All {len(diagnosis.layers)} blobs: errors against float64, the worst input",
        header=header,
        rows=tuple(tuple(row(layer, header)) for layer in diagnosis.layers),
        folded=True,
    )


def _trials(diagnosis: Diagnosis) -> Section:
    """Return every hypothesis that was tested on the layers at fault."""
    return Section(
        heading="What was tried",
        header=("layer", "hypothesis", "error left", "bits explained"),
        rows=tuple(
            (
                f"{layer.type} {layer.name}",
                trial.hypothesis,
                shown(trial.residual) or "does not apply",
                f"{trial.bits:.0f}" if trial.residual is not None else "",
            )
            for layer in diagnosis.at_fault
            if layer.explanation
            for explanation in layer.explanation.each
            for trial in explanation.tried
        ),
        folded=True,
    )


def _options(diagnosis: Diagnosis) -> tuple[str, ...]:
    return tuple(assignments(diagnosis.options))
