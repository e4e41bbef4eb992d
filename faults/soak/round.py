"""One round of a soak: a run that is struck and restarted until it may end."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults import processes
from faults.baseline import run_of
from faults.run import HUNG, Ended
from faults.soak.growth import Size, resident_kib, size_of
from faults.soak.strikes import chosen
from faults.table import differences, records_of, table_of
from harness.domain.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from faults.run import Running
    from faults.stage import Stage
    from faults.table import Table

WORK = {
    "measures anew": (("store/measurements",), ()),
    "measures and remembers nothing": (("store/measurements", "store/references"), ("--fresh",)),
    "builds with the compiler cache": (("store/modules/2*", "store/measurements"), ()),
    "builds from nothing": (("store/modules", "store/objects", "store/measurements"), ()),
    "extracts and builds": (("store/sources/index-*", "store/modules/2*"), ()),
}
"""What makes a round work again: what is taken away before it, and words for its first run."""
MOST_STRIKES = 12
STRIKE_SECONDS = 12.0
"""The longest that a run goes on undisturbed while a round is struck."""
LURK_SECONDS = 3.0
"""How long to wait for what is to be struck; then it is something else's turn."""
RUN_SECONDS = 3600.0
"""How long one run may take on any machine."""
TRIES = 6
"""How often the command may be run at the end of a round until it has a table: a strike may have
left a build unmade, which ends a run with the reason."""


@dataclass(kw_only=True)
class Round:
    """What became of one."""

    work: str
    struck: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    runs: int = 0
    size: Size
    seconds: float = 0.0


def one_round(stage: Stage, expected: Table, random: Random, *, deadline: float) -> Round:
    """Take something away, strike the run that makes it again, and look at its table."""
    started = time.monotonic()
    work = random.choice([*WORK])
    gone, words = WORK[work]
    for pattern in gone:
        for path in stage.root.glob(pattern):
            shutil.rmtree(path)
    struck: Counter[str] = Counter()
    wrong: list[str] = []
    memory, runs = 0, 0
    for _ in range(random.randint(1, MOST_STRIKES)):
        if time.monotonic() > deadline:
            break
        run = stage.start(*words)
        words = ()
        runs += 1
        memory = max(memory, _strike_while_it_runs(run, struck, random))
        wrong += complaints(run.ended(patience=RUN_SECONDS))
    for _ in range(TRIES):
        run = stage.start(*words)
        words = ()
        runs += 1
        memory = max(memory, _watch(run))
        ended = run.ended(patience=RUN_SECONDS)
        wrong += complaints(ended)
        if ended.code in (0, 1) and run_of(ended):
            break
    wrong += compared(ended, expected)
    left = processes.left_over(10.0)
    wrong += [f"left running: {process.name}" for process in left]
    processes.kill(left)
    return Round(
        work=work,
        struck=struck,
        wrong=wrong,
        runs=runs,
        size=size_of(stage, memory),
        seconds=time.monotonic() - started,
    )


def _strike_while_it_runs(run: Running, struck: Counter[str], random: Random) -> int:
    """Strike now and then until the run has ended; return the most memory it took, in KiB."""
    memory = 0
    strike = chosen(random)
    waits = time.monotonic() + random.uniform(0.0, STRIKE_SECONDS)
    while run.process.poll() is None:
        memory = max(memory, resident_kib(run.pid))
        if time.monotonic() > waits:
            # What it is for may not be there yet: workers live for a moment.
            missed = not strike.hit(run, random)
            if missed and time.monotonic() < waits + LURK_SECONDS:
                continue
            struck[strike.name] += not missed
            strike = chosen(random)
            waits = time.monotonic() + (0.0 if missed else random.uniform(0.0, STRIKE_SECONDS))
        time.sleep(0.05)
    return memory


def _watch(run: Running) -> int:
    memory = 0
    while run.process.poll() is None:
        memory = max(memory, resident_kib(run.pid))
        time.sleep(0.05)
    return memory


def complaints(ended: Ended) -> list[str]:
    """Return what no run may do, however it was struck."""
    found = []
    if ended.has_traceback:
        found.append(f"traceback:\n{ended.output[-4000:]}")
    if ended.code == HUNG:
        found.append(f"hung:\n{ended.output[-4000:]}")
    return found


def compared(ended: Ended, expected: Table) -> list[str]:
    """Return how the table of a finished run differs from that of an undisturbed one."""
    run = run_of(ended)
    if ended.code not in (0, 1) or run is None:
        return [f"no table: {ended.fate}:\n{ended.output[-4000:]}"]
    return differences(*settled(table_of(records_of(run)), expected))


def settled(found: Table, expected: Table) -> tuple[Table, Table]:
    """Return two tables without the cells that in both come and go.

    A build that writes beyond its memory crashes at one time, and at another gives numbers that
    differ from run to run.
    """
    both = [cell for cell in found if cell in expected]
    moody = {cell for cell in both if _comes_and_goes(found[cell], expected[cell])}
    left, wanted = (
        {cell: row for cell, row in table.items() if cell not in moody}
        for table in (found, expected)
    )
    return left, wanted


def _comes_and_goes(*rows: Mapping[str, Any]) -> bool:
    return all(
        row["verdict"] == Verdict.UNSTABLE
        or (row["verdict"] == Verdict.BROKEN and str(row["reason"]).startswith("SIG"))
        for row in rows
    )
