"""`bisect`: from "it got worse" to the commit, the flag and the option."""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from rich.markdown import Markdown

from harness.analysis.bisection.bisection import Bisection
from harness.analysis.bisection.history import Clone, Point, between, index_releases
from harness.analysis.bisection.measurement import Memory
from harness.analysis.bisection.preparation import BisectionSetup, revision_tester, variant_of
from harness.analysis.bisection.search_driver import Terms
from harness.commands.arguments import loaded
from harness.commands.bisect_arguments import DESCRIPTION, EXAMPLES, EXITS, HELP, add_arguments
from harness.commands.conclusion import conclude
from harness.commands.engines import cluster_of, team_of
from harness.commands.places import places_of
from harness.commands.reproduction import cell_command, config_words
from harness.config.cells import repository
from harness.config.loading import config_text
from harness.domain.commits import FILE, FaultyCommit
from harness.domain.spec import BuildSpec, content_key
from harness.execution.run_directory import RunDirectory, open_run, read_state
from harness.report.bisection_finding import (
    as_finding,
    commit_at_fault,
    comparison_as_finding,
    comparison_json,
)
from harness.report.bisection_progress import BisectionProgress
from harness.report.console import wide_console
from harness.report.markdown import finding_markdown
from harness.util.build_store import Store
from harness.util.codes import Code
from harness.util.errors import (
    EXIT_OK,
    EXIT_SUSPECTS,
    HarnessError,
    MachineError,
    UsageError,
)
from harness.util.files import write_atomically
from harness.util.kept import kept_value
from harness.util.places import active, confine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.bisection.bed import Bed, Variant
    from harness.analysis.bisection.result import BisectionResult
    from harness.analysis.bisection.revision_tester import RevisionTester
    from harness.config.tables import Config
    from harness.domain.findings import Finding
    from harness.domain.records import CellRecord

__all__ = ["DESCRIPTION", "EXAMPLES", "EXITS", "HELP", "add_arguments", "execute"]

COMMAND = "command.json"
_WHERE = ("builds", "results", "config")
_KEPT = ("jobs", "resume", "fresh", "onnx", "shape", "converter")
"""Arguments that `_command` leaves out, or has from `config_words`."""


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    if options.resume:
        options = _last_interrupted(options.results)
        confine(active() and places_of(options))
    if options.whole_model and options.layer:
        raise UsageError("--layer and --whole-model exclude each other. Give one of them.")
    if options.inside and options.scheduler:
        raise UsageError("--inside works on this machine: leave out --scheduler.")
    if len(getattr(options, "converter", ())) > 1:
        raise UsageError(
            "--converter: a bisection takes one. Which converter is at fault, a matrix says."
        )
    if options.threshold is not None:
        options.metric.check(options.threshold)
    config = loaded(options)
    question = _asked(options, config)
    console = wide_console()
    run = open_run(
        options.results,
        name="bisect",
        key=content_key([_plain(options), config.model_dump(mode="json")]),
        config=config_text(options.config, config),
        fresh=options.fresh and not options.resume,
    )
    write_atomically(run.path / COMMAND, json.dumps(_plain(options), indent=1))
    reporter = BisectionProgress(console)
    try:
        answer = _answer(options, config, question, run, reporter)
    except HarnessError as error:
        if isinstance(error, UsageError) and not _memory(run).path.exists():
            run.discard()
            raise
        if not isinstance(error, MachineError):
            # Whatever ended it would end it again: this is nothing to resume.
            run.close()
        raise
    except KeyboardInterrupt:
        reporter.say("interrupted; continue with: nox -s bisect -- --resume")
        raise
    write_atomically(run.path / "bisection.json", answer.data)
    console.print(Markdown(finding_markdown(answer.finding)))
    page = conclude(
        run,
        answer.records,
        answer.finding,
        config=config,
        path=options.config,
        commits=answer.commits,
    )
    run.close()
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return answer.code


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What is asked, as far as it needs no model: what is mistyped is reported at once."""

    store: Store
    clone: Clone | None
    points: Sequence[Point]
    """The range, oldest first, or the one version whose configurations are compared."""
    variant: Variant


def _asked(options: argparse.Namespace, config: Config) -> _Question:
    store = Store(root=options.builds.resolve())
    store.prepare()
    where = options.repo or repository(config.source, options.config.resolve().parent)
    clone = None
    if where:
        clone = Clone.open(where, store=store.sources, log=store.logs / "bisect.log")
    points = [_version(options.version, clone)] if options.version else _history(options, clone)
    variant = variant_of(config, *_texts("bad", options, config))
    return _Question(store=store, clone=clone, points=points, variant=variant)


def _memory(run: RunDirectory) -> Memory:
    return Memory(path=run.path / "measurements.jsonl")


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What a bisection ends with."""

    data: str
    """JSON."""
    finding: Finding
    records: Sequence[CellRecord]
    """The whole model where it was built: on both sides, and with what makes it good again."""
    commits: tuple[FaultyCommit, ...] = ()
    code: int = EXIT_OK


