"""A diagnosis for people and for machines: console, JSON and CSV."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import pandas as pd
from rich.table import Table
from rich.text import Text

from harness.analysis.diagnosis.layer_findings import (
    Diagnosis,
    LayerSummary,
    Score,
    Status,
    TriedFix,
)
from harness.domain.formatting import count, milliseconds, number
from harness.domain.verdict import excess
from harness.report.crash_text import BREAKDOWN, crash_lines
from harness.report.csv_tables import frame_csv
from harness.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.analysis.mechanisms.mechanism import Explanation

STYLES = {
    Status.AT_FAULT: "bold red",
    Status.PASSES_ON: "yellow",
    Status.NOT_MEASURED: "magenta",
    Status.CLEAN: "green",
    Status.NOT_ALIGNED: "dim",
}
FIRST = ("layer", "blob", "ONNX value", "status")
NUMERIC = ("chain", "alone", "chain median", "alone median", "limit", "ORT")
LAST = "aligned"
MOST_NAMED = 5
"""Layers that a sentence names."""
FEW = 2
"""Inputs up to which all are shown, and no median."""


def headline(diagnosis: Diagnosis) -> str:
    """Return who is at fault, in one sentence: only layers that are wrong by themselves."""
    failures = [f"{item.name}: {item.failure}" for item in diagnosis.inputs if item.failure]
    if failures:
        return f"not measured: {'; '.join(failures)}"
    at_fault = diagnosis.at_fault
    if not at_fault:
        return _nobody(diagnosis)
    types = dict.fromkeys(layer.type for layer in at_fault)
    parts = [f"{sum(x.type == kind for x in at_fault)} {kind}" for kind in types]
    return f"At fault: {', '.join(parts)} of {len(diagnosis.layers)} blobs."


def _nobody(diagnosis: Diagnosis) -> str:
    """Say that no layer is at fault by itself, and what is wrong nevertheless."""
    unknown = [layer for layer in diagnosis.layers if layer.status is Status.NOT_MEASURED]
    who = "No layer that could be measured" if unknown else "No layer"
    if all(item.excess <= 1 for item in diagnosis.inputs):
        return f"{who} is at fault."
    whole = "the output" if _output_is_wrong(diagnosis) else "the chain"
    words = f"{who} is at fault by itself, but {whole} is beyond its limit"
    return f"{words}; not measured alone: {_names(unknown)}." if unknown else f"{words}."


def _output_is_wrong(diagnosis: Diagnosis) -> bool:
    return any(i.output and excess(i.output, i.output_limit) > 1 for i in diagnosis.inputs)


def _names(layers: Sequence[LayerSummary]) -> str:
    shown = [f"{layer.type} {layer.name}" for layer in layers[:MOST_NAMED]]
    more = len(layers) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def output_lines(diagnosis: Diagnosis) -> list[str]:
    """Return one line per input with the error of the model's output."""
    lines = []
    for item in diagnosis.inputs:
        if item.output is None:
            lines.append(f"{item.name}: {item.failure}")
            continue
        latency = f", {milliseconds(item.latency_ms)}" if item.latency_ms is not None else ""
        lines.append(
            f"{item.name}: output max abs {number(item.output.max_abs)}, scale-relative "
            f"{number(item.output.scale_relative)} (limit {number(item.output_limit)}), "
            f"{len(item.at_fault)} blobs at fault{latency}"
        )
    errors = [item.output.max_abs for item in diagnosis.inputs if item.output]
    if len(errors) > FEW:
        lines.append(f"worst {number(max(errors))}, median {number(median(errors))} (max abs)")
    return lines


def mechanism_lines(diagnosis: Diagnosis) -> list[str]:
    """Return one line per layer type and mechanism, then what was tried where none was found."""
    groups: dict[tuple[str, str, str], list[tuple[LayerSummary, Explanation | None]]] = {}
    for layer in diagnosis.at_fault:
        for explanation in layer.explanation.each if layer.explanation else (None,):
            name = explanation.mechanism if explanation else "not examined"
            side = explanation.side if explanation else ""
            groups.setdefault((layer.type, name, side), []).append((layer, explanation))
    return [_group_line(kind, name, side, group) for (kind, name, side), group in groups.items()]


def _group_line(
    kind: str, name: str, side: str, group: Sequence[tuple[LayerSummary, Explanation | None]]
) -> str:
    found = [explanation for _, explanation in group if explanation]
    if not found:
        return f"{len(group)} {kind}: {name}"
    error, left = max(e.error for e in found), max(e.residual for e in found)
    floor = ", at the noise floor" if all(e.at_noise_floor for e in found) else ""
    whose = " (the model's files, not ncnn's arithmetic)" if side == "model" else ""
    layers = ", ".join(layer.name for layer, _ in group)
    notes = f"; {found[0].note}" if found[0].note else ""
    if not found[0].explained:
        closest = [t for t in found[0].tried if t.residual is not None][:5]
        tried = ", ".join(f"{t.hypothesis} ({number(t.residual)})" for t in closest)
        words = f"unexplained{whose}, error up to {number(error)}; {len(found[0].tried)} hypotheses"
        return f"{len(group)} {kind}: {words}, the closest: {tried}{notes} [{layers}]"
    words = f"{name}{whose}: error up to {number(error)}, {number(left)} is left under it{floor}"
    inputs = min(e.inputs for e in found)
    tested = f"; holds on {count(inputs, 'input')}"
    return f"{len(group)} {kind}: {words}{tested}{notes} [{layers}]"


