"""`ci-matrix`: divide a matrix into jobs of GitHub Actions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.build.packages import packages_of
from harness.commands import argument_types as types
from harness.commands.arguments import COMMON_EXITS, add_builds, add_locked
from harness.commands.selection import add_selection, check_any, selected
from harness.config.shards import MOST_SHARDS, Shard, divided
from harness.domain.formatting import count
from harness.util.build_store import Store
from harness.util.errors import EXIT_OK
from harness.util.naming import file_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.domain.spec import BuildSpec

RUNNER = "ubuntu-latest"
"""Other processors are compiled for and emulated there, so that one kind serves all builds."""
HELP = "print a matrix of GitHub Actions: jobs that each run a shard of the builds"
DESCRIPTION = """\
Divides the matrix that `matrix` would run with the same arguments by its builds, and prints a job
for each shard as JSON in one line: what `matrix --shard` takes, a name, the builds, the machine,
and the packages of Ubuntu that a bare one lacks. Nothing is built, and only what tells the cells
is fetched, such as the source for `one-at-a-time`. docs/ci has the workflows.
"""
EXAMPLES = """\
examples:
  nox -s ci-matrix                                       a job for each build
  nox -s ci-matrix -- --config configs/simd.toml --shards 4
  nox -s matrix -- --config configs/simd.toml --shard 3/4
                                                         what the third of these jobs runs
"""
EXITS = {EXIT_OK: "the jobs are printed", **COMMON_EXITS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_selection(parser)
    parser.add_argument(
        "--shards",
        type=types.shards,
        default=MOST_SHARDS,
        metavar="N",
        help="how many jobs at most; never more than builds (default: one for each build, at most "
        "%(default)s)",
    )
    parser.add_argument(
        "--runner",
        type=types.label,
        default=RUNNER,
        metavar="LABEL",
        help="the machine that runs the jobs, a `runs-on` (default: %(default)s)",
    )
    add_builds(parser)
    add_locked(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    _, matrix = selected(options, Store(root=options.builds.resolve()))
    check_any(matrix)
    shards = divided(matrix, min(options.shards, len(matrix.builds)))
    jobs = [
        _job(Shard(index=index, count=len(shards)), builds, options.runner)
        for index, builds in enumerate(shards, start=1)
    ]
    print(json.dumps({"include": jobs}))
    return EXIT_OK


def _job(shard: Shard, builds: Sequence[BuildSpec], runner: str) -> dict[str, Any]:
    """Return what the job of a shard has to know."""
    others = f" and {count(len(builds) - 1, 'other')}" if len(builds) > 1 else ""
    ids = [build.id for build in builds]
    return {
        "shard": str(shard),
        "name": f"{ids[0]}{others}",
        # Names of artifacts and caches may not hold what ids may.
        "key": file_name("+".join(ids)),
        "builds": ids,
        "runner": runner,
        "packages": list(dict.fromkeys(name for each in builds for name in packages_of(each))),
    }
