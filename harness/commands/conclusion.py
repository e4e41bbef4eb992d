"""The end of a diagnosis or a bisection: its cells, its finding, and the report of both."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.config.tables import Config
from harness.domain.commits import FaultyCommit
from harness.domain.findings import Finding, write_finding
from harness.domain.records import CellRecord
from harness.execution.run_directory import RunDirectory
from harness.report.dataset import cmake_arguments
from harness.report.write import write_report


def conclude(
    run: RunDirectory,
    records: Sequence[CellRecord],
    finding: Finding,
    *,
    config: Config,
    path: Path,
    commits: Sequence[FaultyCommit] = (),
) -> Path:
    """Keep what was found where `nox -s report` finds it, and return the report's page.

    Args:
        run: where it goes.
        records: cells that show it.
        finding: what was found.
        config: the configuration in use.
        path: its file.
        commits: those at fault, to mark.
    """
    for record in records:
        run.append(record)
    write_finding(finding, run.path)
    return write_report(
        records,
        run.path,
        title=finding.title,
        tolerance=config.tolerance,
        commits=commits,
        findings=[finding],
        config=path,
        requested=cmake_arguments(config),
    )


def cell_command(
    options: argparse.Namespace, *more: str, version: str, flags: str, run: str
) -> str:
    """Return the command that measures a build and run which the configuration need not have.

    Args:
        options: what the command at hand was told; its `--config` is kept.
        more: further arguments.
        version: release, revision or label.
        flags: name of a flag set, with changes or without.
        run: the same of run options.
    """
    words = [*config_words(options), *more]
    words += ["--version", version, "--flags", flags, "--run", run]
    return f"nox -s matrix -- {shlex.join(words)}"


def config_words(options: argparse.Namespace) -> list[str]:
    """Return the `--config` argument of a command line that does the same, if it needs one."""
    default = Path("configs/default.toml")
    same = options.config.resolve() == default.resolve()
    return [] if same else ["--config", str(options.config)]
