"""What is said of a sweep and its findings, wherever it is said: terminal, page and Markdown."""

from __future__ import annotations

import math
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.analysis.sweep.runs import DEFAULT, EXACT, SINGLE_PRECISION
from harness.analysis.sweep.suspects import FaultKind, FaultState
from harness.domain.formatting import count, listed, number, short
from harness.report.cause_text import fix_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.analysis.attribution.causes import Cause, Fix
    from harness.analysis.sweep.finding import CommitFound, Explained, SweepFinding
    from harness.cases.judgement import CaseVerdict
    from harness.report.sweep_model import SweepReport
    from harness.report.sweep_table import CellState, LayerRow

_FAULTS = {
    FaultKind.CRASH: "crashes",
    FaultKind.UNSTABLE: "gives other results each time",
    FaultKind.VALUES: "computes wrong values",
    FaultKind.PRECISION: "loses precision",
    FaultKind.REFUSAL: "is not computed",
    FaultKind.NARROW: "is only as precise as a narrow format",
}
_RUNS = {
    DEFAULT: "by default",
    SINGLE_PRECISION: "without narrow formats",
    EXACT: "with every optimisation off",
}
FIXES = 3
"""Of one finding, where it is told in brief."""
SETTINGS = 4
"""Of one fix, beyond which it is told by their number."""
_NAMED = 4
_SHA_DIGITS = 40
_SHORT_DIGITS = 9


class Direction(StrEnum):
    """What becomes of a fault from the oldest version to the newest."""

    WORSE = "Gets worse"
    BETTER = "Gets better"
    BETWEEN = "Was wrong in between"
    LASTING = "Is wrong, and does not change"
    NARROW = "Rounds to a narrow format in some versions, as the options allow"


def direction(finding: SweepFinding) -> Direction:
    """Return what becomes of a finding from the oldest version to the newest that are known."""
    known = [state for state in finding.states if state is not FaultState.UNKNOWN]
    if not finding.is_change:
        return Direction.LASTING
    if finding.kind is FaultKind.NARROW:
        return Direction.NARROW
    if known[-1] is FaultState.BAD:
        return Direction.WORSE
    return Direction.BETTER if known[0] is FaultState.BAD else Direction.BETWEEN


def directions(report: SweepReport) -> dict[str, tuple[Explained, ...]]:
    """Return findings under their headings, in the order in which they are told.

    Those about narrow formats are many of one kind: see `narrow_lines`.
    """
    found: dict[str, tuple[Explained, ...]] = {}
    for way in (way for way in Direction if way is not Direction.NARROW):
        some = tuple(each for each in report.findings if direction(each.finding) is way)
        if some:
            single = way is Direction.LASTING and len(report.about.labels) == 1
            found["Is wrong" if single else str(way)] = some
    return found


def title(report: SweepReport) -> str:
    """Return the heading of the report."""
    first, last = report.about.labels[0], report.about.labels[-1]
    if first == last:
        return f"What is wrong in ncnn {first}"
    return f"What changes for you between ncnn {first} and {last}"


def sentence(report: SweepReport) -> str:
    """Return the answer in one sentence, without a full stop."""
    about = report.about
    last = about.labels[-1]
    together = "wrong throughout" if len(about.labels) > 1 else f"wrong in {last}"
    words = {
        Direction.WORSE: f"worse in {last}",
        Direction.BETTER: f"better in {last}",
        Direction.BETWEEN: "wrong in between",
        Direction.LASTING: together,
    }
    parts = []
    for way, start in words.items():
        layers = [e.finding.layer for e in report.findings if direction(e.finding) is way]
        if layers:
            parts.append(f"{start}: {_named(layers)}")
    text = "; ".join(parts) or f"nothing was found in {listed(about.labels)}"
    return text[0].upper() + text[1:]


def _named(layers: list[str]) -> str:
    names = list(dict.fromkeys(layers))
    if len(names) <= _NAMED:
        return listed(names)
    return f"{', '.join(names[:_NAMED])} and {count(len(names) - _NAMED, 'more layer type')}"


