"""`bisect-step`: one verdict on the commit at hand, for plain `git bisect run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.bisection.criterion import Criterion, Metric
from harness.analysis.bisection.history import Clone, Point
from harness.analysis.bisection.measurement import Memory
from harness.analysis.bisection.preparation import BisectionSetup, revision_tester, variant_of
from harness.analysis.bisection.submodel import Subject, layers_called, part_of
from harness.commands import argument_types as types
from harness.commands.arguments import add_builds, add_jobs, add_locked, loaded
from harness.domain.outcomes import Outcome
from harness.sources import git
from harness.util.build_store import Store
from harness.util.errors import EXIT_CLOSED, EXIT_ENVIRONMENT, EXIT_INTERNAL, EXIT_USAGE
from harness.util.printable import printable

if TYPE_CHECKING:
    import argparse

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.revision_tester import RevisionTester
    from harness.config.tables import Config

HELP = "one verdict on the checked-out commit, for `git bisect run`"
DESCRIPTION = """\
Builds the commit that git has checked out, runs the layer or the model on it and ends with the code
that `git bisect run` understands. `nox -s bisect` does the whole search and needs fewer steps.
"""
EXAMPLES = """\
example, in a clone of ncnn:
  git bisect start 20221128 20220420
  git bisect run python -m harness bisect-step --config ../configs/default.toml \\
      --layer InnerProduct --threshold 1e-4
"""
GOOD, BAD, SKIP = 0, 1, 125
"""What `git bisect run` understands."""
STOP = 128
"""It takes 1 to 127 for a verdict and stops at what is above."""
EXITS = {
    GOOD: "good",
    BAD: "bad",
    SKIP: "cannot be tested: git bisect skips it",
    STOP + EXIT_USAGE: "wrong usage, configuration or model file, or interrupted: git bisect stops",
    STOP + EXIT_ENVIRONMENT: "the machine lacks something: git bisect stops",
    EXIT_CLOSED: "nobody reads standard output any more: git bisect stops",
    STOP + EXIT_INTERNAL: "a mistake in the harness itself: git bisect stops",
}
CODES = {Outcome.GOOD: GOOD, Outcome.BAD: BAD, Outcome.SKIP: SKIP, Outcome.UNSTABLE: SKIP}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--repo",
        type=types.repository,
        default=".",
        metavar="PATH",
        help="the clone (default: the current directory)",
    )
    parser.add_argument(
        "--config", type=types.path, required=True, metavar="FILE", help="configuration file"
    )
    parser.add_argument("--flags", type=types.text, metavar="SET", help="build flags, as in bisect")
    parser.add_argument("--run", type=types.text, metavar="SET", help="run options, as in bisect")
    parser.add_argument("--input", type=types.name, metavar="NAME", help="input, as in bisect")
    parser.add_argument(
        "--layer",
        type=types.name,
        default="",
        metavar="NAME|TYPE",
        help="layer to test alone (default: the whole model's output)",
    )
    parser.add_argument(
        "--metric",
        type=types.choice(Metric),
        metavar=types.among(Metric),
        default=Metric.SCALE_RELATIVE,
        help="what is measured (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=types.threshold,
        metavar="T",
        required=True,
        help="value that divides good from bad",
    )
    add_jobs(parser)
    add_builds(parser)
    add_locked(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message; every failure that is no verdict stops `git bisect
            run`, see `harness.commands.command_line`.
    """
    options.metric.check(options.threshold)
    config = loaded(options)
    store = Store(root=options.builds.resolve())
    store.prepare()
    clone = Clone.open(options.repo, store=store.sources, log=store.logs / "bisect.log")
    point = clone.point(_head(clone))
    variant = variant_of(
        config, options.flags or config.bisect.flags, options.run or config.bisect.run
    )
    request = BisectionSetup(
        config=config,
        base=options.config.resolve().parent,
        store=store,
        jobs=options.jobs,
        input=options.input or config.bisect.input,
        revisions=[point.revision],
        flags=variant.flags,
    )
    tester = revision_tester(request, Memory(path=store.bisections / "steps.jsonl"))
    subject = tester.whole
    if options.layer:
        subject = part_of(
            tester.whole, layers_called(tester.whole.model.graph, options.layer), store
        )
    outcome, reason = _verdict(options, config, tester, subject, point, variant)
    print(printable(f"{point.name}: {outcome}: {reason}"))
    return CODES[outcome]


def _head(clone: Clone) -> str:
    """Return what is to be tested: with `git bisect --no-checkout`, HEAD stays where it was."""
    return "BISECT_HEAD" if git.find(clone.path, "BISECT_HEAD") else "HEAD"


def _verdict(
    options: argparse.Namespace,
    config: Config,
    tester: RevisionTester,
    subject: Subject,
    point: Point,
    variant: Variant,
) -> tuple[Outcome, str]:
    rules = config.bisect.rules
    criterion = Criterion(metric=options.metric, threshold=options.threshold, rules=rules)
    known = tester.recall(subject, variant).get(point.id)
    found = known[-1] if known else tester.measure(point, subject, variant)
    judgement = criterion.judge(found.observation(subject.watched, options.metric))
    if judgement.near:
        again = tester.measure(point, subject, variant).observation(subject.watched, options.metric)
        if criterion.judge(again).outcome is not judgement.outcome:
            return Outcome.UNSTABLE, f"{judgement.reason}, and once more: {again}"
    return judgement.outcome, judgement.reason
