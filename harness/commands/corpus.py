"""`corpus`: whether the known faults of ncnn are where the corpus says, and gone elsewhere."""

from __future__ import annotations

from collections import defaultdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.advisories.loading import load_corpus
from harness.analysis.bisection.history import Clone, index_releases
from harness.analysis.corpus.commits import commits
from harness.analysis.corpus.running import CorpusRunner
from harness.analysis.corpus.trials import TrialState, releases, trials
from harness.commands import argument_types as types
from harness.commands.arguments import COMMON_EXITS, add_builds, add_config, add_jobs, add_locked
from harness.config.axes import with_flags, with_run
from harness.config.cells import run_of
from harness.config.flags import resolve_flag_set
from harness.config.loading import load_config
from harness.domain.spec import RunSpec
from harness.execution.case_runner import CaseRunner
from harness.execution.local_machine import LocalMachine
from harness.report.console import saying, wide_console
from harness.report.corpus_text import show_corpus, state_of
from harness.util.build_store import Store
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, SelectorError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.advisories.advisory import Advisory
    from harness.analysis.corpus.trials import Place, Result, Trial
    from harness.config.tables import Config
    from harness.domain.spec import Revision

HELP = "run the known faults of ncnn where they should show, and where they should not"
DESCRIPTION = """\
Runs the one-layer case of each known fault (configs/corpus, see docs/corpus.md) in the releases
that have it, in those that have not, and with what clears it, and prints what was expected against
what was found. With a clone also the commits that introduced and repaired it, each with its parent.
Builds have only the layers that they need.
"""
EXAMPLES = """\
examples:
  nox -s corpus                                     releases of the package index
  nox -s corpus -- --only 'softmax-*'
  nox -s corpus -- --versions 20250503 20260113 --flags 'avx2*'
  nox -s corpus -- --repo ~/src/ncnn                older releases and the commits, too
"""
EXITS = {
    EXIT_OK: "everything that could be run is as the corpus says",
    EXIT_FINDINGS: "something is not, or nothing could be run",
    **COMMON_EXITS,
}
_BUILD = ("NCNN_", "CMAKE_")
"""How the names of build options begin."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--only",
        action="append",
        type=types.text,
        default=[],
        metavar="GLOB",
        help="only advisories of these ids",
    )
    parser.add_argument(
        "--versions",
        nargs="+",
        type=types.name,
        default=[],
        metavar="V",
        help="only these releases",
    )
    parser.add_argument(
        "--flags",
        type=types.text,
        default="*",
        metavar="GLOB",
        help="only advisories whose build flags are these (default: all)",
    )
    parser.add_argument(
        "--repo",
        type=types.repository,
        default="",
        metavar="PATH_OR_URL",
        help="a clone of ncnn: releases that the package index lacks, and commits",
    )
    parser.add_argument(
        "--corpus", type=types.path, metavar="DIR", help="known faults of your own instead"
    )
    add_config(parser, "configuration file: its flag sets, run options and limits hold")
    add_jobs(parser, "compilers and processes at the same time")
    add_builds(parser)
    add_locked(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    advisories = _chosen(load_corpus(options.corpus), options)
    config = load_config(options.config)
    console = wide_console()
    store = Store(root=options.builds.resolve())
    store.prepare()
    clone = None
    if options.repo:
        clone = Clone.open(options.repo, store=store.sources, log=store.logs / "corpus.log")
    wanted, left_out = planned(advisories, config, clone, options.versions)
    with saying(console, "preparing") as say:
        machine = LocalMachine.prepared(
            config,
            store,
            jobs=options.jobs,
            watch=lambda build, done, total: say(f"building {build}: {done} of {total} steps"),
        )
        runner = CorpusRunner(
            resolver=machine.resolver,
            runner=CaseRunner(
                binding=machine.binding.result,
                tolerance=config.tolerance,
                exact=RunSpec(name="exact"),
                memory_bytes=config.limits.memory_bytes,
                workers=options.jobs,
            ),
            say=say,
        )
        results: dict[str, list[Result]] = {advisory.id: [] for advisory in advisories}
        for result in runner.run(wanted):
            results[result.trial.advisory.id].append(result)
    show_corpus(console, [(each, results[each.id]) for each in advisories], left_out)
    states = {state_of(found) for found in results.values()}
    return (
        EXIT_OK
        if TrialState.AS_EXPECTED in states and TrialState.DIFFERS not in states
        else EXIT_FINDINGS
    )


def _chosen(advisories: Sequence[Advisory], options: argparse.Namespace) -> list[Advisory]:
    for pattern in options.only:
        if not any(fnmatchcase(each.id, pattern) for each in advisories):
            names = ", ".join(each.id for each in advisories)
            raise SelectorError(f"--only {pattern}: no advisory has such an id. There are {names}.")
    found = [
        each
        for each in advisories
        if fnmatchcase(each.flags, options.flags)
        and (not options.only or any(fnmatchcase(each.id, p) for p in options.only))
    ]
    if not found:
        names = ", ".join(dict.fromkeys(each.flags for each in advisories))
        raise SelectorError(
            f"--flags {options.flags}: none of these advisories. There are {names}."
        )
    return found


def planned(
    advisories: Sequence[Advisory],
    config: Config,
    clone: Clone | None,
    versions: Sequence[str],
) -> tuple[list[Trial], dict[str, list[str]]]:
    """Return what is to be run, and ids of advisories with releases that are not, by the reason.

    Args:
        advisories: those to run.
        config: has flag sets and run options.
        clone: has older releases and commits.
        versions: releases to which to keep; all, and the commits of a clone, if there are none.

    Raises:
        UsageError: flags, run options or the fix of an advisory are not known here.
        MachineError: no network.
        SourceError: the clone has no such commit.
    """
    known: dict[str, Revision] = {}
    for point in (*(clone.releases() if clone else ()), *index_releases()):
        known[point.revision.label] = point.revision
    found: list[Trial] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for advisory in advisories:
        places, missing = releases(advisory, known)
        places = [place for place in places if place.revision.label in (versions or known)]
        if clone and not versions:
            places += commits(advisory, clone)
        found += _trials(advisory, places, config)
        for label in missing:
            if not versions or label in versions:
                left_out[f"{label} is not on the package index (--repo has it)"].append(advisory.id)
    return found, dict(sorted(left_out.items()))


def _trials(advisory: Advisory, places: Sequence[Place], config: Config) -> list[Trial]:
    """Return the trials of an advisory.

    Raises:
        UsageError: its flags, run options or fix are not known here.
    """
    try:
        config, name = with_flags(config, advisory.flags)
        flags = resolve_flag_set(name, config.flags, config.targets)
        fixed = None
        if advisory.fix and not advisory.fix.startswith(_BUILD):
            fixed = _run(",".join(filter(None, (advisory.run, advisory.fix))), config)
        return list(trials(advisory, places, flags, _run(advisory.run, config), fixed))
    except UsageError as error:
        raise UsageError(f"advisory {advisory.id}: {error}", code=error.code) from error


def _run(text: str, config: Config) -> RunSpec:
    config, name = with_run(config, text)
    return run_of(name, config)
