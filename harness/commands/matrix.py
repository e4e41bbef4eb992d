"""`matrix`: build, run, compare, and say what causes a drop."""

from __future__ import annotations

import importlib
import json
import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import harness
from harness.analysis.conversion.preparation import ModelPreparation
from harness.build.toolchain import find_compiler
from harness.commands import argument_types as types
from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_jobs,
    add_locked,
    add_results,
)
from harness.commands.engines import add_scheduler, cluster_of, engine_of
from harness.commands.proof import Proof
from harness.commands.reproduction import file_words, model_words
from harness.commands.selection import add_selection, check_any, selected
from harness.config.cells import Matrix, inputs_of, to_ask, with_layers
from harness.config.loading import config_text
from harness.config.shards import divided, part_of
from harness.domain.records import Failure, Verdict
from harness.domain.spec import BuildSpec, InputSpec, ModelSpec, RunSpec, content_key
from harness.execution.engine import ModelAtHand, NoModel
from harness.execution.local_machine import LocalMachine
from harness.execution.run_directory import RunDirectory, open_run
from harness.execution.shard_file import ShardState, write_shard
from harness.model.prepared_model import prepare_model
from harness.report.console import MatrixProgress, saying, wide_console
from harness.util.build_store import Store
from harness.util.errors import (
    EXIT_FINDINGS,
    EXIT_OK,
    MachineError,
    ModelError,
    SourceError,
    UsageError,
)
from harness.util.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from harness.cluster.connection import Cluster
    from harness.config.shards import Shard
    from harness.config.tables import Config
    from harness.domain.records import CellRecord
    from harness.execution.engine import Engine

