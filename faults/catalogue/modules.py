"""Builds of ncnn that loop, leak, destroy their heap, leave, print and reach out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.fault import Fault
from faults.misbehaving import GOOD
from faults.stage import BAD_CONFIG

if TYPE_CHECKING:
    from faults.run import Ended
    from faults.stage import Stage


def _run(stage: Stage) -> Ended:
    return stage.run("--fresh")


def _reaching_out(stage: Stage) -> Ended:
    """Run, and look at what the module may have written."""
    ended = stage.run("--fresh")
    for place in (stage.store, stage.results):
        written = place / "written-by-a-module"
        if written.exists():
            # Where nobody may write: the common checks find it there.
            written.rename(stage.root / f"written-to-{place.name}")
    return ended


BROKEN = "that cell is broken and says how; the other has its numbers"
EITHER = "that cell is broken and says how, or its numbers are right; the other has its numbers"
KEPT_OUT = "nothing is written; both cells have numbers"
LEFT_OUT = (
    "that cell is left out with the reason, since the system may have done it, or a limit may be "
    "too low; the other is not"
)


def _fault(deed: str, how: str, says: str, *, expected: str = BROKEN) -> Fault:
    return Fault(
        id=f"module-{deed}",
        kind="module",
        where="ncnn itself, in one of two cells of a build",
        how=how,
        expected=expected,
        strike=_reaching_out if deed == "write" else _run,
        codes=(1,) if expected == BROKEN else (0, 1),
        says=says,
        start="measured",
        config=BAD_CONFIG,
        only=(*GOOD, f"*/{deed}"),
        spoils=f"*/{deed}",
        accuses=True,
    )


FAULTS = (
    _fault("loop", "loops for ever", "no result after|time"),
    _fault("sleep", "sleeps for ever with all signals blocked", "no result after|time"),
    _fault("leak", "takes memory without end", "of memory|no result after", expected=LEFT_OUT),
    _fault("heap", "overwrites its heap", "SIG"),
    _fault("stack", "overruns its stack", "SIGSEGV"),
    _fault("exit-0", "ends the process with 0 in the middle", "exit code 0"),
    _fault("exit-0-politely", "calls `exit(0)` in the middle", "exit code 0"),
    _fault("exit-3", "ends the process with 3 in the middle", "exit code 3"),
    _fault("kill", "sends itself SIGKILL", "SIGKILL|killed", expected=LEFT_OUT),
    _fault("abort", "aborts", "SIGABRT"),
    _fault("segv", "reads where there is nothing", "SIGSEGV"),
    _fault("throw", "throws what nobody catches", "broken"),
    _fault("nan", "returns NaN", "NaN"),
    _fault("nul-bytes", "prints zeros and aborts", "SIGABRT"),
    _fault("chatter", "prints without end", "broken"),
    _fault("escape", "leaves a child behind in a session of its own, and aborts", "SIGABRT"),
    _fault("close-all", "closes all files of the process", "", expected=EITHER),
    _fault("write", "writes to the store and to the results", "", expected=KEPT_OUT),
    _fault("connect", "opens a connection", "exit code 40"),
)
