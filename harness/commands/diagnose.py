"""`diagnose`: which layers are at fault in one cell, by which mechanism, and what fixes it."""

from __future__ import annotations

import argparse
import importlib
import shlex
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from harness.analysis.conversion.preparation import ModelPreparation
from harness.analysis.diagnosis.cell_choice import chosen_cell
from harness.analysis.diagnosis.crash import sanitized
from harness.analysis.diagnosis.examination import Question, examine
from harness.analysis.diagnosis.input_folder import inputs_in
from harness.analysis.diagnosis.pipeline import FIXES, DiagnosisPipeline
from harness.analysis.diagnosis.prepare import References
from harness.commands import argument_types as types
from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_config,
    add_jobs,
    add_locked,
    add_model,
    add_repo,
    add_results,
    configured,
)
from harness.commands.conclusion import conclude
from harness.commands.engines import add_scheduler, cluster_of, team_of
from harness.commands.reproduction import cell_command, config_words
from harness.config.axes import with_axes
from harness.config.cells import Matrix, expand, inputs_of, to_ask, with_layers
from harness.config.flags import resolve_flag_set
from harness.config.loading import config_text
from harness.execution.local_machine import LocalMachine
from harness.execution.run_directory import open_run
from harness.model.prepared_model import prepare_model
from harness.report.console import Ticker, saying, wide_console
from harness.report.diagnosis_finding import as_finding
from harness.report.diagnosis_text import show, write
from harness.util.build_store import Store
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from harness.analysis.diagnosis.examination import Examination
    from harness.analysis.diagnosis.layer_findings import Diagnosis
    from harness.cluster.connection import Cluster
    from harness.config.tables import Config
    from harness.domain.records import CellRecord
    from harness.domain.spec import CellSpec, FlagSet, InputSpec

