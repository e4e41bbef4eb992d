"""The page and the Markdown of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.analysis.sweep.suspects import FaultState
from harness.domain.formatting import assignments
from harness.report.coverage_text import HEADINGS, NOTE, coverage_head, coverage_rows
from harness.report.markdown import LIMIT
from harness.report.page import template_file
from harness.report.sweep_table import (
    MEANINGS,
    SEVERITY,
    SIGNS,
    CellState,
    cell_state,
    run_names,
)
from harness.report.sweep_text import (
    Direction,
    brief_fix,
    calm_words,
    causes_of,
    commit_words,
    counts_words,
    direction,
    directions,
    error_words,
    evidence_words,
    fault_words,
    finding_head,
    gaps,
    narrow_lines,
    others_words,
    run_phrase,
    scope_words,
    sentence,
    size_words,
    states_words,
    title,
)
from harness.report.templating import html_environment, markdown_environment

if TYPE_CHECKING:
    from jinja2 import Environment

    from harness.cases.judgement import CaseVerdict
    from harness.report.sweep_model import SweepReport
    from harness.report.sweep_table import LayerRow, TableCell

_LISTED = {".html": 15, ".md": 100}
"""Findings that are told at once under one heading."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One place of the table, as the page draws it."""

    state: str
    """Empty where the version has no such option."""
    text: str
    """A sign, and how many cases are at fault."""
    hint: str
    """What there is to know of it; empty where all is well."""


def sweep_html(report: SweepReport) -> str:
    """Return the whole page."""
    engine = _engine(html_environment(), report)
    runs = run_names(report.about)
    text: str = engine.get_template("sweep.html.j2").render(
        report=report,
        runs=[(name, short_run(name)) for name in runs],
        tiles={
            row.layer: {
                label: [_tile(row, label, run) for run in runs] for label in _labels(report)
            }
            for row in report.rows
        },
        states=[state for state in SEVERITY if any(_has(row, state) for row in report.rows)],
        style=Markup(template_file("style.css") + template_file("sweep.css")),
        script=Markup(template_file("sweep.js")),
        listed=_LISTED[".html"],
    )
    return text


def sweep_markdown(report: SweepReport) -> str:
    """Return the Markdown: one line per finding, then details, as far as GitHub takes them."""
    engine = _engine(markdown_environment(), report)
    template = engine.get_template("sweep.md.j2")
    text: str = template.render(report=report, with_details=True, listed=len(report.findings))
    if len(text) <= LIMIT:
        return text
    return template.render(report=report, with_details=False, listed=_LISTED[".md"])


def _engine(engine: Environment, report: SweepReport) -> Environment:
    """Return the engine with what the templates of a sweep take."""
    engine.filters |= {
        "fault_words": fault_words,
        "size_words": size_words,
        "commit_words": commit_words,
        "brief_fix": brief_fix,
        "causes_of": causes_of,
        "is_narrow": lambda explained: direction(explained.finding) is Direction.NARROW,
        "error_words": error_words,
        "evidence_words": evidence_words,
        "others_words": others_words,
        "states_words": states_words,
        "head": lambda explained: finding_head(report, explained),
        "run_phrase": lambda words: run_phrase(report.about.run_name(words)),
        "verdict_state": _verdict_state,
    }
    engine.globals |= {
        "title": title(report),
        "sentence": sentence(report),
        "scope": scope_words(report),
        "directions": directions(report),
        "narrow": narrow_lines(report),
        "narrow_heading": str(Direction.NARROW),
        "gaps": gaps(report),
        "coverage": [(coverage_head(each), coverage_rows(each)) for each in report.coverage],
        "coverage_headings": HEADINGS,
        "coverage_note": NOTE,
        "calm": calm_words(report),
        "counts_words": counts_words,
        "SIGNS": SIGNS,
        "STATES": MEANINGS,
        "machine": assignments(report.about.machine),
    }
    return engine


def _labels(report: SweepReport) -> tuple[str, ...]:
    return report.about.labels


def _has(row: LayerRow, state: CellState) -> bool:
    return any(state in cell.counts for cell in row.cells.values())


def _tile(row: LayerRow, label: str, run: str) -> Tile:
    cell = row.cells.get((label, run))
    if cell is None:
        return Tile(state="", text="", hint="")
    faulty = sum(n for state, n in cell.counts.items() if state.is_fault)
    text = f"{SIGNS[cell.state]}{faulty or ''}"
    if cell.state is CellState.OK:
        return Tile(state=str(cell.state), text=text, hint="")
    return Tile(state=str(cell.state), text=text, hint=_hint(row, label, run, cell))


def _hint(row: LayerRow, label: str, run: str, cell: TableCell) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in cell.counts.items())
    worst = "; ".join(filter(None, [size_words(cell.verdict), cell.verdict.reason]))
    lines = [f"{row.layer} in {label} {run_phrase(run)}", f"{cell.cases} cases: {counts}"]
    if cell.state is not CellState.UNSUPPORTED:
        lines.append(f"worst: {cell.case}{f' ({worst})' if worst else ''}")
    return "\n".join(lines)


def short_run(name: str) -> str:
    """Return the name of run options fit for the head of a narrow column."""
    option, _, value = name.removeprefix("use_").removeprefix("num_").partition("=")
    return f"{option} {({'true': 'on', 'false': 'off'}).get(value, value)}".strip()


def _verdict_state(verdict: CaseVerdict, state: FaultState) -> str:
    """Return what a verdict of a finding is in the table's words."""
    return str(cell_state(verdict, is_fault=state is FaultState.BAD))
