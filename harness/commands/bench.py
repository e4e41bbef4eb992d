"""`bench`: how much faster than a plain build of ncnn each way to a result is."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

import harness
from harness.analysis.benchmark import Benchmark, Timing, ratios, table
from harness.analysis.conversion.preparation import ModelPreparation
from harness.build.compiler_cache import find_compiler_cache
from harness.build.toolchain import find_compiler
from harness.commands import argument_types as types
from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_config,
    add_jobs,
    add_locked,
    add_results,
    loaded,
)
from harness.config.cells import expand, inputs_of, model_of, revision_of
from harness.config.flags import resolve_flag_set
from harness.execution.cell_runner import machine
from harness.execution.local_machine import LocalMachine
from harness.model.prepared_model import prepare_model
from harness.report.console import Ticker, wide_console
from harness.util.build_store import Store
from harness.util.errors import EXIT_OK
from harness.util.files import write_atomically

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from harness.config.tables import Config

HELP = "time each way to a result beside a plain build of ncnn"
DESCRIPTION = """\
Builds the whole of ncnn as somebody without this tool would, then measures on the same machine what
a cell costs here: cold, with another version, commit or flag set before it, cached, and running it.
Nothing else should run on the machine meanwhile; the load is noted with each line.
"""
EXAMPLES = """\
examples:
  nox -s bench                        all but the line that needs a repository
  nox -s bench -- --repo ~/src/ncnn   also the next commit
  nox -s bench -- --no-matrix         without the two runs of the whole matrix
"""
EXITS = {EXIT_OK: "all is timed", **COMMON_EXITS}

DEFAULT_FLAGS = "runtime"
"""What ncnn's own defaults mean on x86: another naive build, the one that most people make."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser, "configuration with the model and the matrix")
    parser.add_argument(
        "--version",
        type=types.name,
        default="20250503",
        help="what to build (default: %(default)s)",
    )
    parser.add_argument(
        "--flags", type=types.name, default="avx2", help="with which flags (default: %(default)s)"
    )
    parser.add_argument(
        "--other-version",
        type=types.name,
        default="20250428",
        help="built after it (default: %(default)s)",
    )
    parser.add_argument(
        "--other-flags",
        type=types.name,
        default="avx2-nof16c",
        help="likewise (default: %(default)s)",
    )
    parser.add_argument(
        "--repo", type=types.repository, metavar="DIR", help="clone of ncnn, for the next commit"
    )
    parser.add_argument(
        "--commit",
        type=types.name,
        default="HEAD",
        metavar="REV",
        help="newest commit to build (default: HEAD)",
    )
    parser.add_argument("--no-matrix", action="store_true", help="leave the whole matrix out")
    add_jobs(parser)
    add_builds(parser, "store to take sources and the model from")
    add_locked(parser)
    add_results(parser, "where the CSV file goes")


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    config = loaded(options)
    console = wide_console()
    store = Store(root=options.builds.resolve())
    store.prepare()
    # In the store: a temporary directory may be in memory, and everything would look faster.
    store.work.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=store.work))
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = options.results / f"bench-{stamp}.csv"
    naive: list[Timing] = []
    timings: list[Timing] = []
    try:
        for timing in _measure(options, config, store, scratch, Ticker(console)):
            if timing.what.startswith("naive"):
                naive.append(timing)
            timings.append(timing)
            console.print(_line(timing), highlight=False, soft_wrap=True)
            write_atomically(path, table(timings, naive, _machine(store)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    console.print(_summary(timings, naive))
    if not options.repo:
        console.print("next commit: not measured, --repo names no repository", highlight=False)
    console.print(f"results: {path}", highlight=False, soft_wrap=True)
    return EXIT_OK


def _measure(
    options: argparse.Namespace,
    config: Config,
    store: Store,
    scratch: Path,
    notify: Callable[[str], None],
) -> Iterator[Timing]:
    base = options.config.resolve().parent
    machine = LocalMachine.prepared(config, store, jobs=options.jobs)
    specs = inputs_of(config, base)
    first = expand(config, base=base).cells[0]
    preparation = ModelPreparation(
        machine=machine,
        model=prepare_model(model_of(config, base), store, config.limits.model_bytes),
        builds=[(first.build, None)],
    )
    model = preparation.prove(specs)
    benchmark = Benchmark(
        resolver=machine.resolver,
        scratch=scratch,
        revision=revision_of(options.version, config, base),
        other=revision_of(options.other_version, config, base),
        flags=resolve_flag_set(options.flags, config.flags, config.targets),
        other_flags=resolve_flag_set(options.other_flags, config.flags, config.targets),
        model=model,
        jobs=options.jobs,
        notify=notify,
    )
    yield benchmark.naive(resolve_flag_set(options.flags, config.flags, config.targets))
    yield from benchmark.builds()
    own = [
        cell
        for cell in expand(config, base=base).cells
        if (cell.build, cell.run, cell.model) == (first.build, first.run, first.model)
    ]
    prepared = {spec.name: preparation.input(spec) for spec in specs}
    yield benchmark.cells(own, [prepared[cell.input.name] for cell in own], machine.cells)
    if options.repo:
        yield benchmark.commits(options.repo, options.commit)
    if not options.no_matrix:
        yield from benchmark.matrix(options.config)
    # The longest one comes last: whoever interrupts it loses little.
    yield benchmark.naive(resolve_flag_set(DEFAULT_FLAGS, config.flags, config.targets))


def _machine(store: Store) -> dict[str, object]:
    cache = find_compiler_cache(store.objects, gib=1)
    return {
        **machine(),
        "cores": os.cpu_count(),
        "compiler": find_compiler("").version,
        "compiler cache": cache.program.name if cache else "none",
        "harness": harness.__version__,
    }


def _line(timing: Timing) -> str:
    note = f" ({timing.note})" if timing.note else ""
    return f"{timing.what}{note}: {timing.seconds:.2f} s, load {timing.load:.1f}"


def _summary(timings: list[Timing], naive: list[Timing]) -> Table:
    """Return how many times faster than each naive build everything is."""
    summary = Table(box=None, pad_edge=False, header_style="bold")
    summary.add_column("times faster than")
    for base in naive:
        summary.add_column(base.what, justify="right")
    for timing in timings:
        if timing not in naive:
            summary.add_row(timing.what, *(f"{ratio:.1f}" for ratio in ratios(timing, naive)))
    return summary
