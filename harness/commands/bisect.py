"""`bisect`: from "it got worse" to the commit, the flag and the option."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.markdown import Markdown

from harness.bisection.case import Case
from harness.bisection.comparison_text import comparison_markdown
from harness.bisection.history import Clone, Point, between, index_releases
from harness.bisection.hunt import Terms
from harness.bisection.measurement import Memory
from harness.bisection.rules import Metric
from harness.bisection.search import Target
from harness.bisection.setup import Request, laboratory, setting_of
from harness.bisection.show import Reporter
from harness.bisection.text import guilty, markdown
from harness.commands.arguments import add_builds, add_config, add_jobs, add_results
from harness.config import Config, load_config
from harness.console import wide_console
from harness.errors import EXIT_OK, EXIT_SUSPECTS, HarnessError, UsageError
from harness.files import write_atomically
from harness.report.commits import FILE
from harness.results import RunDirectory, open_run
from harness.spec import content_key
from harness.store import Store

NAME = "bisect"
HELP = "find the commit, the build flag or the run option that made results worse"
DESCRIPTION = """\
Finds the first bad commit between two revisions (or, with --find-fix, the first good one), or which
build flags and run options turn a good configuration into a bad one. The guilty layer is found by
itself and tested alone; the answer is confirmed on the whole model. Everything measured is kept:
an interrupted bisection continues with --resume, and a later one of the same question reuses it.
"""
EXAMPLES = """\
examples:
  nox -s bisect -- --repo ../ncnn --good 20220420 --bad 20221128
  nox -s bisect -- --repo ../ncnn                        the newest release is bad: since when?
  nox -s bisect -- --good 20250503 --bad 20261020        releases of the package index only
  nox -s bisect -- --repo ../ncnn --good 20260113 --bad 20260526 --layer InnerProduct --run bf16
  nox -s bisect -- --repo ../ncnn --bad 20250503 --good 20260526 --find-fix
  nox -s bisect -- --version 20250503 --good-flags avx --good-run fp16-off
  nox -s bisect -- --resume                              continue the last interrupted one

SET is the name of a set in the configuration or built in, KEY=VALUE pairs, or both, separated by
commas: avx2,NCNN_INT8=OFF or use_bf16_storage=true

exit codes of this command:
  0    found: one revision, or the settings that matter
  4    several suspects: the revisions between them cannot be tested
  5    not reproducible: the ends do not differ, or cannot be tested