HELP = "say which layers of one cell are at fault, by which mechanism, and what fixes it"
DESCRIPTION = """\
Runs one cell's model through the whole chain and through each layer alone, on the values of a
float64 reference, so that a layer is at fault only for what it does itself. For each layer at fault
it tests what may have gone wrong against the layer's formula, and names it only if that accounts
for the error. Fixes are applied, run again and measured before they are proposed.
"""
EXAMPLES = """\
examples:
  nox -s diagnose                                       the worst cell of the newest matrix run
  nox -s diagnose -- --cell '20250503-avx2/default'     one cell, with all its inputs
  nox -s diagnose -- --version 20250503 --flags avx2 --run fp16-off
  nox -s diagnose -- --fix options,masks,rewrite        try fixes, show what each achieves
  nox -s diagnose -- --inputs photos/                   many inputs: the worst and the median
  nox -s diagnose -- --dump arrays/                     keep every value, blob and weight
  nox -s diagnose -- --cell '20250503-avx512/default' --scheduler tcp://10.0.0.1:8786
                                                        on a worker that has AVX-512
"""
SANITIZER = "avx2-asan"
"""The flag set whose compile flags a cell that crashes is built with once more."""
EXITS = {
    EXIT_OK: "no layer is at fault",
    EXIT_FINDINGS: "a layer is at fault, or an input crashed or could not be measured",
    **COMMON_EXITS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_model(parser)
    parser.add_argument(
        "--cell", type=types.text, default="", metavar="ID", help="the cell as build/run"
    )
    add_repo(parser)
    parser.add_argument(
        "--version", type=types.name, default="", metavar="V", help="the cell's version of ncnn"
    )
    parser.add_argument(
        "--flags",
        type=types.text,
        default="",
        metavar="SET",
        help="its flag set, such as arm64 or avx2,NCNN_INT8=OFF",
    )
    parser.add_argument(
        "--run",
        type=types.text,
        default="",
        metavar="SET",
        help="its run options, such as bf16 or lightmode=false",
    )
    parser.add_argument(
        "--fix",
        type=_kinds,
        default=(),
        metavar="KINDS",
        help=f"fixes to try, separated by commas: {', '.join(FIXES)}, or all",
    )
    parser.add_argument(
        "--inputs",
        type=types.path,
        metavar="DIR",
        help="images and .npy files instead of the inputs",
    )
    parser.add_argument(
        "--dump", type=types.directory, metavar="DIR", help="write all arrays to a directory"
    )
    parser.add_argument("--all", action="store_true", help="show clean layers too")
    add_jobs(parser)
    add_scheduler(parser)
    add_builds(parser)
    add_locked(parser)
    add_results(parser, "where run directories are")


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    _check_scheduler(options)
    config = configured(options)
    base = options.config.resolve().parent
    others = expand(config, base=base)
    cell = _chosen(options, config, others)
    specs = inputs_of(config, base)
    if options.inputs:
        specs = inputs_in(options.inputs, specs)
    with cluster_of(options, [cell.build]) as cluster:
        return _diagnose(options, config, cell, others, specs, cluster)


def _diagnose(
    options: argparse.Namespace,
    config: Config,
    cell: CellSpec,
    others: Matrix,
    specs: tuple[InputSpec, ...],
    cluster: Cluster | None,
) -> int:
    """Diagnose a cell, tell what was found, and return the exit code."""
    base = options.config.resolve().parent
    store = Store(root=options.builds.resolve())
    console = wide_console()
    watch = Ticker(console, at_once=False).build_advanced
    machine = LocalMachine.prepared(config, store, jobs=options.jobs, watch=watch)
    with (
        saying(console, "fetching the model") as say,
        scratch_directory("diagnose-") as scratch,
        ExitStack() as stack,
    ):
        # Before the model is proved: that takes a while, and may be for nothing.
        way = (cell.build.flags, cell.run)
        team = (
            stack.enter_context(team_of(cluster, options, config, [way], watch, say))
            if cluster
            else None
        )
        model = prepare_model(cell.model, store, config.limits.model_bytes)
        for note in model.notes:
            console.print(note, highlight=False, markup=False, soft_wrap=True)
        layers = model.graph.layer_types()
        preparation = ModelPreparation(
            machine=machine,
            model=model,
            builds=to_ask(config, base, dict.fromkeys([cell.build, *others.builds])),
            say=say,
        )
        preparation.prove(specs)
        others = with_layers(others, {other.model: layers for other in others.cells})
        cell = replace(cell, build=replace(cell.build, layers=layers))
        question = Question(
            cell=cell,
            specs=specs,
            fixes=options.fix,
            builds=others.builds,
            sanitizer=resolve_flag_set(SANITIZER, config.flags, config.targets),
            recorded=not options.inputs,
        )
        references = References(
            model=preparation.model,
            store=Store(root=scratch / "references") if options.inputs else store,
            evaluator=machine.evaluator,
            limit=machine.limits.input_bytes,
            taken=preparation.taken,
        )
        opened = cache(
            partial(
                open_run,
                options.results,
                name="diagnose",
                key=cell.id,
                config=config_text(options.config, config),
                fresh=True,
            )
        )
        if team:
            say("handing the model with its references over")
            there = importlib.import_module("harness.cluster.examination")
            found = there.examined(team, question, references, lambda: opened().path)
        else:
            pipeline = DiagnosisPipeline(
                machine=machine, references=references, say=say, forget=bool(options.inputs)
            )
            found = examine(pipeline, question, lambda: opened().path, scratch, options.dump)
        diagnosis = _with_command(found.diagnosis, question, options, config)
        records = _with_commands(found, cell, options)
        say("writing the report")
        run = opened()
        write(diagnosis, run.path)
        page = conclude(
            run,
            records,
            as_finding(diagnosis, _command(options)),
            config=config,
            path=options.config,
        )
        run.close()
    show(console, diagnosis, everything=options.all)
    console.print(f"results: {run.path}", highlight=False, soft_wrap=True)
    console.print(f"report:  {page}", highlight=False, soft_wrap=True)
    return EXIT_FINDINGS if diagnosis.has_findings else EXIT_OK


def _check_scheduler(options: argparse.Namespace) -> None:
    """Refuse what would send more than a few inputs' values from one machine to another.

    Raises:
        UsageError: with what to do instead.
    """
    if not options.scheduler:
        return
    if options.dump:
        raise UsageError(
            "--dump goes with no --scheduler: every array would travel. Run the command without "
            "--scheduler on a machine like the worker, or leave --dump out."
        )
    if options.inputs:
        raise UsageError(
            "--inputs goes with no --scheduler: all reference values of each input would travel. "
            'Name the inputs that matter in the configuration, as [inputs.NAME] image = "FILE", '
            "or run the command without --scheduler on a machine like the worker."
        )


def _chosen(options: argparse.Namespace, config: Config, matrix: Matrix) -> CellSpec:
    """Return the cell that was asked for, which the configuration need not have.

    Raises:
        UsageError: both a cell and parts of it were given, or a part is unknown.
        SelectorError: the configuration has no such cell.
    """
    parts = [options.version, options.flags, options.run]
    if not any(parts):
        return chosen_cell(matrix.cells, cell=options.cell, results=options.results)
    if options.cell:
        raise UsageError("--cell names everything: leave out --version, --flags and --run.")
    versions, flags, runs = ([text] if text else [] for text in parts)
    config = with_axes(config, versions=versions, flags=flags, runs=runs)
    return expand(config, base=options.config.resolve().parent).cells[0]


def _with_command(
    diagnosis: Diagnosis, question: Question, options: argparse.Namespace, config: Config
) -> Diagnosis:
    """Return a diagnosis with what repeats its crash, if there was one and it can be repeated."""
    crash = diagnosis.crash
    if not crash or not crash.ran:
        return diagnosis
    flags = sanitized(question.cell.build.flags, question.sanitizer)
    command = _repeating(options, config, question.cell, flags)
    repeatable = crash.model_copy(update={"command": command})
    return diagnosis.model_copy(update={"crash": repeatable})


def _with_commands(
    found: Examination, cell: CellSpec, options: argparse.Namespace
) -> list[CellRecord]:
    """Return the records; those with other run options with what measures them again."""
    build = {"version": cell.build.revision.label, "flags": cell.build.flags.name}
    return [
        record
        if record.run == cell.run.name
        else record.model_copy(update={"command": cell_command(options, **build, run=record.run)})
        for record in found.records
    ]


def _command(options: argparse.Namespace) -> str:
    words = config_words(options)
    for name in ("repo", "cell", "version", "flags", "run", "inputs"):
        value = getattr(options, name)
        words += [f"--{name}", str(value)] if value else []
    words += ["--fix", ",".join(options.fix)] if options.fix else []
    return f"nox -s diagnose -- {shlex.join(words)}".removesuffix(" -- ")


def _repeating(options: argparse.Namespace, config: Config, cell: CellSpec, flags: FlagSet) -> str:
    """Return what runs a cell with other flags again: a matrix, if the set has a name there."""
    sets = {name: resolve_flag_set(name, config.flags, config.targets) for name in config.flags}
    name = next((n for n, known in sets.items() if replace(known, name=flags.name) == flags), "")
    version, run = cell.build.revision.label, cell.run.name
    repo = ["--repo", options.repo] if options.repo else []
    if name and not options.inputs:
        return cell_command(options, *repo, version=version, flags=name, run=run)
    words = [*config_words(options), *repo, "--version", version]
    words += ["--flags", options.flags or cell.build.flags.name, "--run", run]
    words += ["--inputs", str(options.inputs)] if options.inputs else []
    return f"nox -s diagnose -- {shlex.join(words)}"


def _kinds(text: str) -> tuple[str, ...]:
    kinds = FIXES if text == "all" else tuple(text.split(","))
    unknown = [kind for kind in kinds if kind not in FIXES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no fix is called {unknown[0]!r}. Choose from {', '.join(FIXES)}, or all."
        )
    return kinds
