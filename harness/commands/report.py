"""`report`: what to ship, what to avoid and why, from results that are there."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from harness.advisories.loading import load_corpus
from harness.analysis.sweep.suspects import FaultKind
from harness.commands import argument_types as types
from harness.commands.arguments import COMMON_EXITS, add_results
from harness.commands.places import REPORT, SUMMARY_VARIABLE
from harness.domain.commits import read_commits
from harness.domain.findings import read_findings
from harness.domain.records import Verdict
from harness.report.dataset import cmake_arguments, merged, newest_run
from harness.report.exports import junit
from harness.report.joining import Joined, join, run_directories
from harness.report.markdown import markdown
from harness.report.model import Report, assemble
from harness.report.sweep_about import is_sweep
from harness.report.sweep_model import read_sweep
from harness.report.sweep_page import sweep_markdown
from harness.report.sweep_terminal import show_sweep
from harness.report.sweep_write import write_sweep
from harness.report.targets import check_targets
from harness.report.terminal import show
from harness.report.write import OTHER_FORMS, write_files
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from harness.util.files import append_line, write_atomically
from harness.util.terminal import PlainConsole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

HELP = "turn results into one HTML page, Markdown, CSV, JSON and JUnit XML"
DESCRIPTION = """\
Says which ncnn version, build flags and run options to ship, which to avoid and why, as one HTML
page that needs no network, with report.md, report.csv and report.json beside it.
"""
EXAMPLES = """\
examples:
  nox -s report                                     the newest run
  nox -s report -- results/A results/B              several runs, machines or models in one
  nox -s report -- artifacts                        all runs below it: shards of a matrix, …
  nox -s report -- --compare results/A              the newest run against an older one
  nox -s report -- --junit out.xml --fail-on drop   for a CI job
"""
EXITS = {
    EXIT_OK: "the report is written",
    EXIT_FINDINGS: "with --fail-on: it has such findings, or is not complete",
    **COMMON_EXITS,
}


class FailOn(StrEnum):
    """Which findings end the command with exit code 1."""

    DROP = "drop"
    BROKEN = "broken"
    NEVER = "never"


_FAILURES = {
    FailOn.DROP: tuple(verdict for verdict in Verdict if verdict.is_finding),
    FailOn.BROKEN: (Verdict.BROKEN, Verdict.UNSTABLE, Verdict.BUILD_FAILED),
    FailOn.NEVER: (),
}

_FAULTS = {
    FailOn.DROP: tuple(kind for kind in FaultKind if kind is not FaultKind.NARROW),
    FailOn.BROKEN: (FaultKind.CRASH, FaultKind.UNSTABLE, FaultKind.VALUES, FaultKind.REFUSAL),
    FailOn.NEVER: (),
}
"""The same of a sweep."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "runs",
        nargs="*",
        type=types.path,
        metavar="RUN_DIR",
        help="run directories, or directories with run directories below them, such as the "
        "artifacts of jobs (default: the newest run)",
    )
    parser.add_argument(
        "--compare",
        type=types.path,
        metavar="OLD",
        help="older run directory, or one above several: show what got better, worse, is new or "
        "gone",
    )
    parser.add_argument(
        "--out",
        type=types.new_file_or_directory,
        metavar="PATH",
        help="the HTML file, or a directory for report.html (default: the run directory, of "
        "several the one above them)",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the Markdown instead of the tables"
    )
    parser.add_argument("--junit", type=types.new_file, metavar="FILE", help="also write JUnit XML")
    parser.add_argument(
        "--github-summary",
        action="store_true",
        help=f"also append the Markdown to the job summary, ${SUMMARY_VARIABLE}",
    )
    parser.add_argument(
        "--fail-on",
        type=types.choice(FailOn),
        default=FailOn.NEVER,
        metavar="WHAT",
        help="end with exit code 1 on any drop or worse (drop), only on broken cells and failed "
        "builds (broken), or never (default: %(default)s); also, but for never, where shards of a "
        "matrix are missing",
    )
    add_results(parser, "where run directories are")


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    if options.junit and options.junit.is_dir():
        raise UsageError(f"--junit {options.junit}: a directory. Name a file in it.")
    if options.github_summary and not os.environ.get(SUMMARY_VARIABLE):
        raise UsageError(
            f"--github-summary: ${SUMMARY_VARIABLE} is not set, as it is within a GitHub job. "
            "Leave the option out elsewhere, or use --markdown."
        )
    folders = options.runs or [newest_run(options.results)]
    paths = [path for folder in folders for path in run_directories(folder)]
    if any(is_sweep(path) for path in paths):
        return _report_sweep(options, paths)
    report = _assemble(join(folders), options.compare)
    page = _page(options.out) or _default_page(folders)
    usual = options.out is None and paths == folders[:1]
    check_targets(page, usual=usual, junit=options.junit, summary=_summary(options))
    write_files(report, page)
    if options.junit:
        write_atomically(options.junit, junit(report))
    if summary := _summary(options):
        append_line(summary, markdown(report))
    console = PlainConsole()
    if options.markdown:
        print(markdown(report))
    else:
        show(console, report)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)
    failures = _FAILURES[options.fail_on]
    found = any(record.verdict in failures for record in report.records)
    found = found or bool(failures and report.incomplete)
    return EXIT_FINDINGS if found else EXIT_OK


