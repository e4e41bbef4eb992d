"""A finding in words: Markdown to paste into an issue; the console shows the same."""

from __future__ import annotations

from harness.analysis.bisection.result import BisectionResult, Side
from harness.domain.commits import FaultyCommit
from harness.domain.records import Metrics

HUNK_LINES = 60
FILES = 12
SUSPECTS = 20


def headline(result: BisectionResult) -> str:
    """Return the answer in one line."""
    verb = "made it good again" if result.becomes == "good" else "made it bad"
    if not result.found:
        return f"One of {len(result.suspects)} revisions {verb}; those between cannot be tested."
    if result.commit:
        commit = result.commit
        return f'{commit.sha[:9]} ({commit.author_date[:10]}, "{commit.title}") {verb}.'
    return f"Release {result.release} {verb}; name a clone with --repo to get to the commit."


def markdown(result: BisectionResult) -> str:
    """Return the answer as Markdown."""
    parts = [f"## {headline(result)}", _conditions(result), _numbers(result)]
    if result.commit:
        parts += [_commit(result)]
    elif not result.found:
        shown = [f"- {name}" for name in result.suspects[:SUSPECTS]]
        more = len(result.suspects) - len(shown)
        parts.append("\n".join(["Suspects:", "", *shown, *([f"- … {more} more"] if more else [])]))
    if len(result.transitions) > 1:
        parts.append(_transitions(result))
    for title, lines in (
        ("Needed for it to show", _needs(result)),
        ("Not testable", result.untested),
    ):
        if lines:
            parts.append("\n".join([f"{title}:", "", *(f"- {line}" for line in lines)]))
    if result.commit and result.commit.hunk:
        parts.append(f"```diff\n{shortened(result.commit.hunk)}\n```")
    return "\n\n".join(parts) + "\n"


def at_fault(result: BisectionResult) -> FaultyCommit:
    """Return the commit as reports show it."""
    commit = result.commit
    assert commit is not None
    values = f"{result.metric} {result.before.value} → {result.after.value}"
    return FaultyCommit(
        commit=commit.sha,
        date=commit.author_date,
        subject=commit.title,
        effect=f"{result.subject}: {values}",
    )


def _conditions(result: BisectionResult) -> str:
    options = " ".join(f"-D{name}={value}" for name, value in result.flag_options.items())
    extra = f" `{result.cxx_flags}`" if result.cxx_flags else ""
    run = ", ".join(f"{name}={str(value).lower()}" for name, value in result.run_options.items())
    limit = "it runs" if result.threshold is None else f"{result.metric} ≤ {result.threshold:.2g}"
    doubt = " Some verdicts lay near the threshold; they were repeated." if result.doubtful else ""
    return (
        f"Measured: {result.subject}, input `{result.input}`, {result.threads} thread"
        f"{'s' if result.threads > 1 else ''}; good means {limit}.{doubt}\n\n"
        f"- build `{result.flags}`: `{options or 'as ncnn has it'}`{extra}\n"
        f"- run `{result.run}`: `{run or 'as ncnn has it'}`\n"
        f"- {result.measurements} measurements, {result.seconds:.0f} s"
    )


def _numbers(result: BisectionResult) -> str:
    lines = [
        "| | revision | alone: scale-relative | max abs | in the whole model | output: max abs |",
        "|---|---|---|---|---|---|",
    ]
    for label, side in (("before", result.before), ("after", result.after)):
        lines.append(_row(label, side))
    notes = [f"{side.name}: {side.note}." for side in (result.before, result.after) if side.note]
    return "\n".join(lines) + ("\n\n" + " ".join(notes) if notes else "")


def _row(label: str, side: Side) -> str:
    own = number(side.own, "scale_relative") or side.value
    cells = [
        label,
        side.name.replace("|", "\\|"),
        own,
        number(side.own, "max_abs"),
        number(side.whole_own, "scale_relative"),
        number(side.output, "max_abs"),
    ]
    return f"| {' | '.join(cells)} |"


def number(metrics: Metrics | None, name: str) -> str:
    """Return one of the measures as text; empty where there is none."""
    return "" if metrics is None else f"{getattr(metrics, name):.1e}"


def _commit(result: BisectionResult) -> str:
    commit = result.commit
    assert commit is not None
    files = [f"`{name}`" for name in commit.files[:FILES]]
    more = len(commit.files) - len(files)
    lines = [
        f"- commit {commit.sha}",
        f"- author date {commit.author_date}",
        f"- title: {commit.title}",
        f"- files: {', '.join(files)}{f' and {more} more' if more else ''}",
        f"- releases that contain it: {_releases(commit.releases)}",
    ]
    if commit.merge:
        lines.append(f"- brought in by merge {commit.merge[:9]}")
    return "\n".join(lines)


def _releases(names: tuple[str, ...]) -> str:
    if not names:
        return "none yet"
    return f"{names[0]} and {len(names) - 1} later ones" if len(names) > 1 else names[0]


def _transitions(result: BisectionResult) -> str:
    lines = ["All changes seen, oldest first:", ""]
    for each in result.transitions:
        width = f" ({each.suspects} revisions, not bisected)" if each.suspects > 1 else ""
        lines.append(f"- becomes {each.becomes}: {each.before} → {each.after}{width}")
    return "\n".join(lines)


def _needs(result: BisectionResult) -> list[str]:
    sets = [
        f"{{{', '.join(each)}}}{': all of these are needed' if len(each) > 1 else ''}"
        for each in result.needs
    ]
    return [*sets, *result.evidence]


def shortened(hunk: str) -> str:
    """Return the beginning of a long diff."""
    lines = hunk.splitlines()
    more = [f"… {len(lines) - HUNK_LINES} more lines"] if len(lines) > HUNK_LINES else []
    return "\n".join([*lines[:HUNK_LINES], *more])
