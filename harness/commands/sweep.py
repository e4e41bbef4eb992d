"""`sweep`: every layer type in several versions, without a model."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

import harness
from harness.analysis.sweep.collection import CasePlan, Collection
from harness.analysis.sweep.explanation import explain
from harness.analysis.sweep.laboratory import Laboratory, Subject
from harness.analysis.sweep.runs import exact_run, sweep_runs
from harness.analysis.sweep.suspects import suspect_groups
from harness.build.trim import listed_layers
from harness.cases.generation import SKETCHES
from harness.cases.generation.support import unsupported
from harness.cases.layer_case import parse_case
from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_config,
    add_jobs,
    add_repo,
    add_results,
    configured,
)
from harness.commands.sweep_bisection import SweepBisection
from harness.commands.sweep_conclusion import about_sweep, conclude_sweep
from harness.config.axes import with_axes
from harness.config.cells import revision_of
from harness.config.flags import resolve_flag_set
from harness.config.loading import config_text
from harness.domain.spec import BuildSpec, content_key
from harness.execution.case_runner import CaseRunner
from harness.execution.local_machine import LocalMachine
from harness.execution.run_directory import open_run
from harness.model.param import ACTIVATIONS
from harness.report.console import saying, wide_console
from harness.report.sweep_progress import SweepProgress
from harness.sources.options import read_option_fields
from harness.util.build_store import Store
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cases.layer_case import LayerCase
    from harness.config.tables import Config
    from harness.domain.spec import FlagSet

HELP = "try every layer type in several versions, without a model: what changed between them"
DESCRIPTION = """\
Makes up cases of every layer type of ncnn (parameters, shapes, kinds of numbers), runs each in each
version with its default options, with each option switched, and with several threads, and compares
them with ncnn's own definition of the layer in float64. What is wrong, or differs between versions,
is told by the smallest case that shows it, with what causes it.
"""
EXAMPLES = """\
examples:
  nox -s sweep -- --versions 20250503 20261020           what changes between two releases
  nox -s sweep -- --versions 20261020                    what is wrong in one
  nox -s sweep -- --versions 20250503 20261020 --layers Convolution,Softmax --cases 200
  nox -s sweep -- --versions 20241226 20250503 --repo ~/src/ncnn --bisect all
  nox -s sweep -- --versions 20250503 --case Softmax:0=0:3x7     one case, by its id