def _report_sweep(options: argparse.Namespace, folders: Sequence[Path]) -> int:
    """Report one sweep.

    Raises:
        UsageError: more is asked for than a sweep has.
    """
    if len(folders) > 1:
        raise UsageError("A sweep has a report of its own: give one run directory at a time.")
    for name in ("compare", "junit"):
        if getattr(options, name):
            raise UsageError(f"--{name} is not for sweeps. Leave it out.")
    report = read_sweep(folders[0], load_corpus())
    page = _page(options.out) or folders[0] / REPORT
    check_targets(page, usual=options.out is None, summary=_summary(options))
    write_sweep(report, page)
    if summary := _summary(options):
        append_line(summary, sweep_markdown(report))
    console = PlainConsole()
    if options.markdown:
        print(sweep_markdown(report))
    else:
        show_sweep(console, report)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)
    found = {each.finding.kind for each in report.findings} & set(_FAULTS[options.fail_on])
    return EXIT_FINDINGS if found else EXIT_OK


def _assemble(joined: Joined, older: Path | None) -> Report:
    runs = joined.runs
    latest = runs[-1]
    return assemble(
        merged(runs),
        title=latest.config.title,
        tolerance=latest.config.tolerance,
        commits=read_commits(run.path for run in runs),
        findings=read_findings(run.path for run in runs),
        previous=merged(join([older]).runs) if older else (),
        config=latest.config_path,
        requested={k: v for run in runs for k, v in cmake_arguments(run.config).items()},
        left_out={k: v for run in runs for k, v in run.left_out.items()},
        incomplete=joined.incomplete,
        advisories=load_corpus(),
    )


def _summary(options: argparse.Namespace) -> Path | None:
    return Path(os.environ[SUMMARY_VARIABLE]) if options.github_summary else None


def _default_page(folders: Sequence[Path]) -> Path:
    folder = folders[0] if len(folders) == 1 else folders[0].resolve().parent
    return folder / REPORT


def _page(out: Path | None) -> Path | None:
    """Return the page that `--out` names: in a directory that is there, under the usual name.

    Raises:
        UsageError: the name is one of the other forms, which stand beside the page.
    """
    if out is None:
        return None
    if out.suffix in OTHER_FORMS:
        raise UsageError(
            f"--out {out}: the page is HTML, and {', '.join(OTHER_FORMS)} stand beside it. Name "
            f"it {out.with_suffix('.html')}."
        )
    return out / REPORT if out.is_dir() else out