"""
COMMAND = "command.json"
_WHERE = ("builds", "results", "config")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _add_range(parser)
    _add_question(parser)
    flags = parser.add_argument_group("build flags and run options (instead of a range)")
    flags.add_argument("--version", metavar="REV", help="compare two configurations of this one")
    flags.add_argument("--good-flags", metavar="SET", help="default: as --flags")
    flags.add_argument("--good-run", metavar="SET", help="default: as --run")
    flags.add_argument("--bad-flags", metavar="SET", help="default: as --flags")
    flags.add_argument("--bad-run", metavar="SET", help="default: as --run")
    work = parser.add_argument_group("how to work")
    work.add_argument("--resume", action="store_true", help="continue the last interrupted one")
    work.add_argument("--fresh", action="store_true", help="measure anew what is remembered")
    work.add_argument(
        "--retry-failed", action="store_true", help="compile builds again that failed before"
    )
    add_jobs(work)
    add_builds(work)
    add_results(work, "where the answer goes")


def _add_range(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("range")
    group.add_argument(
        "--repo",
        default="",
        metavar="PATH_OR_URL",
        help="a clone of ncnn (default: that of the configuration; without one, releases of the "
        "package index)",
    )
    group.add_argument("--good", metavar="REV", help="a revision that is good")
    group.add_argument("--bad", metavar="REV", help="a revision that is bad")
    group.add_argument(
        "--find-fix", action="store_true", help="look for the first good one after a bad one"
    )
    group.add_argument(
        "--scan",
        type=int,
        metavar="N",
        help="sample N revisions first, to see changes that come and go (default: 7 from 1000 "
        "revisions on)",
    )
    group.add_argument(
        "--target",
        type=Target,
        choices=list(Target),
        default=Target.LAST,
        help="which of several changes to bisect (default: %(default)s)",
    )


def _add_question(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("question")
    add_config(group)
    group.add_argument(
        "--flags", metavar="SET", help="build flags (default: [bisect] flags of the configuration)"
    )
    group.add_argument(
        "--run", metavar="SET", help="run options (default: [bisect] run of the configuration)"
    )
    group.add_argument("--input", metavar="NAME", help="input (default: the configuration's first)")
    group.add_argument(
        "--layer",
        default="",
        metavar="NAME|TYPE",
        help="layer to test alone (default: the one with the worst error at the bad end)",
    )
    group.add_argument(
        "--whole-model", action="store_true", help="measure the model's output at every step"
    )
    group.add_argument(
        "--explain",
        action="store_true",
        help="also find the build options that it takes at the answer (some more builds)",
    )
    group.add_argument(
        "--metric",
        type=Metric,
        choices=list(Metric),
        default=Metric.SCALE_RELATIVE,
        help="what is measured (default: %(default)s)",
    )
    group.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="value that divides good from bad (default: half way between the ends)",
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    if options.resume:
        options = _last_interrupted(options.results)
    if options.whole_model and options.layer:
        raise UsageError("--layer and --whole-model exclude each other. Give one of them.")
    config = load_config(options.config)
    console = wide_console()
    run = open_run(
        options.results,
        name="bisect",
        key=content_key([_plain(options), config.model_dump(mode="json")]),
        config=options.config.read_text(encoding="utf-8"),
        fresh=options.fresh and not options.resume,
    )
    write_atomically(run.path / COMMAND, json.dumps(_plain(options), indent=1))
    reporter = Reporter(console)
    reporter.say(f"{run.path}: if interrupted, continue with: nox -s bisect -- --resume")
    try:
        text, data, code = _answer(options, config, run, reporter)
    except HarnessError:
        # Whatever ended it would end it again: this is nothing to resume.
        run.close()
        raise
    except KeyboardInterrupt:
        reporter.say("interrupted; continue with: nox -s bisect -- --resume")
        raise
    write_atomically(run.path / "answer.md", text)
    write_atomically(run.path / "answer.json", data)
    run.close()
    console.print(Markdown(text))
    console.print(f"\nanswer: {run.path}/answer.md and answer.json", highlight=False)
    return code


def _answer(
    options: argparse.Namespace, config: Config, run: RunDirectory, reporter: Reporter
) -> tuple[str, str, int]:
    """Return the answer as Markdown and as JSON, with the exit code."""
    store = Store(root=options.builds.resolve())
    store.prepare()
    base = options.config.resolve().parent
    where = options.repo or _configured(config, base)
    clone = None
    if where:
        clone = Clone.open(where, store=store.sources, log=store.logs / "bisect.log")
    # First what needs no model: a mistyped revision is reported at once.
    points = [_version(options.version, clone)] if options.version else _history(options, clone)
    request = Request(
        config=config,
        base=base,
        store=store,
        jobs=options.jobs,
        retry_failed=options.retry_failed,
        remember=not options.fresh,
        input=options.input or config.bisect.input,
    )
    case = Case(
        lab=laboratory(request, Memory(path=run.path / "measurements.jsonl")),
        setting=setting_of(
            config,
            options.bad_flags or options.flags or config.bisect.flags,
            options.bad_run or options.run or config.bisect.run,
        ),
        terms=Terms(
            metric=options.metric,
            threshold=options.threshold,
            rules=config.bisect.rules,
            find_fix=options.find_fix,
            target=options.target,
            scan=options.scan,
        ),
        tolerance=config.tolerance,
        layer=options.layer,
        whole_model=options.whole_model,
        explain=options.explain,
        clone=clone,
        listener=reporter,
        say=reporter.say,
        compared=reporter.compared,
    )
    if options.version:
        return _compared(options, config, case, points[0])
    open_end = not (options.good or options.find_fix)
    found = case.releases(points) if open_end else case.among(points)
    code = EXIT_OK if found.found else EXIT_SUSPECTS
    if found.commit and found.becomes == "bad":
        write_atomically(run.path / FILE, json.dumps([guilty(found).model_dump()], indent=1))
    return markdown(found), found.model_dump_json(indent=1), code


def _configured(config: Config, base: Path) -> str:
    where = config.source.git
    return where if not where or ":" in where else str((base / Path(where).expanduser()).resolve())


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
        raise UsageError(_unknown(newest, labels))
    commit = clone.point(newest)
    return [*(p for p in releases if clone.is_ancestor(p.id, commit.id)), commit]


def _version(name: str, clone: Clone | None) -> Point:
    if clone:
        return clone.point(name)
    releases = {point.revision.label: point for point in index_releases()}
    if name not in releases:
        raise UsageError(_unknown(name, list(releases)))
    return releases[name]


def _unknown(name: str, labels: list[str]) -> str:
    return (
        f"{name}: not a release of the package index, which has {', '.join(labels)}. Choose one of "
        "these, or name a clone with --repo."
    )


def _compared(
    options: argparse.Namespace, config: Config, case: Case, point: Point
) -> tuple[str, str, int]:
    good = setting_of(
        config,
        options.good_flags or options.flags or config.bisect.flags,
        options.good_run or options.run or config.bisect.run,
    )
    subject, explanation = case.compare(point, good)
    text, data = comparison_markdown(explanation, point=point, subject=subject)
    return text, data, EXIT_OK


def _plain(options: argparse.Namespace) -> dict[str, object]:
    """Return the arguments as they can be stored; paths become absolute."""
    values = {k: v for k, v in vars(options).items() if k not in ("execute", "command")}
    values |= {key: str(values[key].absolute()) for key in _WHERE}
    values["resume"] = False
    if values["repo"] and Path(str(values["repo"])).exists():
        values["repo"] = str(Path(str(values["repo"])).absolute())
    return values


def _last_interrupted(results: Path) -> argparse.Namespace:
    """Return the arguments of the newest bisection that has no answer yet."""
    for command in sorted(results.glob(f"*/{COMMAND}"), reverse=True):
        state = json.loads((command.parent / "run.json").read_text(encoding="utf-8"))
        if not state.get("finished"):
            values = json.loads(command.read_text(encoding="utf-8"))
            values |= {key: Path(values[key]) for key in _WHERE}
            values |= {"target": Target(values["target"]), "metric": Metric(values["metric"])}
            return argparse.Namespace(**{**values, "resume": True})
    raise UsageError(f"{results}: no interrupted bisection. Start one, see --help.")
