"""The answer of a bisection as the compatibility report tells it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.bisection.configurations import Explanation, evidence
from harness.analysis.bisection.history import Point
from harness.analysis.bisection.result import Finding, Side
from harness.report import Passage, Story
from harness.report.bisection import headline, number, shortened
from harness.report.comparison import comparison_headline


def finding_story(finding: Finding, command: str) -> Story:
    """Return what a search over revisions found."""
    commit = finding.commit
    passages = [
        Passage(
            heading=f"{finding.subject}, before and after",
            header=("", "revision", "alone", "in the whole model", "output: max abs"),
            rows=tuple(
                (word, *_side(side))
                for word, side in (("before", finding.before), ("after", finding.after))
            ),
        ),
        Passage(heading="Needed for it to show", lines=_needs(finding)),
        Passage(heading="Suspects", lines=() if finding.found else finding.suspects),
        Passage(heading="Releases that contain it", lines=_some(commit.releases if commit else ())),
        Passage(heading="Not testable", lines=finding.untested),
        Passage(
            heading="What it changed in the layer's files",
            code=shortened(commit.hunk) if commit else "",
        ),
    ]
    return Story(
        title=f"Bisection of {finding.subject}, build {finding.flags}, run {finding.run}",
        sentence=headline(finding).rstrip("."),
        passages=tuple(p for p in passages if p.lines or p.rows or p.code),
        command=command,
    )


def comparison_story(
    explanation: Explanation, *, point: Point, subject: str, command: str
) -> Story:
    """Return what a search over flags and options found."""
    passages = [
        Passage(
            heading="Each needed setting left out by itself", lines=tuple(evidence(explanation))
        ),
        Passage(
            heading="Smallest changes that make the bad configuration good",
            lines=tuple(", ".join(i.cure for i in each.items) for each in explanation.reverts),
        ),
        Passage(
            heading="All differences",
            header=("setting", "good", "bad"),
            rows=tuple((e.name, e.good or "?", e.bad or "?") for e in explanation.differences),
        ),
    ]
    return Story(
        title=f"Bisection of flags and options, {subject}",
        sentence=comparison_headline(explanation, point),
        passages=tuple(p for p in passages if p.lines or p.rows),
        command=command,
    )


def _side(side: Side) -> tuple[str, ...]:
    own = number(side.own, "scale_relative") or side.value
    whole = number(side.whole_own, "scale_relative") or side.note
    return side.name, own, whole, number(side.output, "max_abs")


def _needs(finding: Finding) -> tuple[str, ...]:
    return (*(f"{{{', '.join(each)}}}" for each in finding.needs), *finding.evidence)


def _some(names: Sequence[str], most: int = 3) -> tuple[str, ...]:
    more = len(names) - most
    return (*names[:most], *((f"and {more} later ones",) if more > 0 else ()))
