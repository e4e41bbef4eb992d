"""Signals by which people and systems end programs, and outputs that go away."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from faults.catalogue import moments
from faults.fault import SAME, Fault, Start
from harness.util.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Ended, Running
    from faults.stage import Stage

    Moment = Callable[[Stage, Running], None]

ENDS = "it ends at once, says that the same command continues, and leaves nothing running"
SAYS = "interrupted"


def _signalled(
    number: int, moment: Moment, *, times: int = 1, group: bool = False, pause: float = 0.05
) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        run = stage.start()
        moment(stage, run)
        for _ in range(times):
            run.send(number, group=group)
            time.sleep(pause)
        return run.ended(patience=60 + time.monotonic() - run.started)

    return strike


def _fault(
    name: str,
    number: signal.Signals,
    moment: Moment,
    start: Start,
    *,
    times: int = 1,
    group: bool = False,
    codes: tuple[int, ...] = (EXIT_INTERRUPTED,),
    says: str = SAYS,
) -> Fault:
    count = {1: "", 2: " twice", 3: " three times"}[times]
    return Fault(
        id=name,
        kind="interrupted",
        where=f"the harness{' and its process group' if group else ''}, {moments.words(moment)}",
        how=f"{number.name}{count}",
        expected=ENDS,
        codes=codes,
        says=says,
        strike=_signalled(number, moment, times=times, group=group),
        start=start,
        # Asked twice, it goes at once.
        tidies="all" if times == 1 else "processes",
    )


def _output_to(place: str) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        return stage.start(stdout=Path(place)).ended()

    return strike


def _reader_leaves(stage: Stage) -> Ended:
    """Let the reader of its output go away, as `head` does."""
    reader = subprocess.Popen(["head", "-c", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdin is not None
    run = stage.start(stdout=Path(f"/proc/self/fd/{reader.stdin.fileno()}"))
    reader.stdin.close()
    ended = run.ended()
    reader.wait()
    return ended


def _no_output(stage: Stage) -> Ended:
    words = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *stage.matrix()]
    return stage.start(command=words).ended()


def _no_unicode(stage: Stage) -> Ended:
    return stage.run(env={"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"})


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
STARTING = (EXIT_INTERRUPTED, -INT, SAME)
FAULTS = (
    _fault("int-starting", INT, moments.starting, "built", codes=STARTING, says=""),
    _fault("int-downloading", INT, moments.downloading, "unfetched"),
    _fault("int-configuring", INT, moments.configuring, "fetched"),
    _fault("int-compiling", INT, moments.compiling, "fetched"),
    _fault("int-measuring", INT, moments.measuring, "built"),
    _fault("int-group", INT, moments.measuring, "built", group=True),
    _fault(
        "int-concluding",
        INT,
        moments.concluding,
        "measured",
        codes=(EXIT_INTERRUPTED, -INT, SAME),
        says="",
    ),
    _fault("int-twice-compiling", INT, moments.compiling, "fetched", times=2),
    _fault("int-twice-measuring", INT, moments.measuring, "built", times=2),
    _fault("int-three-times", INT, moments.working, "built", times=3),
    _fault("term-downloading", TERM, moments.downloading, "unfetched"),
    _fault("term-compiling", TERM, moments.compiling, "fetched"),
    _fault("term-measuring", TERM, moments.measuring, "built"),
    _fault("term-twice", TERM, moments.measuring, "built", times=2),
    _fault("hup-compiling", HUP, moments.compiling, "fetched"),
    _fault("hup-measuring", HUP, moments.measuring, "built"),
    Fault(
        id="output-full",
        kind="interrupted",
        where="stdout",
        how="it is /dev/full",
        expected="one line says so; what was measured is kept",
        codes=(SAME, 3),
        strike=_output_to("/dev/full"),
        start="measured",
    ),
    Fault(
        id="output-reader-leaves",
        kind="interrupted",
        where="stdout",
        how="a pipe whose reader goes away, as `head` does",
        expected="it ends without complaint; what was measured is kept",
        codes=(SAME, 0, 3, EXIT_INTERRUPTED, -signal.SIGPIPE, 141),
        strike=_reader_leaves,
        start="measured",
    ),
    Fault(
        id="output-closed",
        kind="interrupted",
        where="stdout and stderr",
        how="both are closed from the start",
        expected="it works without",
        codes=(SAME, 3),
        strike=_no_output,
        start="measured",
    ),
    Fault(
        id="output-ascii",
        kind="interrupted",
        where="stdout and stderr",
        how="an encoding that has no letters beyond ASCII",
        expected="what cannot be printed is replaced",
        strike=_no_unicode,
        start="measured",
    ),
)
