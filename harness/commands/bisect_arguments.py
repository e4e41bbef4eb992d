"""What `bisect` is told on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.bisection.answers import TransitionChoice
from harness.analysis.bisection.criterion import Metric
from harness.commands import argument_types as types
from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_config,
    add_jobs,
    add_locked,
    add_model,
    add_results,
)
from harness.commands.engines import add_scheduler
from harness.util.errors import EXIT_NOT_REPRODUCIBLE, EXIT_OK, EXIT_SUSPECTS

if TYPE_CHECKING:
    import argparse

HELP = "find the commit, the build flag or the run option that made results worse"
DESCRIPTION = """\
Finds the first bad commit between two revisions (or, with --find-fix, the first good one), or which
build flags and run options turn a good configuration into a bad one. The layer at fault is found by
itself and tested alone; the answer is confirmed on the whole model. Everything measured is kept:
an interrupted bisection continues with --resume, and a later one of the same question reuses it.
"""
EXAMPLES = """\
examples:
  nox -s bisect -- --repo ../ncnn --good 20220420 --bad 20221128
  nox -s bisect -- --repo ../ncnn --good 20220420 --bad 20220701 --inside    down to the lines
  nox -s bisect -- --repo ../ncnn                        the newest release is bad: since when?
  nox -s bisect -- --good 20250503 --bad 20261020        releases of the package index only
  nox -s bisect -- --repo ../ncnn --good 20260113 --bad 20260526 --layer InnerProduct --run bf16
  nox -s bisect -- --repo ../ncnn --bad 20250503 --good 20260526 --find-fix
  nox -s bisect -- --version 20250503 --good-flags avx --good-run fp16-off
  nox -s bisect -- --version 20250503 --good-flags avx2-nof16c --bad-flags avx2 --inside
  nox -s bisect -- --good 20250503 --bad 20261020 --scheduler tcp://10.0.0.1:8786
  nox -s bisect -- --resume                              continue the last interrupted one

SET is the name of a set in the configuration or built in, KEY=VALUE pairs, or both, separated by
commas: avx2,NCNN_INT8=OFF or use_bf16_storage=true
"""
EXITS = {
    EXIT_OK: "found: one revision, or the settings that matter",
    EXIT_SUSPECTS: "several suspects, or less than 99 % certain",
    EXIT_NOT_REPRODUCIBLE: "not reproducible: the ends do not differ, or cannot be tested",
    **COMMON_EXITS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _add_range(parser)
    _add_question(parser)
    flags = parser.add_argument_group("build flags and run options (instead of a range)")
    flags.add_argument(
        "--version", type=types.name, metavar="REV", help="compare two configurations of this one"
    )
    for side in ("good", "bad"):
        for what in ("flags", "run"):
            flags.add_argument(
                f"--{side}-{what}", type=types.text, metavar="SET", help=f"default: as --{what}"
            )
    work = parser.add_argument_group("how to work")
    work.add_argument("--resume", action="store_true", help="continue the last interrupted one")
    work.add_argument("--fresh", action="store_true", help="measure anew what is remembered")
    work.add_argument(
        "--retry-failed", action="store_true", help="compile builds again that failed before"
    )
    add_jobs(work)
    add_scheduler(work)
    add_builds(work)
    add_locked(work)
    add_results(work, "where the answer goes")


def _add_range(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("range")
    group.add_argument(
        "--repo",
        type=types.repository,
        default="",
        metavar="PATH_OR_URL",
        help="a clone of ncnn (default: that of the configuration; without one, releases of the "
        "package index)",
    )
    for side in ("good", "bad"):
        group.add_argument(
            f"--{side}", type=types.name, metavar="REV", help=f"a revision that is {side}"
        )
    group.add_argument(
        "--find-fix", action="store_true", help="look for the first good one after a bad one"
    )
    group.add_argument(
        "--scan",
        type=types.revisions,
        metavar="N",
        help="sample N revisions first, to see changes that come and go (default: 7 from 1000 "
        "revisions on)",
    )
    group.add_argument(
        "--target",
        type=types.choice(TransitionChoice),
        metavar=types.among(TransitionChoice),
        default=TransitionChoice.LAST,
        help="which of several changes to bisect (default: %(default)s)",
    )


def _add_question(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("question")
    add_config(group)
    add_model(group)
    group.add_argument(
        "--flags",
        type=types.text,
        metavar="SET",
        help="build flags (default: [bisect] flags of the configuration)",
    )
    group.add_argument(
        "--run",
        type=types.text,
        metavar="SET",
        help="run options (default: [bisect] run of the configuration)",
    )
    group.add_argument(
        "--input",
        type=types.name,
        metavar="NAME",
        help="input (default: the configuration's first)",
    )
    group.add_argument(
        "--layer",
        type=types.name,
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
        "--inside",
        action="store_true",
        help="also find the lines of the commit or release that matter, or with --version the "
        "functions that flags or the compiler change: the fewest that, as on the good side, undo "
        "the effect (docs/bisect.md)",
    )
    group.add_argument(
        "--metric",
        type=types.choice(Metric),
        metavar=types.among(Metric),
        default=Metric.SCALE_RELATIVE,
        help="what is measured (default: %(default)s)",
    )
    group.add_argument(
        "--threshold",
        type=types.threshold,
        metavar="T",
        help="value that divides good from bad (default: the limit by [tolerance], or half way "
        "between the ends where both are beyond it)",
    )