def _answer(
    options: argparse.Namespace,
    config: Config,
    question: _Question,
    run: RunDirectory,
    reporter: BisectionProgress,
) -> _Answer:
    """Search, and return the answer in all its forms."""
    points, variant = question.points, question.variant
    request = BisectionSetup(
        config=config,
        base=options.config.resolve().parent,
        store=question.store,
        jobs=options.jobs,
        retry_failed=options.retry_failed,
        remember=not options.fresh,
        input=options.input or config.bisect.input,
        layer=options.layer,
        watch=reporter.build_advanced,
        revisions=[points[-1].revision, points[0].revision],
        flags=variant.flags,
        say=reporter.say,
    )
    with _bed(options, config, question, reporter) as bed:
        tester = revision_tester(request, _memory(run))
        if bed:
            tester = replace(tester, bed=bed)
        return _found(options, config, question, run, reporter, tester)


@contextmanager
def _bed(
    options: argparse.Namespace,
    config: Config,
    question: _Question,
    reporter: BisectionProgress,
) -> Iterator[Bed | None]:
    """Yield where revisions are measured if that is a cluster."""
    sides = ("bad", "good") if options.version else ("bad",)
    variants = [variant_of(config, *_texts(side, options, config)) for side in sides]
    revision = question.points[-1].revision
    builds = [BuildSpec(revision=revision, flags=v.flags, layers=None) for v in variants]
    with cluster_of(options, builds) as cluster:
        if cluster is None:
            yield None
            return
        ways = [(variant.flags, variant.run) for variant in variants]
        with team_of(cluster, options, config, ways, reporter.build_advanced) as team:
            reporter.say(team.described())
            bed: Bed = importlib.import_module("harness.cluster.bed").ClusterBed(team=team)
            yield bed


def _found(
    options: argparse.Namespace,
    config: Config,
    question: _Question,
    run: RunDirectory,
    reporter: BisectionProgress,
    tester: RevisionTester,
) -> _Answer:
    clone, points, variant = question.clone, question.points, question.variant
    reporter.say(f"{run.path}: if interrupted, continue with: nox -s bisect -- --resume")
    for note in tester.whole.model.notes:
        reporter.say(note)
    bisection = Bisection(
        tester=tester,
        variant=variant,
        terms=Terms(
            metric=options.metric,
            threshold=options.threshold,
            rules=config.bisect.rules,
            tolerance=config.tolerance,
            find_fix=options.find_fix,
            target=options.target,
            scan=options.scan,
        ),
        layer=options.layer,
        whole_model=options.whole_model,
        explain=options.explain,
        inside=options.inside,
        clone=clone,
        listener=reporter,
        say=reporter.say,
        compared=reporter.compared,
    )
    if options.version:
        return _compared(options, config, bisection, points[0])
    open_end = not (options.good or options.find_fix)
    found = bisection.releases(points) if open_end else bisection.among(points)
    at_fault = found.commit and found.becomes == "bad" and found.is_certain
    commits = (commit_at_fault(found),) if at_fault else ()
    if commits:
        write_atomically(run.path / FILE, json.dumps([commits[0].model_dump()], indent=1))
    return _Answer(
        data=found.model_dump_json(indent=1),
        finding=as_finding(found, _command(options)),
        records=_records(options, config, bisection, _sides(found, options, config, clone)),
        commits=commits,
        code=EXIT_OK if found.found and found.is_certain else EXIT_SUSPECTS,
    )


def _texts(side: str, options: argparse.Namespace, config: Config) -> tuple[str, str]:
    """Return the texts of the flags and run options of a side; a range is about `bad` alone."""
    flags: str = getattr(options, f"{side}_flags") or options.flags or config.bisect.flags
    run: str = getattr(options, f"{side}_run") or options.run or config.bisect.run
    return flags, run


def _sides(
    found: BisectionResult, options: argparse.Namespace, config: Config, clone: Clone | None
) -> list[tuple[Point, str, str]]:
    """Return what shows the answer: both sides, and the worse one with what makes it good."""
    flags, run = _texts("bad", options, config)
    before, after = (_version(side.revision, clone) for side in (found.before, found.after))
    worse = after if found.becomes == "bad" else before
    fixed = [(worse, flags, f"{run},{found.run_cure}")] if found.run_cure else []
    return [(before, flags, run), (after, flags, run), *fixed]