def fix_lines(fix: TriedFix) -> list[str]:
    """Return what a fix changed and what came of it."""
    lines = [f"{fix.kind}: {fix.outcome}: {fix.change}"]
    if fix.before and fix.after:
        lines.append(f"  before: {_score(fix.before)}")
        lines.append(f"  after:  {_score(fix.after)}")
        lines += [
            f"  {kind}: alone {number(own[0])} → {number(own[1])}, "
            f"in the chain {number(chain[0])} → {number(chain[1])}"
            for kind, (own, chain) in fix.by_type.items()
        ]
    if fix.note:
        lines.append(f"  {fix.note}")
    if fix.param:
        lines.append(f"  written: {fix.param}")
    return lines


def _score(score: Score) -> str:
    latency = f", {milliseconds(score.latency_ms)}" if score.latency_ms is not None else ""
    return (
        f"output max abs {number(score.output_max_abs)}, the chain up to {score.excess:.1f} times "
        f"its limit, worst layer alone {number(score.worst_layer)}, "
        f"{len(score.at_fault)} layers at fault{latency}"
    )


def conclusion(diagnosis: Diagnosis) -> str:
    """Return how the cell breaks down if it does, and who is at fault."""
    crash = diagnosis.crash
    if crash is None:
        return headline(diagnosis)
    broken = {each.input for each in crash.breakdowns}
    failed = {item.name for item in diagnosis.inputs if item.failure}
    if failed and failed <= broken:
        return f"{crash.sentence}."
    # Where memory is damaged, no value can be relied on.
    doubt = ", and perhaps because of it" if crash.report else ""
    return f"{crash.sentence}. Measured beside that{doubt}: {headline(diagnosis)}"


def show(console: Console, diagnosis: Diagnosis, *, everything: bool) -> None:
    """Print a diagnosis; without `everything`, clean layers are only counted."""
    visible = [x for x in diagnosis.layers if everything or x.status is not Status.CLEAN]
    table = Table(box=None, header_style="bold", pad_edge=False)
    header = columns(diagnosis)
    for name in header:
        table.add_column(name, justify="right" if name in NUMERIC else "left", overflow="fold")
    for layer in visible:
        cells = [Text(cell) for cell in row(layer, header)]
        cells[header.index("status")].stylize(STYLES[layer.status])
        table.add_row(*cells)
    console.print(table)
    hidden = len(diagnosis.layers) - len(visible)
    if hidden:
        _print(console, f"and {hidden} clean blobs (--all shows them)")
    for heading, lines in sections(diagnosis):
        console.print(Text(f"\n{heading}", style="bold"))
        for line in lines:
            _print(console, line)
    console.print()
    for fix in diagnosis.fixes:
        if fix.diff:
            _print(console, fix.diff)
    console.print(Text(conclusion(diagnosis), style="bold"), soft_wrap=True)


def sections(diagnosis: Diagnosis) -> list[tuple[str, list[str]]]:
    """Return headings with their lines, empty ones left out."""
    fixes = [line for fix in diagnosis.fixes for line in fix_lines(fix)]
    found = [
        (BREAKDOWN, crash_lines(diagnosis.crash) if diagnosis.crash else []),
        ("The model's files", list(diagnosis.about_model)),
        ("Output", output_lines(diagnosis)),
        ("Mechanisms", mechanism_lines(diagnosis)),
        ("Fixes", fixes),
    ]
    return [(heading, lines) for heading, lines in found if lines]


def _print(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True, highlight=False)


def columns(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the names of the table's columns; one or two inputs need no median."""
    few = len(diagnosis.inputs) <= FEW
    return (*FIRST, *(n for n in NUMERIC if not (few and "median" in n)), LAST)


def row(layer: LayerSummary, header: Sequence[str]) -> list[str]:
    """Return the texts of one row; errors are those of the worst input."""
    texts = {
        "layer": f"{layer.type} {layer.name}",
        "blob": layer.blob,
        "ONNX value": layer.value,
        "status": str(layer.status),
        "chain": shown(layer.chain_worst),
        "alone": shown(layer.alone_worst),
        "chain median": shown(layer.chain_median),
        "alone median": shown(layer.alone_median),
        "limit": shown(layer.limit),
        "ORT": shown(layer.onnxruntime),
        LAST: ": ".join(filter(None, (layer.aligned, layer.sure or layer.note))),
    }
    return [texts[name] for name in header]


def shown(value: float | None) -> str:
    """Return an error, or nothing where there is none."""
    return "" if value is None else number(value)


def table_of(diagnosis: Diagnosis) -> pd.DataFrame:
    """Return one row per input and blob."""
    rows = [
        {
            "cell": diagnosis.cell,
            "input": item.name,
            **layer.model_dump(exclude={"chain", "alone"}),
            **_metrics("chain", layer.chain.model_dump() if layer.chain else {}),
            **_metrics("alone", layer.alone.model_dump() if layer.alone else {}),
        }
        for item in diagnosis.inputs
        for layer in item.layers
    ]
    return pd.DataFrame(rows)


def _metrics(kind: str, values: dict[str, object]) -> dict[str, object]:
    return {f"{kind}_{name}": value for name, value in values.items()}


def write(diagnosis: Diagnosis, folder: Path) -> None:
    """Write `diagnosis.json` and `layers.csv` into a directory."""
    write_atomically(folder / "diagnosis.json", diagnosis.model_dump_json(indent=1))
    write_atomically(folder / "layers.csv", frame_csv(table_of(diagnosis)))