def count_words(report: SweepReport) -> str:
    """Return how many changes and other faults were found."""
    ways = Counter(direction(explained.finding) for explained in report.findings)
    narrow, rest = ways[Direction.NARROW], ways[Direction.LASTING]
    words = [count(len(report.findings) - narrow - rest, "change")]
    words += [f"{count(narrow, 'change')} of rounding"] if narrow else []
    return ", ".join([*words, count(rest, "other finding")])


def scope_words(report: SweepReport) -> str:
    """Return what was tried, in one line."""
    about = report.about
    return (
        f"{count(len(report.rows), 'layer type')}, {count(about.cases, 'case')} for each version, "
        f"{count(report.runs, 'run')}; flag set {about.flags}, seed {about.seed}"
    )


def fault_words(finding: SweepFinding) -> str:
    """Return what a layer does wrong, with the size."""
    verdict = finding.worst
    fault = _FAULTS[finding.kind]
    about = [size_words(verdict), verdict.reason]
    return f"{fault} ({'; '.join(filter(None, about))})" if any(about) else fault


def size_words(verdict: CaseVerdict) -> str:
    """Return how far a verdict's error is beyond its limit; empty where there is none."""
    if not verdict.limit:
        return ""
    error = number(verdict.error) if math.isfinite(verdict.error) else "NaN or infinite"
    return f"error {error}, limit {short(verdict.limit, 2)}"


def error_words(verdict: CaseVerdict) -> str:
    """Return the error of a verdict, for a table; a dash where it has none."""
    return number(verdict.error) if verdict.limit or verdict.error else "–"


def versions_words(finding: SweepFinding) -> str:
    """Return in which builds it does, and in which not."""
    pairs = zip(finding.builds, finding.states, strict=True)
    unknown = [build for build, state in pairs if state is FaultState.UNKNOWN]
    words = [f"in {listed(finding.bad)}"]
    words += [f"not in {listed(finding.good)}"] if finding.good else []
    words += [f"not known of {listed(unknown)}"] if unknown else []
    return ", ".join(words)


def run_words(report: SweepReport, finding: SweepFinding) -> str:
    """Return with which run options it does, by their names where they are many."""
    return run_phrase(report.about.run_name(finding.run))


def run_phrase(name: str) -> str:
    """Return with which run options, by their name."""
    if name in (EXACT, SINGLE_PRECISION):
        return f"{_RUNS[name]} ({name})"
    return _RUNS.get(name) or f"with {name}"


def finding_head(report: SweepReport, explained: Explained) -> str:
    """Return a finding in one line."""
    finding = explained.finding
    run = run_words(report, finding)
    return f"{finding.layer} {fault_words(finding)} {run}, {versions_words(finding)}"


def finding_lines(report: SweepReport, explained: Explained) -> Iterator[str]:
    """Yield what else is said of a finding in brief: its case, what stops it, since when."""
    finding = explained.finding
    yield f"smallest case {finding.case}{others_words(finding)}"
    fixes = explained.fixes
    for fix in fixes[:FIXES]:
        yield f"{brief_fix(fix)} stops it ({evidence_words(fix)})"
    if len(fixes) > FIXES:
        yield f"{len(fixes) - FIXES} more stop it, see the report"
    for found in finding.commits:
        yield commit_words(found)
    for known in report.known(explained):
        yield known.words
    yield f"again: {report.command(finding)}"
    if reproducer := report.reproducer(finding):
        yield f"for ncnn's maintainers: {reproducer}"


def others_words(finding: SweepFinding) -> str:
    """Return how many other cases of the sweep show the same."""
    if finding.cases <= 1:
        return ""
    return f"; {count(finding.cases, 'case')} of the sweep show it"