def _records(
    options: argparse.Namespace,
    config: Config,
    bisection: Bisection,
    wanted: list[tuple[Point, str, str]],
) -> list[CellRecord]:
    """Run the whole model where a build of it is there, for the report."""
    records = []
    repo = ["--repo", options.repo] if options.repo else []
    for point, flags, run in dict.fromkeys(wanted):
        record = bisection.tester.cell(point, variant_of(config, flags, run))
        if record:
            label = point.revision.label
            command = cell_command(options, *repo, version=label, flags=flags, run=run)
            records.append(record.model_copy(update={"command": command}))
    return records


def _command(options: argparse.Namespace) -> str:
    """Return the command line of this bisection, without what is as by default."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = config_words(options)
    for name, value in _plain(options).items():
        if name in (*_WHERE, *_KEPT) or value == parser.get_default(name):
            continue
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else [str(value)]
    return f"nox -s bisect -- {shlex.join(words)}"


def _history(options: argparse.Namespace, clone: Clone | None) -> list[Point]:
    """Return the range asked for; without an older end, the releases up to the newer one."""
    older, newer = options.good, options.bad
    if options.find_fix:
        older, newer = newer, older
        if not (older and newer):
            raise UsageError("--find-fix needs both: --bad (older) and --good (newer).")
    releases = clone.releases if clone else index_releases
    if not older:
        return _until(releases(), newer, clone)
    newer = newer or releases()[-1].revision.label
    return clone.commits(older, newer) if clone else between(index_releases(), older, newer)


def _until(releases: list[Point], newest: str | None, clone: Clone | None) -> list[Point]:
    """Return the releases before a revision and the revision itself; all if none is given."""
    if newest is None:
        return releases
    labels = [point.revision.label for point in releases]
    if newest in labels:
        return releases[: labels.index(newest) + 1]
    if clone is None:
        raise UsageError(_unknown(newest, labels), code=Code.UNKNOWN_RELEASE)
    commit = clone.point(newest)
    return [*(p for p in releases if clone.is_ancestor(p.id, commit.id)), commit]


def _version(name: str, clone: Clone | None) -> Point:
    if clone:
        return clone.point(name)
    releases = {point.revision.label: point for point in index_releases()}
    if name not in releases:
        raise UsageError(_unknown(name, list(releases)), code=Code.UNKNOWN_RELEASE)
    return releases[name]


def _unknown(name: str, labels: list[str]) -> str:
    return (
        f"{name}: not a release of the package index, which has {', '.join(labels)}. Choose one of "
        "these, or name a clone with --repo."
    )


def _compared(
    options: argparse.Namespace, config: Config, bisection: Bisection, point: Point
) -> _Answer:
    good, bad = (_texts(side, options, config) for side in ("good", "bad"))
    subject, compared = bisection.compare(point, variant_of(config, *good))
    wanted = [(point, flags, run) for flags in (good[0], bad[0]) for run in (good[1], bad[1])]
    return _Answer(
        data=comparison_json(compared, point=point, subject=subject),
        finding=comparison_as_finding(
            compared, point=point, subject=subject, command=_command(options)
        ),
        records=_records(options, config, bisection, wanted),
    )


def _plain(options: argparse.Namespace) -> dict[str, object]:
    """Return the arguments as they can be stored; paths become absolute."""
    values = {
        k: v
        for k, v in vars(options).items()
        if k not in ("execute", "command", "verbose", "debug")
    }
    values |= {key: str(values[key].absolute()) for key in _WHERE}
    values["resume"] = False
    if values["repo"] and Path(str(values["repo"])).exists():
        values["repo"] = str(Path(str(values["repo"])).absolute())
    return values


def _last_interrupted(results: Path) -> argparse.Namespace:
    """Return the arguments of the newest bisection that has no answer yet.

    One of which state or command cannot be read is not continued, and stays as it is.
    """
    for command in sorted(results.glob(f"*/{COMMAND}"), reverse=True):
        state = read_state(command.parent)
        if state and not state.finished:
            options = kept_value(command, _from_plain)
            if options:
                return options
    raise UsageError(
        f"{results}: no interrupted bisection. Start one, see --help.", code=Code.NO_RESULTS
    )


def _from_plain(text: str) -> argparse.Namespace:
    """Return the arguments that `_plain` gave, checked as those of a command line are.

    Raises:
        ValueError: they are not.
    """
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    words = []
    for name, value in _PLAIN.validate_json(text).items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [f"{option}={each}" for each in value]
        elif value not in (None, False, ""):
            words.append(f"{option}={value}")
    try:
        options, unknown = parser.parse_known_args([*words, "--resume"])
    except argparse.ArgumentError as error:
        raise ValueError(str(error)) from error
    if unknown:
        raise ValueError(f"no such arguments: {unknown}")
    return options


_PLAIN = TypeAdapter(dict[str, bool | int | float | str | list[str] | None])
