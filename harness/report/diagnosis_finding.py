"""A diagnosis as the compatibility report tells it."""

from __future__ import annotations

from harness.analysis.diagnosis.layer_findings import Diagnosis, Score, TriedFix
from harness.domain.findings import Finding, Section
from harness.report.diagnosis_text import headline, mechanism_lines, output_lines

SHOWN = 12
"""layers at fault in the table; diagnosis.md has them all."""


def finding(diagnosis: Diagnosis, command: str) -> Finding:
    """Return what was found, the fixes that worked first."""
    sections = [
        Section(heading="Output", lines=tuple(output_lines(diagnosis))),
        _fixes(diagnosis),
        Section(heading="Mechanisms", lines=tuple(mechanism_lines(diagnosis))),
        _layers(diagnosis),
    ]
    return Finding(
        title=f"Diagnosis of {diagnosis.cell}",
        sentence=_sentence(diagnosis),
        sections=tuple(p for p in sections if p.lines or p.rows),
        command=command,
    )


def _sentence(diagnosis: Diagnosis) -> str:
    words = headline(diagnosis).rstrip(".")
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
        _change([f"{score.output_max_abs:.1e}" for score in scores if score]),
        _change([f"{score.worst_layer:.1e}" for score in scores if score]),
        _change([_latency(score) for score in scores if score]),
        "; ".join(filter(None, (fix.change, fix.note))),
    )


def _change(values: list[str]) -> str:
    return " → ".join(values)


def _latency(score: Score) -> str:
    return "?" if score.latency_ms is None else f"{score.latency_ms:.1f} ms"


def _layers(diagnosis: Diagnosis) -> Section:
    rows = []
    for layer in diagnosis.at_fault[:SHOWN]:
        mechanism = layer.explanation.mechanism if layer.explanation else "not examined"
        errors = (layer.alone_worst, layer.chain_worst)
        numbers = ["" if error is None else f"{error:.1e}" for error in errors]
        rows.append((f"{layer.type} {layer.name}", layer.blob, *numbers, mechanism))
    more = len(diagnosis.at_fault) - len(rows)
    return Section(
        heading="Layers at fault, the worst first" + (f" ({more} more)" if more > 0 else ""),
        header=("layer", "blob", "alone", "in the chain", "mechanism"),
        rows=tuple(rows),
    )
