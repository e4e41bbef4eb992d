"""Several harnesses at one store, or at the same results."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faults.baseline import run_of
from faults.catalogue import moments
from faults.fault import Fault, Start
from faults.run import Ended, harness_words
from faults.table import differences, records_of, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Running
    from faults.stage import Stage


def _both(one: Ended, other: Ended) -> Ended:
    """Return two runs as one; the first that ended otherwise counts, so does what it said."""
    code = one.code if one.code == other.code else max(one.code, other.code)
    output = f"{one.output}\n{other.output}"
    tables = [table_of(records_of(run)) for e in (one, other) if (run := run_of(e))]
    if len(tables) == 2 and (lines := differences(*tables)):
        return Ended(code=99, output=f"{output}\nthe two tables differ: {lines[0]}\n")
    return Ended(code=code, output=output)


def _two(
    *, delay: float = 0.0, results: bool = False, tmp: bool = False
) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        env = {"TMPDIR": str(stage.scratch("t"))} if tmp else {}
        one = stage.start()
        time.sleep(delay)
        mine = stage.results
        if results:
            stage.results = stage.root / "logs" / "other-results"
        other = stage.start(env=env)
        stage.results = mine
        return _both(one.ended(), other.ended())

    return strike


def _first_killed(stage: Stage) -> Ended:
    """Kill the one that builds while the other waits for it."""
    one = stage.start()
    moments.compiling(stage, one)
    other = stage.start()
    time.sleep(2.0)
    one.send(9)
    one.ended()
    return other.ended()


def _beside(command: str, *words: str) -> Callable[[Stage], Ended]:
    """Return what runs another command again and again beside a run."""

    def strike(stage: Stage) -> Ended:
        run = stage.start()
        said = ""
        while run.process.poll() is None:
            filled = [
                word.replace("STORE", str(stage.store)).replace("RESULTS", str(stage.results))
                for word in words
            ]
            said += _other(stage, harness_words(command, *filled))
        ended = run.ended()
        return Ended(code=ended.code, output=f"{ended.output}\n{said}")

    return strike


def _other(stage: Stage, words: list[str]) -> str:
    beside: Running = stage.start(command=words)
    return beside.ended().output


def _fault(
    name: str,
    how: str,
    strike: Callable[[Stage], Ended],
    *,
    killed: bool = False,
    loses: bool = False,
    start: Start = "fetched",
) -> Fault:
    return Fault(
        id=f"together-{name}",
        kind="together",
        where="store and results",
        how=how,
        expected="each ends with the same table as alone",
        strike=strike,
        start=start,
        tidies="nothing" if killed else "all",
        loses=loses,
    )


FAULTS = (
    _fault("at-once", "two of the same command at once", _two()),
    _fault(
        "at-once-measuring",
        "two of the same command at once, with builds there",
        _two(),
        start="built",
    ),
    _fault("delayed", "two of the same command, two seconds apart", _two(delay=2.0), start="cold"),
    _fault("other-results", "two at one store, with results of their own", _two(results=True)),
    _fault(
        "other-temporary",
        "two at one store, with temporary directories of their own",
        _two(tmp=True),
        start="cold",
    ),
    _fault(
        "first-killed",
        "two of the same command; the one that compiles is killed",
        _first_killed,
        killed=True,
        start="cold",
    ),
    _fault(
        "pruning",
        "`store --prune-to 0`, again and again",
        _beside("store", "--builds", "STORE", "--prune-to", "0"),
        # The last of these comes when nobody uses the store any more.
        loses=True,
    ),
    _fault("reporting", "`report`, again and again", _beside("report", "RESULTS"), start="built"),
)
