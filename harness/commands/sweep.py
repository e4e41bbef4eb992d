"""`sweep`: every layer type in several versions, without a model."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import harness
from harness.analysis.sweep.bench import LocalBench
from harness.analysis.sweep.collection import CasePlan, Collection
from harness.analysis.sweep.explanation import explain
from harness.analysis.sweep.laboratory import Laboratory
from harness.analysis.sweep.suspects import suspect_groups
from harness.build.coverage import with_coverage
from harness.cases.generation import SKETCHES
from harness.cases.layer_case import parse_case
from harness.commands import argument_types as types
from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_config,
    add_jobs,
    add_locked,
    add_repo,
    add_results,
    configured,
)
from harness.commands.engines import add_scheduler, cluster_of, team_of
from harness.commands.sweep_bisection import SweepBisection
from harness.commands.sweep_conclusion import about_sweep, conclude_sweep
from harness.commands.sweep_coverage import CoverageWork
from harness.commands.sweep_source import SweepSource
from harness.config.axes import with_axes
from harness.config.loading import config_text
from harness.domain.coverage import write_coverage
from harness.domain.spec import content_key
from harness.execution.local_machine import LocalMachine
from harness.execution.run_directory import RunDirectory, open_run
from harness.report.console import saying, wide_console
from harness.report.coverage_text import show_coverage
from harness.report.sweep_progress import SweepProgress
from harness.util.build_store import Store
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from harness.analysis.sweep.bench import CaseBench
    from harness.analysis.sweep.finding import Explained
    from harness.analysis.sweep.laboratory import SweepSubject
    from harness.build.builder import BuildWatch
    from harness.cases.layer_case import LayerCase
    from harness.cluster.team import Team
    from harness.config.tables import Config
    from harness.domain.coverage import BuildCoverage

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
  nox -s sweep -- --versions 20250503 --layers Softmax --coverage      what the cases do not reach
  nox -s sweep -- --versions 20250503 --case Softmax:0=0:3x7     one case, by its id
  nox -s sweep -- --versions 20250503 20261020 --scheduler tcp://10.0.0.1:8786   on a Dask cluster

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser, "configuration file: its sources, flag sets and limits hold")
    add_repo(parser)
    parser.add_argument(
        "--versions",
        nargs="+",
        type=types.name,
        default=[],
        metavar="V",
        help="versions to compare, oldest first (default: those of the configuration)",
    )
    parser.add_argument(
        "--flags", type=types.text, default="avx2", metavar="SET", help="default: %(default)s"
    )
    parser.add_argument(
        "--run",
        type=types.text,
        default="",
        metavar="SET",
        help="run options that all runs have, such as vulkan",
    )
    parser.add_argument(
        "--layers",
        type=types.text,
        default=EVERY_LAYER,
        metavar="TYPES",
        help="layer types, separated by commas; globs (default: all)",
    )
    parser.add_argument(
        "--cases",
        type=types.cases,
        default=CASES,
        metavar="N",
        help="cases of each layer type (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=types.seed, default=0, help="of the cases (default: %(default)s)"
    )
    parser.add_argument(
        "--budget",
        type=types.duration,
        default=0.0,
        metavar="TIME",
        help="such as 90s or 10m: begin no other round of cases after that",
    )
    parser.add_argument(
        "--case",
        action="append",
        type=types.text,
        default=[],
        metavar="ID",
        help="only this case; again for more",
    )
    parser.add_argument(
        "--bisect",
        nargs="?",
        const="changes",
        choices=("changes", "all"),
        help="find the commit of each change, in a clone with --repo, else the release; with "
        "'all' also since when there is what is wrong in all versions",
    )
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="also tell what of the layers' sources the cases reach, and what they do not: in "
        "builds by GCC that count, which take minutes for all layers; the cases run once more",
    )
    parser.add_argument("--fresh", action="store_true", help="do not continue an interrupted sweep")
    parser.add_argument(
        "--list", action="store_true", help="print the ids of the cases and do nothing"
    )
    add_jobs(parser, "compilers and processes at the same time")
    add_scheduler(parser)
    add_builds(parser)
    add_locked(parser)
    add_results(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    _check_place(options)
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
    every = options.layers == EVERY_LAYER and not options.case
    source = SweepSource.of(options, config, None if every else layers)
    console = wide_console()
    with (
        saying(console, "fetching sources") as say,
        _team(options, config, source, say) as team,
    ):
        if team:
            console.print(team.described(), soft_wrap=True, highlight=False, markup=False)
        run = open_run(
            options.results,
            name="sweep",
            key=_key(options, config, given, team),
            config=config_text(options.config, config),
            fresh=options.fresh,
        )
        sweep = _Sweep.prepared(options, config, source, plan, run, team, say)
        known = sweep.collection.recall(sweep.subjects)
        if known:
            sweep.progress.resumed(known)
            console.print(f"resuming {run.path}: {known} cases are there already", soft_wrap=True)
        count = sweep.collection.run(sweep.subjects, plan, options.budget)
        found = sweep.findings()
        coverage = sweep.coverage() if options.coverage else []
        if coverage:
            write_coverage(run.path, coverage)
    if options.bisect:
        bisection = SweepBisection(options=options, folder=run.path, console=console)
        found = [bisection.completed(each, standing=options.bisect == "all") for each in found]
    about = about_sweep(
        options,
        sweep.subjects,
        sweep.bench,
        sweep.collection,
        layers=layers,
        cases=count,
        tolerance=config.tolerance,
    )
    conclude_sweep(run, about, found, console)
    show_coverage(console, coverage)
    return EXIT_FINDINGS if found else EXIT_OK


@dataclass(frozen=True, kw_only=True)
class _Sweep:
    """The builds of a sweep, with what runs cases in them."""

    config: Config
    machine: LocalMachine | None
    """None where a cluster compiles and runs."""
    source: SweepSource
    subjects: Sequence[SweepSubject]
    bench: CaseBench
    collection: Collection
    progress: SweepProgress
    say: Callable[[str], None]

    @classmethod
    def prepared(
        cls,
        options: argparse.Namespace,
        config: Config,
        source: SweepSource,
        plan: CasePlan,
        run: RunDirectory,
        team: Team | None,
        say: Callable[[str], None],
    ) -> _Sweep:
        """Compile what is to be swept.

        Raises:
            HarnessError: a version cannot be had or built.
        """
        store = Store(root=options.builds.resolve())
        machine = None
        bench: CaseBench
        if team:
            store.prepare()
            subjects = source.subjects(store)
            say("building")
            bench = source.on_team(team, subjects, plan.size)
        else:
            machine = LocalMachine.prepared(config, store, jobs=options.jobs, watch=_watch(say))
            subjects = source.subjects(store)
            bench = source.on_machine(machine, config, subjects, options.jobs)
        progress = SweepProgress(say, cases=plan.size * len(subjects), budget=options.budget)
        return cls(
            config=config,
            machine=machine,
            source=source,
            subjects=subjects,
            bench=bench,
            collection=Collection(folder=run.path, bench=bench, advanced=progress),
            progress=progress,
            say=say,
        )

    def findings(self) -> list[Explained]:
        """Return what is wrong, by the smallest cases that show it."""
        laboratory = Laboratory(
            subjects=self.subjects, bench=self.bench, tolerance=self.config.tolerance
        )
        records = self.collection.records
        groups = suspect_groups([list(records[s.label].values()) for s in self.subjects])
        found: list[Explained] = []
        self.say("making findings smaller")
        for explained in explain(groups, laboratory, evaluations=EVALUATIONS):
            found.append(explained)
            total = max(len(groups), len(found))
            self.say(f"making findings smaller: {len(found)} done, of about {total}")
        return found

    def coverage(self) -> list[BuildCoverage]:
        """Run all cases once more in builds that count what is executed."""
        # `_check_place` has refused it elsewhere.
        assert self.machine
        assert isinstance(self.bench, LocalBench)
        self.say("building with coverage")
        counting = with_coverage(self.source.flags)
        work = CoverageWork(
            runner=self.bench.runner,
            compiler=self.machine.resolver.compiler(counting),
            flags=self.source.flags.name,
            advanced=lambda build, done, total: self.say(
                f"{build}: coverage of {done} of {total} cases"
            ),
        )
        builds = self.source.compiled(self.machine, counting)
        return [
            work.of(subject, build, map(parse_case, self.collection.records[subject.label]))
            for subject, build in zip(self.subjects, builds, strict=True)
            if subject.label in self.config.matrix.versions  # the first of several of a version
        ]


def _check_place(options: argparse.Namespace) -> None:
    """Refuse what only this machine can do.

    Raises:
        UsageError: it is asked for on a cluster.
    """
    if options.scheduler and options.coverage:
        raise UsageError(
            "--coverage compiles and counts on this machine, and --scheduler runs elsewhere: leave "
            "out one of them."
        )


@contextmanager
def _team(
    options: argparse.Namespace, config: Config, source: SweepSource, say: Callable[[str], None]
) -> Iterator[Team | None]:
    """Yield the workers of a sweep; None without `--scheduler`."""
    with cluster_of(options, source.specs) as cluster:
        if cluster is None:
            yield None
            return
        way = (source.flags, source.run)
        with team_of(cluster, options, config, [way], _watch(say)) as team:
            yield team


def _watch(say: Callable[[str], None]) -> BuildWatch:
    return lambda build, done, total: say(f"building {build}: {done} of {total} steps")


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


def _key(
    options: argparse.Namespace, config: Config, given: Sequence[LayerCase], team: Team | None
) -> str:
    """Return what makes two sweeps the same.

    On a cluster that is the kind of the workers as well, but not which scheduler they have.
    """
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
            **({"kind": team.kind} if team else {}),
        }
    )