HELP = "build every version and flag set, run the model on each, find the cause of a drop"
DESCRIPTION = """\
Compiles each ncnn version with each flag set, runs the model with each set of run options, compares
every layer with ONNX Runtime and names the version, flag or option that causes a loss of precision.
Everything is kept: a second run compiles nothing, and an interrupted one continues.
"""
EXAMPLES = """\
examples:
  nox -s matrix                                   the default matrix
  nox -s matrix -- --onnx my.onnx                 the same for this model
  nox -s matrix -- --onnx my.onnx --shape 1,3,320,320
  nox -s matrix -- --onnx my.onnx --converter 'pnnx 20250530' --converter 'pnnx 20240819'
  nox -s matrix -- --list                         which cells that means
  nox -s matrix -- --only '20250503-avx2*'        only some builds
  nox -s matrix -- --only '*/fp16-off/*'          only one set of run options
  nox -s matrix -- --config configs/mine.toml     another matrix, another model
  nox -s matrix -- --version 20241226 --flags avx2 --flags avx2,NCNN_F16C=OFF
                                                  other axes, just this time
  nox -s matrix -- --version HEAD --repo ~/src/ncnn
  nox -s matrix -- --shard 2/4                    the second quarter of the builds

an id is build/run/input; a GLOB may match all of it, build/run, or the build alone. With several
converters it is build/run@converter/input, and a GLOB without @converter matches all of them
"""
EXITS = {
    EXIT_OK: "all cells are fine",
    EXIT_FINDINGS: "a cell is `drop`, `model-differs`, `broken` or `build-failed`, or nothing "
    "could be measured",
    **COMMON_EXITS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_selection(parser)
    parser.add_argument(
        "--shard",
        type=types.shard,
        metavar="I/N",
        help="run only this one of N shards of what the other arguments select; each build is in "
        "one of them, see `python -m harness ci-matrix`",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the id of every cell and do nothing"
    )
    parser.add_argument("--json", action="store_true", help="with --list: for machines")
    parser.add_argument(
        "--retry-failed", action="store_true", help="compile builds again that failed before"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="measure everything anew: do not continue an interrupted run, recall no cell",
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="also compile the builds that are missing to prove what causes a fault",
    )
    add_jobs(parser, "compilers and cells to run at the same time")
    add_scheduler(parser)
    add_builds(parser)
    add_locked(parser)
    add_results(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    if options.json and not options.list:
        raise UsageError("--json goes with --list. Results are in results/*/cells.jsonl.")
    store = Store(root=options.builds.resolve())
    config, whole = selected(options, store)
    if not options.list:
        check_any(whole)
    matrix = part_of(whole, options.shard) if options.shard else whole
    if options.list:
        return _list(matrix, as_json=options.json)
    with cluster_of(options, matrix.builds) as cluster:
        return _measure(options, config, store, whole, matrix, cluster)


def _measure(
    options: argparse.Namespace,
    config: Config,
    store: Store,
    whole: Matrix,
    matrix: Matrix,
    cluster: Cluster | None,
) -> int:
    """Measure a matrix, or one shard of it, tell what it gives, and return the exit code."""
    base = options.config.resolve().parent
    console = wide_console()
    reporter = MatrixProgress(console, builds=len(matrix.builds), cells=len(matrix.cells))
    machine = LocalMachine.prepared(
        config,
        store,
        jobs=options.jobs,
        retry_failed=options.retry_failed,
        fresh=options.fresh,
        watch=reporter.build_advanced,
    )
    with (
        saying(console, "fetching model, inputs and sources") as say,
        # These take as long as evaluating the model, and need nothing of it.
        ThreadPoolExecutor(1) as pool,
    ):
        revisions = [build.revision for build in matrix.builds]
        fetched = pool.submit(machine.resolver.fetch, revisions)
        asked = to_ask(config, base, matrix.builds)
        models = _prepared(matrix, inputs_of(config, base), asked, machine, console, say)
        fetched.result()
    machine.check()
    layers = {
        spec: found.model.graph.layer_types()
        for spec, found in models.items()
        if isinstance(found, ModelAtHand)
    }
    matrix = with_layers(matrix, layers)
    reporter.expect(len({cell.build for cell in matrix.cells if cell.model in layers}))
    run = open_run(
        options.results,
        name=config.model.name if options.onnx else options.config.stem,
        key=_key(config, matrix),
        config=config_text(options.config, config),
        fresh=options.fresh,
    )
    left_out = {item.cell.id: item.reason for item in matrix.left_out}
    run.leave_out(left_out)
    elsewhere = _kept_shard(options, config, whole, run)
    # What tells the result takes a second to import, in which this thread only waits for cells.
    with ThreadPoolExecutor(1) as pool:
        telling = pool.submit(importlib.import_module, "harness.commands.conclusion")
        with reporter:
            engine = engine_of(cluster, options, config, machine, models, reporter)
            records = _run(engine, matrix, run, reporter, _command(options))
            proof = Proof(
                config=config,
                options=options,
                engine=engine,
                run=run,
                told=reporter.proving,
                elsewhere=elsewhere,
            )
            experiments = proof.records(matrix.cells, records)
    conclusion = telling.result()
    fine: bool = conclusion.conclude_matrix(
        run,
        [*records, *experiments],
        config=config,
        path=options.config,
        left_out=left_out,
        console=console,
    )
    if not options.prove:
        reporter.unproved(proof.missing_builds([*records, *experiments], matrix.cells))
    return EXIT_OK if fine else EXIT_FINDINGS


def _kept_shard(
    options: argparse.Namespace, config: Config, whole: Matrix, run: RunDirectory
) -> tuple[BuildSpec, ...]:
    """Keep which shard of a matrix a run is, if it is one, and return the builds of the others."""
    shard: Shard | None = options.shard
    if not shard:
        return ()
    shards = divided(whole, shard.count)
    ids = tuple(tuple(build.id for build in builds) for builds in shards)
    write_shard(ShardState(index=shard.index, model=config.model.name, builds=ids), run.path)
    return tuple(build for build in whole.builds if build not in shards[shard.index - 1])


def _prepared(
    matrix: Matrix,
    inputs: Sequence[InputSpec],
    asked: Sequence[tuple[BuildSpec, RunSpec | None]],
    machine: LocalMachine,
    console: Console,
    say: Callable[[str], None],
) -> dict[ModelSpec, ModelAtHand | NoModel]:
    """Prepare the model by each converter, prove what it holds, and prepare its inputs.

    Raises:
        HarnessError: no converter makes anything of it.
    """
    found: dict[ModelSpec, ModelAtHand | NoModel] = {}
    errors = []
    for spec in dict.fromkeys(cell.model for cell in matrix.cells):
        try:
            model = prepare_model(spec, machine.store, machine.limits.model_bytes)
        except (ModelError, MachineError, SourceError) as error:
            verdict = Verdict.UNSUPPORTED if isinstance(error, ModelError) else Verdict.SKIPPED
            found[spec] = NoModel(verdict=verdict, reason=str(error))
            errors.append(error)
            continue
        for note in model.notes:
            console.print(note, highlight=False, markup=False, soft_wrap=True)
        preparation = ModelPreparation(machine=machine, model=model, builds=asked, say=say)
        preparation.prove(inputs)
        prepared = {item.name: preparation.input(item) for item in inputs}
        found[spec] = ModelAtHand(model=preparation.model, inputs=prepared)
    if errors and len(errors) == len(found):
        raise errors[0]
    return found


def _command(options: argparse.Namespace) -> str:
    """Return the beginning of a command for one cell, if it takes more than the configuration."""
    words = [*model_words(options), *(["--repo", options.repo] if options.repo else [])]
    for name in ("version", "flags", "run"):
        for value in getattr(options, name):
            words += [f"--{name}", value]
    return f"nox -s matrix -- {shlex.join([*file_words(options), *words])}" if words else ""


def _is_to_be_tried_again(record: CellRecord) -> bool:
    return record.verdict is Verdict.SKIPPED or record.failure is Failure.MACHINE


def _run(
    engine: Engine, matrix: Matrix, run: RunDirectory, reporter: MatrixProgress, command: str
) -> list[CellRecord]:
    """Run the cells that have no record yet and return all records in the matrix's order.

    What was skipped, or this machine kept from being measured, is tried again: what was in the way
    may have gone.
    """
    known = run.records()
    done = {record.cell: record for record in known if not _is_to_be_tried_again(record)}
    if done:
        reporter.resumed(run.path, len(done))
    for measured in engine.run([cell for cell in matrix.cells if cell.id not in done]):
        record = measured
        if command:
            only = shlex.quote(measured.cell.rpartition("/")[0])
            record = measured.model_copy(update={"command": f"{command} --only {only}"})
        run.append(record)
        done[record.cell] = record
    return [done[cell.id] for cell in matrix.cells]


def _key(config: Config, matrix: Matrix) -> str:
    """Return what makes two runs the same: the cells, how they are judged, and by what."""
    return content_key(
        {
            "harness": harness.__version__,
            "cells": [asdict(cell) for cell in matrix.cells],
            "tolerance": config.tolerance.model_dump(),
            "limits": config.limits.model_dump(),
            "compilers": _compilers(matrix),
        }
    )


def _compilers(matrix: Matrix) -> list[list[str]]:
    """Return what compiles here: cells of two compilers are not one run, though called the same."""
    found = []
    for flags in dict.fromkeys(build.flags for build in matrix.builds):
        name = flags.target.compiler if flags.target else flags.compiler
        with suppress(MachineError):
            compiler = find_compiler(name)
            found.append([flags.name, str(compiler.path), compiler.version])
    return found


def _list(matrix: Matrix, *, as_json: bool) -> int:
    if as_json:
        cells = [
            {
                "id": cell.id,
                "build": cell.build.id,
                "version": cell.build.revision.label,
                "flags": cell.build.flags.name,
                "run": cell.run.name,
                "converter": cell.model.converter,
                "input": cell.input.name,
            }
            for cell in matrix.cells
        ]
        left_out = [{"id": item.cell.id, "reason": item.reason} for item in matrix.left_out]
        print(json.dumps({"cells": cells, "left_out": left_out}, indent=1))
        return EXIT_OK
    for cell in matrix.cells:
        print(printable(cell.id))
    for item in matrix.left_out:
        print(printable(f"# {item.cell.id}: {item.reason}"))
    return EXIT_OK
