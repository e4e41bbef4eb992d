"""The answer of a bisection as a finding, which every form of the report shows."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.analysis.bisection.configurations import ComparisonResult, Difference, evidence
from harness.domain.commits import FaultyCommit
from harness.domain.findings import Finding, Section
from harness.domain.formatting import assignments, count, listed, number
from harness.report.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.inside.answer import InsideAnswer
    from harness.analysis.bisection.result import BisectionResult, Commit, Side
    from harness.analysis.bisection.submodel import Subject
    from harness.analysis.delta_debugging import MinimalSet
    from harness.domain.records import Metrics

DIFF_LINES = 60
FILES = 12
SUSPECTS = 20


def as_finding(result: BisectionResult, command: str) -> Finding:
    """Return what a search over revisions found."""
    commit = result.commit
    return Finding(
        title=f"Bisection of {result.subject}, build {result.flags}, run {result.run}",
        sentence=headline(result).rstrip("."),
        sections=_filled(
            Section(heading="Measured", lines=_conditions(result)),
            _sides(result),
            Section(heading="Commit", lines=_commit(commit) if commit else ()),
            *_inside(result.inside, "the change", result.commit.sha if result.commit else ""),
            Section(heading="Suspects", lines=() if result.found else _suspects(result)),
            Section(heading="All changes seen, oldest first", lines=_transitions(result)),
            Section(heading="Steps that do not cross the threshold", lines=result.beside),
            Section(heading="What it takes, and what makes it good", lines=result.evidence),
            Section(heading="Not testable", lines=result.untested),
            Section(
                heading="What it changed in the layer's files",
                code=shortened(commit.hunk, commit.sha) if commit else "",
                folded=bool(result.inside and result.inside.diff),
            ),
        ),
        command=command,
    )


def _inside(inside: InsideAnswer | None, what: str, sha: str = "") -> tuple[Section, ...]:
    """Return what a search inside a change, or between two builds, found."""
    if inside is None:
        return ()
    if inside.note:
        return (Section(heading=f"Inside {what}", lines=(inside.note,)),)
    named = ", ".join(inside.parts[:FILES])
    left = len(inside.parts) - FILES
    hunks, files = count(inside.of_hunks, "hunk"), count(inside.of_files, "file")
    whole = f"{hunks} in {files}" if inside.of_hunks else f"{files} that it compiles otherwise"
    found = {
        "hunks": f"of {whole}, {count(len(inside.parts), 'hunk')}: {named}",
        "functions": f"of {whole}, and of {count(inside.of_functions, 'function')} in what matters "
        f"of them, {count(len(inside.parts), 'function')}: {named}",
        "files": f"of {whole}, {count(len(inside.parts), 'file')}, no part of which was found to "
        f"hold on both sides: {named}",
        "change": f"all of {whole}: no part of it holds on both sides",
    }[inside.level]
    more = f" and {left} more" if left > 0 and inside.level != "change" else ""
    lines = (
        f"{found}{more}",
        *(
            (f"with {listed(inside.company)}, compiled in the bad build only",)
            if inside.company
            else ()
        ),
        *inside.evidence,
        f"{count(inside.measurements, 'mixture')} built and measured, {inside.seconds:.0f} s",
    )
    diff = shortened(inside.diff, sha)
    return (
        Section(heading=f"Inside {what}: what matters", lines=lines),
        Section(heading="These lines, before and after", pairs=side_by_side(diff)),
        Section(heading="These lines as a diff", code=diff, folded=True),
        Section(
            # Of what was rewritten, the lines before say little.
            heading="These functions",
            code=inside.code,
            language="cpp",
            folded=bool(diff) and diff == inside.diff,
        ),
    )


def comparison_as_finding(
    compared: ComparisonResult, *, point: Point, subject: Subject, command: str
) -> Finding:
    """Return what a search over flags and options found."""
    criterion = compared.criterion
    limit = f"at most {number(criterion.threshold)}" if criterion.threshold else "that it runs"
    return Finding(
        title=f"Bisection of flags and options, {subject.description}",
        sentence=comparison_headline(compared, point),
        sections=_filled(
            Section(
                heading="Measured",
                lines=(
                    f"{subject.description}, {criterion.metric}, input {subject.input.name}; good "
                    f"means {limit}",
                ),
            ),
            Section(
                heading="Each needed setting left out by itself", lines=tuple(evidence(compared))
            ),
            *_inside(compared.inside, "the builds"),
            Section(
                heading="Other sets that turn it bad by themselves",
                lines=tuple(f"{{{_names(each.items)}}}" for each in compared.sets[1:]),
            ),
            Section(
                heading="Smallest changes that make the bad configuration good",
                lines=tuple(", ".join(i.fix for i in each.items) for each in compared.reverts),
            ),
            Section(
                heading="All differences",
                header=("setting", "good", "bad"),
                rows=tuple(
                    (each.name, each.good or "(default)", each.bad or "(default)")
                    for each in compared.differences
                ),
            ),
        ),
        command=command,
    )


def comparison_json(compared: ComparisonResult, *, point: Point, subject: Subject) -> str:
    """Return what turns the good configuration into the bad one, for machines."""
    content = {
        "version": point.name,
        "subject": subject.description,
        "metric": str(compared.criterion.metric),
        "threshold": compared.criterion.threshold,
        "differences": [asdict(each) for each in compared.differences],
        "sets": [_described(each) for each in compared.sets],
        "reverts": [_described(each) for each in compared.reverts],
        "inside": compared.inside.model_dump() if compared.inside else None,
        "tests": [
            {"applied": sorted(map(str, applied)), "result": str(value)}
            for applied, value in compared.values.items()
        ],
    }
    return json.dumps(content, indent=1)


def commit_at_fault(result: BisectionResult) -> FaultyCommit:
    """Return the commit as reports mark it."""
    commit = result.commit
    assert commit is not None
    values = f"{result.metric} {result.before.value} → {result.after.value}"
    return FaultyCommit(
        commit=commit.sha,
        date=commit.author_date,
        subject=commit.title,
        effect=f"{result.subject}: {values}",
    )


def headline(result: BisectionResult) -> str:
    """Return the answer of a search over revisions in one line."""
    verb = "made it good again" if result.becomes == "good" else "made it bad"
    if not result.is_certain:
        verb = f"probably {verb} (certainty {percent(result.certainty)})"
    if not result.found:
        return f"One of {len(result.suspects)} revisions {verb}; those between cannot be tested."
    if result.commit:
        commit = result.commit
        return f'{commit.sha[:9]} ({commit.author_date[:10]}, "{commit.title}") {verb}.'
    return f"Release {result.release} {verb}; name a clone with --repo to get to the commit."


def percent(probability: float) -> str:
    """Return a probability in words, never more than it is."""
    return f"{math.floor(1000 * probability) / 10:g} %"


def comparison_headline(compared: ComparisonResult, point: Point) -> str:
    """Return the answer of a search over flags and options in one line."""
    first, *others = compared.sets
    verb = "turns" if len(first.items) == 1 else "together turn"
    more = f"; so {'does' if len(others) == 1 else 'do'} {count(len(others), 'other set')}"
    return (
        f"{point.revision.label}: {{{_names(first.items)}}} {verb} good to bad"
        f"{more if others else ''}"
    )


def shortened(diff: str, commit: str) -> str:
    """Return the first hunks of a diff, whole ones, and how to see the others."""
    hunks = [hunk for hunk in re.split(r"(?m)^(?=diff --git|@@ )", diff) if hunk]
    is_headed = bool(hunks) and not hunks[0].startswith("@@ ")
    shown: list[str] = []
    for place, hunk in enumerate(hunks):
        lines = hunk.splitlines()
        # The names of the files alone would show nothing.
        if place > is_headed and len(shown) + len(lines) > DIFF_LINES:
            left = sum(part.startswith("@@ ") for part in hunks[place:])
            return "\n".join([*shown, f"# {left} more hunks: git show -m {commit[:12]}"])
        shown += lines[:DIFF_LINES]
        if len(lines) > DIFF_LINES:
            rest = len(lines) - DIFF_LINES
            return "\n".join(
                [*shown, f"# {rest} more lines of this hunk: git show -m {commit[:12]}"]
            )
    return "\n".join(shown)


def _filled(*sections: Section) -> tuple[Section, ...]:
    return tuple(each for each in sections if each.lines or each.rows or each.pairs or each.code)


def _conditions(result: BisectionResult) -> tuple[str, ...]:
    options = " ".join(f"-D{name}={value}" for name, value in result.flag_options.items())
    build = " ".join(filter(None, (options or "as ncnn has it", result.cxx_flags)))
    run = ", ".join(assignments(result.run_options))
    limit = (
        "it runs" if result.threshold is None else f"{result.metric} ≤ {number(result.threshold)}"
    )
    doubt = ("some verdicts lay near the threshold; they were repeated",)
    end = "bad" if result.becomes == "bad" else "good"
    behind = (
        f"{count(len(result.checked), 'revision')} from there to the {end} end measured, all "
        f"{end}: it was not taken back in between, as far as these tell",
    )
    return (
        f"{result.subject}, input {result.input}, {count(result.threads, 'thread')}; good means "
        f"{limit}",
        f"build {result.flags}: {build}",
        f"run {result.run}: {run or 'as ncnn has it'}",
        f"{result.measurements} measurements, {result.seconds:.0f} s; that both sides are as said "
        f"is {percent(result.certainty)} certain",
        *(behind if result.checked else ()),
        *(doubt if result.doubtful else ()),
    )


def _sides(result: BisectionResult) -> Section:
    return Section(
        heading=f"{result.subject}, before and after",
        header=("", "revision", "alone", "max abs", "in the whole model", "output: max abs"),
        rows=tuple(
            (word, *_side(side))
            for word, side in (("before", result.before), ("after", result.after))
        ),
    )


def _side(side: Side) -> tuple[str, ...]:
    own = _measure(side.own, "scale_relative") or side.value
    whole = _measure(side.whole_own, "scale_relative") or side.note
    return (side.name, own, _measure(side.own, "max_abs"), whole, _measure(side.output, "max_abs"))


def _measure(metrics: Metrics | None, name: str) -> str:
    return "" if metrics is None else number(getattr(metrics, name))


def _commit(commit: Commit) -> tuple[str, ...]:
    more = len(commit.files) - FILES
    files = ", ".join(commit.files[:FILES]) + (f" and {more} more" if more > 0 else "")
    return (
        commit.sha,
        f"author date {commit.author_date}",
        f"title: {commit.title}",
        f"files: {files}",
        f"releases that contain it: {_releases(commit.releases)}",
        *((f"brought in by merge {commit.merge[:9]}",) if commit.merge else ()),
    )


def _releases(names: tuple[str, ...]) -> str:
    if not names:
        return "none yet"
    return f"{names[0]} and {len(names) - 1} later ones" if len(names) > 1 else names[0]


def _suspects(result: BisectionResult) -> tuple[str, ...]:
    more = len(result.suspects) - SUSPECTS
    cleared = f"{count(result.cleared, 'revision')} between them, by the files changed no suspect"
    return (
        *result.suspects[:SUSPECTS],
        *((f"… {more} more",) if more > 0 else ()),
        *((cleared,) if result.cleared else ()),
    )


def _transitions(result: BisectionResult) -> tuple[str, ...]:
    if len(result.transitions) < 2:
        return ()
    return tuple(
        f"becomes {each.becomes}: {each.before} → {each.after}"
        + (f" ({each.suspects} revisions, not bisected)" if each.suspects > 1 else "")
        + (" (near the threshold)" if each.near else "")
        for each in result.transitions
    )


def _names(items: Iterable[Difference]) -> str:
    return ", ".join(map(str, items))


def _described(each: MinimalSet[Difference]) -> dict[str, object]:
    return {
        "items": [str(item) for item in each.items],
        "without": {
            str(item): str(result) for item, result in zip(each.items, each.without, strict=True)
        },
    }
