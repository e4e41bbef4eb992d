"""The end of a sweep: what it was, its findings, its report, and what is printed of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import harness
from harness.advisories.loading import load_corpus
from harness.analysis.sweep.runs import run_words
from harness.commands.reproduction import file_words
from harness.report.sweep_about import SweepAbout, SweptBuild, reference_of, write_about
from harness.report.sweep_model import keep_findings, read_sweep
from harness.report.sweep_terminal import show_sweep
from harness.report.sweep_write import write_sweep

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from harness.analysis.sweep.bench import CaseBench
    from harness.analysis.sweep.collection import Collection
    from harness.analysis.sweep.finding import Explained
    from harness.analysis.sweep.laboratory import SweepSubject
    from harness.domain.records import BuildRecord
    from harness.domain.verdict import Tolerance
    from harness.execution.run_directory import RunDirectory


def conclude_sweep(
    run: RunDirectory, about: SweepAbout, found: Iterable[Explained], console: Console
) -> None:
    """Keep what a sweep found, write its report, show what it says, and close its directory."""
    keep_findings(found, run.path)
    write_about(about, run.path)
    report = read_sweep(run.path, load_corpus())
    page = write_sweep(report, run.path / "report.html")
    run.close()
    show_sweep(console, report)
    console.print(f"results: {run.path}", highlight=False, soft_wrap=True)
    console.print(f"report:  {page}", highlight=False, soft_wrap=True)


def about_sweep(
    options: argparse.Namespace,
    subjects: Sequence[SweepSubject],
    bench: CaseBench,
    collection: Collection,
    *,
    layers: Iterable[str],
    cases: int,
    tolerance: Tolerance,
) -> SweepAbout:
    """Return what a sweep was.

    Args:
        options: what its command was told.
        subjects: the versions.
        bench: has their builds.
        collection: what became of the cases.
        layers: the layer types.
        cases: how many were made up for each build.
        tolerance: the limits.
    """
    return SweepAbout(
        builds=tuple(
            _build(subject, record, collection)
            for subject, record in zip(subjects, bench.records, strict=True)
        ),
        flags=options.flags,
        seed=options.seed,
        cases=cases,
        references={kind: reference_of(kind) for kind in layers},
        arguments=tuple(_arguments(options)),
        tolerance=tolerance,
        machine=dict(bench.machine),
        harness=harness.__version__,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _build(subject: SweepSubject, record: BuildRecord, collection: Collection) -> SweptBuild:
    left_out = collection.left_out.get(subject.label, {})
    return SweptBuild(
        label=subject.label,
        version=subject.label.partition("#")[0],
        id=record.id,
        source=record.source,
        source_digest=record.source_digest,
        compiler=record.compiler,
        runs={run.name: run_words(run) for run in subject.runs},
        left_out={kind: dict(reasons) for kind, reasons in left_out.items()},
    )


def _arguments(options: argparse.Namespace) -> list[str]:
    """Return the arguments of a command line that does the same for other cases."""
    words = [*file_words(options), "--flags", options.flags]
    words += ["--run", options.run] if options.run else []
    # Another CPU than the workers' need not show the same.
    words += ["--scheduler", options.scheduler] if options.scheduler else []
    return [*words, *(["--repo", options.repo] if options.repo else [])]
