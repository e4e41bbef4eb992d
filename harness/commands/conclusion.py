"""The end of a command: its cells, its finding, its report, and what is printed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.advisories.loading import load_corpus
from harness.domain.findings import Finding, write_finding
from harness.report.console import show
from harness.report.csv_tables import layers_csv
from harness.report.dataset import cmake_arguments
from harness.report.model import assemble
from harness.report.write import write_files
from harness.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.config.tables import Config
    from harness.domain.commits import FaultyCommit
    from harness.domain.records import CellRecord
    from harness.execution.run_directory import RunDirectory


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
    report = assemble(
        records,
        title=finding.title,
        tolerance=config.tolerance,
        commits=commits,
        findings=[finding],
        config=path,
        requested=cmake_arguments(config),
        advisories=load_corpus(),
    )
    return write_files(report, run.path / "report.html")


def conclude_matrix(
    run: RunDirectory,
    records: Sequence[CellRecord],
    *,
    config: Config,
    path: Path,
    left_out: Mapping[str, str],
    console: Console,
) -> bool:
    """Write tables and report of a finished matrix, show what it says, and close its directory.

    Args:
        run: where everything goes.
        records: all cells, in the order of the matrix.
        config: the configuration in use.
        path: its file.
        left_out: why cells were not run, by their ids.
        console: where to print.

    Returns:
        Whether there is nothing to find fault with.
    """
    write_atomically(run.path / "layers.csv", layers_csv(records))
    report = assemble(
        records,
        title=config.title,
        tolerance=config.tolerance,
        config=path,
        requested=cmake_arguments(config),
        left_out=left_out,
        advisories=load_corpus(),
    )
    page = write_files(report, run.path / "report.html")
    run.close()
    for part in report.parts:
        show(console, part)
    console.print(f"results: {run.path}", highlight=False, soft_wrap=True)
    console.print(f"report:  {page}", highlight=False, soft_wrap=True)
    return not any(part.summary.has_findings for part in report.parts)
