"""The answer of a bisection as the compatibility report tells it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.bisection.configurations import ComparisonResult, evidence
from harness.analysis.bisection.history import Point
from harness.analysis.bisection.result import BisectionResult, Side
from harness.domain.findings import Finding, Section
from harness.report.bisection_text import headline, number, shortened
from harness.report.comparison_text import comparison_headline


def as_finding(result: BisectionResult, command: str) -> Finding:
    """Return what a search over revisions found."""
    commit = result.commit
    sections = [
        Section(
            heading=f"{result.subject}, before and after",
            header=("", "revision", "alone", "in the whole model", "output: max abs"),
            rows=tuple(
                (word, *_side(side))
                for word, side in (("before", result.before), ("after", result.after))
            ),
        ),
        Section(heading="Needed for it to show", lines=_needs(result)),
        Section(heading="Suspects", lines=() if result.found else result.suspects),
        Section(heading="Releases that contain it", lines=_some(commit.releases if commit else ())),
        Section(heading="Not testable", lines=result.untested),
        Section(
            heading="What it changed in the layer's files",
            code=shortened(commit.hunk) if commit else "",
        ),
    ]
    return Finding(
        title=f"Bisection of {result.subject}, build {result.flags}, run {result.run}",
        sentence=headline(result).rstrip("."),
        sections=tuple(p for p in sections if p.lines or p.rows or p.code),
        command=command,
    )


def comparison_as_finding(
    compared: ComparisonResult, *, point: Point, subject: str, command: str
) -> Finding:
    """Return what a search over flags and options found."""
    sections = [
        Section(heading="Each needed setting left out by itself", lines=tuple(evidence(compared))),
        Section(
            heading="Smallest changes that make the bad configuration good",
            lines=tuple(", ".join(i.fix for i in each.items) for each in compared.reverts),
        ),
        Section(
            heading="All differences",
            header=("setting", "good", "bad"),
            rows=tuple((e.name, e.good or "?", e.bad or "?") for e in compared.differences),
        ),
    ]
    return Finding(
        title=f"Bisection of flags and options, {subject}",
        sentence=comparison_headline(compared, point),
        sections=tuple(p for p in sections if p.lines or p.rows),
        command=command,
    )


def _side(side: Side) -> tuple[str, ...]:
    own = number(side.own, "scale_relative") or side.value
    whole = number(side.whole_own, "scale_relative") or side.note
    return side.name, own, whole, number(side.output, "max_abs")


def _needs(result: BisectionResult) -> tuple[str, ...]:
    return (*(f"{{{', '.join(each)}}}" for each in result.needs), *result.evidence)


def _some(names: Sequence[str], most: int = 3) -> tuple[str, ...]:
    more = len(names) - most
    return (*names[:most], *((f"and {more} later ones",) if more > 0 else ()))
