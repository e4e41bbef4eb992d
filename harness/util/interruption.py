"""What signals that ask this process to end do, at each stage of its life.

Imports nothing that takes time, not even `harness.util.errors`: it is in force before anything
that does is imported.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

PATIENCE_SECONDS = 1.0
_TIDYING_SECONDS = 5
INTERRUPTED = 130
"""`harness.util.errors.EXIT_INTERRUPTED`."""


class OutOfTimeError(KeyboardInterrupt):
    """The processor time that this process may use is used up: it has to end as if asked to."""


def leave_when_asked() -> None:
    """From now on, end at once: nothing has begun that would need tidying up."""
    _handle(_leave)


def raise_when_asked() -> None:
    """From now on, raise `KeyboardInterrupt` in the main thread.

    Whoever asks again after `PATIENCE_SECONDS` does not want to wait for the tidying up: all
    processes that this one started are killed, and so is it. What is finished is on the disk by
    then. (`timeout`, terminals and nox ask twice within that time and mean it once.)
    """
    _handle(_raise)


def raise_when_out_of_time() -> None:
    """Raise `OutOfTimeError` in the main thread before a limit of processor time ends the process.

    As far as the limit (`ulimit -t`) allows it, some seconds are left for tidying up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if soft == resource.RLIM_INFINITY:
        return
    signal.signal(signal.SIGXCPU, _raise_out_of_time)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, max(1, hard - _TIDYING_SECONDS, hard // 2))
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _raise_out_of_time(_signal: int, _frame: object) -> None:
    # The system says it again each second.
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    raise OutOfTimeError


def _handle(handler: signal._HANDLER) -> None:
    for number in SIGNALS:
        # What was ignored when the process began stays so, as SIGHUP under nohup.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _leave(_signal: int, _frame: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


def _raise(_signal: int, _frame: object) -> None:
    asked = time.monotonic()

    def again(_signal: int, _frame: object) -> None:
        if time.monotonic() - asked >= PATIENCE_SECONDS:
            _kill()

    _handle(again)
    raise KeyboardInterrupt


def _kill() -> None:
    # Only now: it takes time to import.
    from harness.util.family import descendants

    for number in descendants(os.getpid()):
        with suppress(OSError):
            os.kill(number, signal.SIGKILL)
    os.write(2, b"interrupted twice; the same command continues where it stopped\n")
    os._exit(INTERRUPTED)
