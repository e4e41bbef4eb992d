"""`python -m faults`: try faults, say what happened, write the page."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from faults import processes
from faults.baseline import Baseline
from faults.catalogue import FAULTS, SHORT
from faults.index import Index
from faults.page import PAGE, hostile_cases, row, write_page
from faults.trial import Outcome, attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.fault import Fault


def main(words: Sequence[str] | None = None) -> int:
    """Try the faults that were asked for; the exit code is 1 if one does not end as expected."""
    options = _parser().parse_args(words)
    chosen = _chosen(options)
    if options.hostile:
        write_page(options.page, hostile=hostile_cases(options.hostile))
        return 0
    if options.list:
        for fault in chosen:
            print(f"{fault.id:32} {fault.where}: {fault.how}")
        return 0
    processes.adopt_orphans()
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    baseline = Baseline(work=work.resolve(), index=Index(), seed=options.seed)
    baseline.index.archive = baseline.sdist()
    outcomes = []
    for fault in chosen:
        outcomes.append(_tried(fault, baseline, options))
        if options.update or len(chosen) == len(FAULTS):
            write_page(options.page, faults=FAULTS, outcomes=outcomes)
    return _conclusion(outcomes, options.page)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the faults and try none")
    parser.add_argument("--short", action="store_true", help="those that are tried in CI")
    parser.add_argument(
        "--only", action="append", default=[], metavar="GLOB", help="those whose id matches"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="decides what chance decides (default: %(default)s)"
    )
    parser.add_argument(
        "--work",
        default=str(Path(tempfile.gettempdir()) / "ncnn-faults"),
        metavar="DIR",
        help="where undisturbed runs are kept and faults strike (default: %(default)s)",
    )
    parser.add_argument(
        "--page",
        type=Path,
        default=PAGE,
        metavar="FILE",
        help="the page: written after all faults, compared with after some (default: %(default)s)",
    )
    parser.add_argument(
        "--update", action="store_true", help="bring the page up to date after some faults, too"
    )
    parser.add_argument(
        "--hostile",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="try nothing; put into the page what hostile inputs did, from files of JSON lines",
    )
    parser.add_argument("--verbose", action="store_true", help="show the output of what went wrong")
    return parser


def _chosen(options: argparse.Namespace) -> list[Fault]:
    chosen = [fault for fault in FAULTS if not options.short or fault.id in SHORT]
    if options.only:
        chosen = [f for f in chosen if any(fnmatchcase(f.id, glob) for glob in options.only)]
    if not chosen:
        sys.exit(f"no fault matches {' '.join(options.only)}. `--list` names them.")
    return chosen


def _tried(fault: Fault, baseline: Baseline, options: argparse.Namespace) -> Outcome:
    started = time.monotonic()
    outcome = attempt(fault, baseline, seed=options.seed)
    seconds = time.monotonic() - started
    state = "skipped" if outcome.skipped else "ok" if outcome.holds else "FAILED"
    print(f"{state:8}{seconds:6.1f} s  {fault.id}", flush=True)
    for line in outcome.wrong:
        print(f"                 {line}", flush=True)
    if options.verbose and outcome.output:
        print(outcome.output, flush=True)
    return outcome


def _conclusion(outcomes: Sequence[Outcome], page: Path) -> int:
    tried = [outcome for outcome in outcomes if not outcome.skipped]
    failed = [outcome for outcome in tried if not outcome.holds]
    skipped = len(outcomes) - len(tried)
    print(f"{len(tried)} faults, {len(failed)} not as expected, {skipped} skipped")
    for outcome in failed:
        print(f"  nox -s faults -- --only {outcome.fault.id}")
    lines = set(page.read_text(encoding="utf-8").splitlines()) if page.exists() else set()
    stale = [outcome for outcome in tried if outcome.holds and row(outcome) not in lines]
    for outcome in stale:
        print(f"{page.name} says something else of {outcome.fault.id}; --update writes this:")
        print(f"  {row(outcome)}")
    return 1 if failed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