def causes_of(explained: Explained) -> list[Cause]:
    """Return the causes of a finding: those of other runs of its case may be of another fault."""
    own = {record.cell for record in explained.shown_by}
    return [cause for cause in explained.causes if own.intersection(cause.cells)]


def brief_fix(fix: Fix) -> str:
    """Return what to change, of many settings their number."""
    if len(fix.change) <= SETTINGS:
        return fix_words(fix)
    return f"changing {len(fix.change)} settings at once"


def evidence_words(fix: Fix) -> str:
    """Return the numbers behind a fix; of a model of one layer the chain is the layer."""
    pairs = count(len(fix.pairs), "pair")
    numbers = f"{number(fix.error_before)} → {number(fix.error_after)}, "
    known = numbers if math.isfinite(fix.error_before) else ""
    return f"{known}{'proved in' if fix.proved else 'seen in'} {pairs}"


def narrow_lines(report: SweepReport) -> list[str]:
    """Return the findings about narrow formats, layer types of one kind in one line."""
    groups: dict[str, list[str]] = {}
    for explained in report.findings:
        finding = explained.finding
        if direction(finding) is Direction.NARROW:
            words = f"{run_words(report, finding)}, {versions_words(finding)}"
            groups.setdefault(words, []).append(finding.layer)
    return [f"{words}: {listed(list(dict.fromkeys(names)))}" for words, names in groups.items()]


def commit_words(found: CommitFound) -> str:
    """Return what a bisection says of one change."""
    what = "introduced" if found.becomes_bad else "repaired"
    between = f"between {found.before} and {found.after}"
    if not found.before:
        between = f"before {found.after}"
    if found.problem:
        return f"{what} {between}; not bisected: {found.problem}"
    if not found.commit:
        few = f" by one of {count(len(found.suspects), 'commit')}" if found.suspects else ""
        return f"{what} {between}{few}"
    name = found.commit
    if len(name) == _SHA_DIGITS:
        name = name[:_SHORT_DIGITS]
    doubt = f" ({found.certainty:.0%} certain)" if found.certainty < 1 else ""
    return f"{what} by {name}{f' {found.title}' if found.title else ''}{doubt}"


def counts_words(row: LayerRow, label: str) -> str:
    """Return what becomes of a layer type's cases in a build, faults only."""
    total = row.run(label)
    if not total:
        return "not run"
    faults = {state: n for state, n in row.cases[label].items() if state.is_fault}
    if not faults:
        return f"0 of {total}"
    return f"{row.faulty(label)} of {total}: {states_words(faults)}"


def states_words(counts: Mapping[CellState, int]) -> str:
    """Return counts of states, the worst first."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{n} {state}" for state, n in counts.items())


def calm_words(report: SweepReport) -> str:
    """Return what is said of the layer types without faults, in one line; empty for none."""
    if not report.calm:
        return ""
    noun = "other layer type" if report.troubled else "layer type"
    labels = report.about.labels
    cases = max(sum(row.run(label) for row in report.calm) for label in labels)
    of = " of each version" if len(labels) > 1 else ""
    return f"{count(len(report.calm), noun)}: no fault in {count(cases, 'case')}{of}"


def gaps(report: SweepReport) -> dict[str, list[str]]:
    """Return what was not tried or not judged: the reason, with layer types and numbers of cases.

    The reason begins with the versions that it holds for, where it is not one for all.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    for build in report.about.builds:
        for layer, reasons in build.left_out.items():
            for reason, cases in reasons.items():
                found.setdefault((reason, layer), {})[build.label] = cases
    for row in report.rows:
        for label, undecided in row.undecided.items():
            for reason, cases in undecided.items():
                found.setdefault((reason, row.layer), {})[label] = cases
    told: dict[str, list[str]] = {}
    for (reason, layer), by_label in found.items():
        everywhere = len(by_label) == len(report.about.labels)
        where = "" if everywhere else f"{listed(list(by_label))}: "
        told.setdefault(f"{where}{reason}", []).append(f"{layer} ({max(by_label.values())})")
    return told
