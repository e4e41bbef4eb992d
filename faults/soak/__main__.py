"""`python -m faults.soak`: kill and restart the default matrix for hours."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from faults import processes
from faults.baseline import BaselineError, run_of
from faults.soak.growth import unbounded
from faults.soak.round import compared, one_round
from faults.stage import PLACES, ROOT, Stage
from faults.table import records_of, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.soak.growth import Size
    from faults.soak.round import Round
    from faults.table import Table

LONG = 24 * 3600.0


def main(words: Sequence[str] | None = None) -> int:
    """Soak, and return 1 if a number, a process or a bound is not what it should be."""
    options = _parser().parse_args(words)
    processes.adopt_orphans()
    stage = Stage(root=Path(options.work).resolve(), config=str(options.config.resolve()))
    for name in PLACES:
        (stage.root / name).mkdir(parents=True, exist_ok=True)
    try:
        expected = _undisturbed(stage)
        return _soak(stage, expected, options)
    finally:
        processes.end_all()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="decides what is struck, and when")
    parser.add_argument(
        "--config",
        type=Path,
        default=ROOT / "configs" / "default.toml",
        metavar="FILE",
        help="what to run (default: %(default)s)",
    )
    parser.add_argument(
        "--work",
        default=str(Path(tempfile.gettempdir()) / "ncnn-soak"),
        metavar="DIR",
        help="where store, results and temporary files are; kept for the next soak "
        "(default: %(default)s)",
    )
    return parser


def _undisturbed(stage: Stage) -> Table:
    """Return the table of a run that nothing disturbs, in which everything is measured."""
    print("an undisturbed run comes first", flush=True)
    started = time.monotonic()
    ended = stage.run("--fresh", patience=LONG)
    run = run_of(ended)
    if ended.code not in (0, 1) or run is None:
        raise BaselineError(f"an undisturbed run ends with {ended.fate}:\n{ended.output}")
    table = table_of(records_of(run))
    print(f"{len(table)} cells in {time.monotonic() - started:.0f} s", flush=True)
    return table


def _soak(stage: Stage, expected: Table, options: argparse.Namespace) -> int:
    random = Random(options.seed)
    deadline = time.monotonic() + options.hours * 3600
    rounds: list[Round] = []
    while time.monotonic() < deadline:
        rounds.append(one_round(stage, expected, random, deadline=deadline))
        _tell(len(rounds), rounds[-1], deadline)
    last = stage.run("--fresh", patience=LONG)
    wrong = [line for each in rounds for line in each.wrong]
    wrong += [f"at the end: {line}" for line in compared(last, expected)]
    wrong += [f"not bounded: {line}" for line in unbounded([each.size for each in rounds])]
    _conclude(rounds, wrong)
    return 1 if wrong else 0


def _tell(number: int, done: Round, deadline: float) -> None:
    left = max(0.0, deadline - time.monotonic()) / 60
    strikes = ", ".join(f"{count} × {name}" for name, count in sorted(done.struck.items()))
    print(
        f"round {number} {done.work}: {done.runs} runs, {done.seconds:.0f} s; "
        f"{strikes or 'nothing'}; {_sizes(done.size)}; {left:.0f} min left",
        flush=True,
    )
    for line in done.wrong:
        print(f"  WRONG: {line}", flush=True)


def _sizes(size: Size) -> str:
    return (
        f"memory {size.memory_mib:.0f} MiB, store {size.store_mib:.0f} MiB, run {size.run_mib:.1f} "
        f"MiB, {size.temporary_files} temporary files, {size.locks} locks"
    )


def _conclude(rounds: Sequence[Round], wrong: Sequence[str]) -> None:
    struck = sum((each.struck for each in rounds), Counter[str]())
    runs = sum(each.runs for each in rounds)
    print(f"{len(rounds)} rounds, {runs} runs, {struck.total()} strikes: {json.dumps(struck)}")
    if rounds:
        print(f"first round: {_sizes(rounds[0].size)}")
        print(f"last round:  {_sizes(rounds[-1].size)}")
    print(f"{len(wrong)} things wrong" if wrong else "the table is that of an undisturbed run")


if __name__ == "__main__":
    raise SystemExit(main())
