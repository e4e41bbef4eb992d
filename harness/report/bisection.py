"""A finding in words: Markdown to paste into an issue; the console shows the same."""

from __future__ import annotations

from harness.analysis.bisection.result import Finding, Side
from harness.domain.commits import GuiltyCommit
from harness.domain.records import Metrics

HUNK_LINES = 60
FILES = 12
SUSPECTS = 20


def headline(finding: Finding) -> str:
    """Return the answer in one line."""
    verb = "made it good again" if finding.becomes == "good" else "made it bad"
    if not finding.found:
        return f"One of {len(finding.suspects)} revisions {verb}; those between cannot be tested."
    if finding.commit:
        commit = finding.commit
        return f'{commit.sha[:9]} ({commit.author_date[:10]}, "{commit.title}") {verb}.'
    return f"Release {finding.release} {verb}; name a clone with --repo to get to the commit."


def markdown(finding: Finding) -> str:
    """Return the answer as Markdown."""
    parts = [f"## {headline(finding)}", _conditions(finding), _numbers(finding)]
    if finding.commit:
        parts += [_commit(finding)]
    elif not finding.found:
        shown = [f"- {name}" for name in finding.suspects[:SUSPECTS]]
        more = len(finding.suspects) - len(shown)
        parts.append("\n".join(["Suspects:", "", *shown, *([f"- … {more} more"] if more else [])]))
    if len(finding.transitions) > 1:
        parts.append(_transitions(finding))
    for title, lines in (
        ("Needed for it to show", _needs(finding)),
        ("Not testable", finding.untested),
    ):
        if lines:
            parts.append("\n".join([f"{title}:", "", *(f"- {line}" for line in lines)]))
    if finding.commit and finding.commit.hunk:
        parts.append(f"```diff\n{shortened(finding.commit.hunk)}\n```")
    return "\n\n".join(parts) + "\n"


def guilty(finding: Finding) -> GuiltyCommit:
    """Return the commit as reports show it."""
    commit = finding.commit
    assert commit is not None
    values = f"{finding.metric} {finding.before.value} → {finding.after.value}"
    return GuiltyCommit(
        commit=commit.sha,
        date=commit.author_date,
        subject=commit.title,
        effect=f"{finding.subject}: {values}",
    )


def _conditions(finding: Finding) -> str:
    options = " ".join(f"-D{name}={value}" for name, value in finding.flag_options.items())
    extra = f" `{finding.cxx_flags}`" if finding.cxx_flags else ""
    run = ", ".join(f"{name}={str(value).lower()}" for name, value in finding.run_options.items())
    limit = (
        "it runs" if finding.threshold is None else f"{finding.metric} ≤ {finding.threshold:.2g}"
    )
    doubt = " Some verdicts lay near the threshold; they were repeated." if finding.doubtful else ""
    return (
        f"Measured: {finding.subject}, input `{finding.input}`, {finding.threads} thread"
        f"{'s' if finding.threads > 1 else ''}; good means {limit}.{doubt}\n\n"
        f"- build `{finding.flags}`: `{options or 'as ncnn has it'}`{extra}\n"
        f"- run `{finding.run}`: `{run or 'as ncnn has it'}`\n"
        f"- {finding.measurements} measurements, {finding.seconds:.0f} s"
    )


def _numbers(finding: Finding) -> str:
    lines = [
        "| | revision | alone: scale-relative | max abs | in the whole model | output: max abs |",
        "|---|---|---|---|---|---|",
    ]
    for label, side in (("before", finding.before), ("after", finding.after)):
        lines.append(_row(label, side))
    notes = [f"{side.name}: {side.note}." for side in (finding.before, finding.after) if side.note]
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


def _commit(finding: Finding) -> str:
    commit = finding.commit
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


def _transitions(finding: Finding) -> str:
    lines = ["All changes seen, oldest first:", ""]
    for each in finding.transitions:
        width = f" ({each.suspects} revisions, not bisected)" if each.suspects > 1 else ""
        lines.append(f"- becomes {each.becomes}: {each.before} → {each.after}{width}")
    return "\n".join(lines)


def _needs(finding: Finding) -> list[str]:
    sets = [
        f"{{{', '.join(each)}}}{': all of these are needed' if len(each) > 1 else ''}"
        for each in finding.needs
    ]
    return [*sets, *finding.evidence]


def shortened(hunk: str) -> str:
    """Return the beginning of a long diff."""
    lines = hunk.splitlines()
    more = [f"… {len(lines) - HUNK_LINES} more lines"] if len(lines) > HUNK_LINES else []
    return "\n".join([*lines[:HUNK_LINES], *more])