a case's id says all of it: the layer's type, its parameters as in a .param file, the shapes of its
inputs (outermost axis first), and what is not as usual: x=huge, w=tiny, store=fp16, out=2, seed=5
"""
EXITS = {
    EXIT_OK: "nothing is wrong, and nothing differs",
    EXIT_FINDINGS: "a layer is wrong in a version, or differs between versions",
    **COMMON_EXITS,
}

EVERY_LAYER = "*"
CASES = 40
EVALUATIONS = 150
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser, "configuration file: its sources, flag sets and limits hold")
    add_repo(parser)
    parser.add_argument(
        "--versions",
        nargs="+",
        default=[],
        metavar="V",
        help="versions to compare, oldest first (default: those of the configuration)",
    )
    parser.add_argument("--flags", default="avx2", metavar="SET", help="default: %(default)s")
    parser.add_argument(
        "--run", default="", metavar="SET", help="run options that all runs have, such as vulkan"
    )
    parser.add_argument(
        "--layers",
        default=EVERY_LAYER,
        metavar="TYPES",
        help="layer types, separated by commas; globs (default: all)",
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=CASES,
        metavar="N",
        help="cases of each layer type (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the cases (default: %(default)s)")
    parser.add_argument(
        "--budget",
        type=_seconds,
        default=0.0,
        metavar="TIME",
        help="such as 90s or 10m: begin no other round of cases after that",
    )
    parser.add_argument(
        "--case", action="append", default=[], metavar="ID", help="only this case; again for more"
    )
    parser.add_argument(
        "--bisect",
        nargs="?",
        const="changes",
        choices=("changes", "all"),
        help="find the commit of each change, in a clone with --repo, else the release; with "
        "'all' also since when there is what is wrong in all versions",
    )
    parser.add_argument("--fresh", action="store_true", help="do not continue an interrupted sweep")
    parser.add_argument(
        "--list", action="store_true", help="print the ids of the cases and do nothing"
    )
    add_jobs(parser, "compilers and processes at the same time")
    add_builds(parser)
    add_results(parser)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: give a time such as 90s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    given = [parse_case(text) for text in options.case]
    layers = sorted({case.type for case in given}) or _layers(options.layers)
    plan = CasePlan(layers=layers, count=options.cases, seed=options.seed, given=given)
    if options.list:
        for cases in plan.rounds():
            print("\n".join(case.id for case in cases))
        return EXIT_OK
    config = with_axes(
        configured(options), versions=options.versions, flags=[options.flags], runs=_runs(options)
    )
    console = wide_console()
    store = Store(root=options.builds.resolve())
    run = open_run(
        options.results,
        name="sweep",
        key=_key(options, config, given),
        config=config_text(options.config, config),
        fresh=options.fresh,
    )
    with saying(console, "fetching sources") as say:
        machine = LocalMachine.prepared(
            config,
            store,
            jobs=options.jobs,
            watch=lambda build, done, total: say(f"building {build}: {done} of {total} steps"),
        )
        subjects = _subjects(options, config, machine, layers)
        runner = CaseRunner(
            binding=machine.binding.result,
            tolerance=config.tolerance,
            exact=exact_run(subjects[0].runs),
            memory_bytes=int(config.limits.memory_gib * 2**30),
            workers=options.jobs,
        )
        progress = SweepProgress(say, cases=plan.size * len(subjects), budget=options.budget)
        collection = Collection(
            folder=run.path,
            runner=runner,
            advanced=progress,
        )
        known = collection.recall(subjects)
        if known:
            progress.resumed(known)
            console.print(f"resuming {run.path}: {known} cases are there already", soft_wrap=True)
        count = collection.run(subjects, plan, options.budget)
        laboratory = Laboratory(subjects=subjects, runner=runner, tolerance=config.tolerance)
        tables = [list(collection.records[subject.label].values()) for subject in subjects]
        found = []
        groups = suspect_groups(tables)
        say("making findings smaller")
        for explained in explain(groups, laboratory, evaluations=EVALUATIONS):
            found.append(explained)
            say(
                f"making findings smaller: {len(found)} done, of about "
                f"{max(len(groups), len(found))}"
            )
    if options.bisect:
        bisection = SweepBisection(options=options, folder=run.path, console=console)
        found = [bisection.completed(each, standing=options.bisect == "all") for each in found]
    about = about_sweep(
        options,
        subjects,
        collection,
        layers=layers,
        cases=count,
        tolerance=config.tolerance,
    )
    conclude_sweep(run, about, found, console)
    return EXIT_FINDINGS if found else EXIT_OK


def _runs(options: argparse.Namespace) -> list[str]:
    return [options.run] if options.run else []


def _layers(text: str) -> list[str]:
    """Return the layer types that globs name.

    Raises:
        UsageError: one names none.
    """
    found: dict[str, None] = {}
    for pattern in filter(None, (part.strip() for part in text.split(","))):
        matching = [kind for kind in SKETCHES if fnmatchcase(kind, pattern)]
        if not matching:
            raise UsageError(
                f"--layers {pattern}: no such layer type. There are {', '.join(sorted(SKETCHES))}."
            )
        found |= dict.fromkeys(matching)
    return sorted(found)


def _subjects(
    options: argparse.Namespace, config: Config, machine: LocalMachine, layers: Sequence[str]
) -> list[Subject]:
    """Compile each version with the layers that it has of those wanted."""
    base = options.config.resolve().parent
    flags: FlagSet = resolve_flag_set(config.matrix.flags[0], config.flags, config.targets)
    shared = tuple(sorted(config.runs[config.matrix.runs[0]].options.items()))
    labels: Counter[str] = Counter()
    subjects = []
    machine.resolver.fetch(
        [revision_of(version, config, base) for version in dict.fromkeys(config.matrix.versions)]
    )
    for version in config.matrix.versions:
        revision = revision_of(version, config, base)
        tree = machine.resolver.source(revision).path
        known = frozenset(listed_layers(tree))
        # All of them by name, since ncnn leaves some out of a build that asks for none.
        everything = options.layers == EVERY_LAYER and not options.case
        wanted = known if everything else {*layers, *ACTIVATIONS.values()} & known
        spec = BuildSpec(revision=revision, flags=flags, layers=frozenset(wanted))
        build = machine.resolver.build(spec)
        fields = read_option_fields(tree)
        labels[version] += 1
        again = f"#{labels[version]}" if labels[version] > 1 else ""
        subjects.append(
            Subject(
                label=f"{version}{again}",
                build=replace(build, record=build.record.model_copy(update={"version": version})),
                runs=sweep_runs(fields, shared if options.run else ()),
                defaults={f.name: f.default for f in fields if f.default is not None},
                unsupported=partial(unsupported, tree=tree),
            )
        )
    return subjects


def _key(options: argparse.Namespace, config: Config, given: Sequence[LayerCase]) -> str:
    """Return what makes two sweeps the same."""
    return content_key(
        {
            "harness": harness.__version__,
            "versions": config.matrix.versions,
            "flags": options.flags,
            "run": options.run,
            "repo": options.repo,
            "layers": options.layers,
            "cases": [case.id for case in given] or options.cases,
            "seed": options.seed,
            "tolerance": config.tolerance.model_dump(),
        }
    )
