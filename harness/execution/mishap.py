"""What the machine did to a process, and not the build that it ran: nobody is to blame for that."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.util.errors import EXIT_INTERNAL
from harness.util.limits import GIB, outer_address_space
from harness.util.process import FROM_OUTSIDE, signal_name

if TYPE_CHECKING:
    from harness.util.process import Completed

EXIT_MACHINE = 75
"""A worker could not do its work for want of something (EX_TEMPFAIL of sysexits.h)."""
_ADDRESSES = 8 * GIB
"""What a process maps besides what it uses: libraries, stacks of threads, arenas."""
_REFUSED = re.compile(r"MemoryError|bad_alloc|[Cc]annot allocate memory")


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """Why nothing can be said of what a process was to do."""

    reason: str
    """With the remedy."""
    again: bool
    """Whether another try may go well."""


def mishap_of(ended: Completed, memory_bytes: int) -> Mishap | None:
    """Return what the machine did to a process; None if it ended by what it ran.

    Args:
        ended: how it ended.
        memory_bytes: memory that it was allowed to use; 0 for any amount.
    """
    if ended.over_memory:
        return Mishap(
            reason=f"it used more than {memory_bytes / GIB:.3g} GiB of memory. Raise memory_gib "
            "in [limits], if the machine has more",
            again=False,
        )
    if ended.timed_out:
        return None
    last = last_line(ended.output)
    if ended.returncode == EXIT_MACHINE:
        return Mishap(reason=last or "the machine is short of something", again=True)
    if ended.returncode == EXIT_INTERNAL:
        return Mishap(reason=f"a mistake in the harness, or memory overwritten: {last}", again=True)
    number = -ended.returncode
    if number in FROM_OUTSIDE:
        return Mishap(reason=sent(number), again=True)
    if number == signal.SIGABRT and is_short_of_memory(ended.output):
        return Mishap(reason=SHORT, again=True)
    return confined(memory_bytes) if number > 0 else None


SHORT = "the machine had no memory left. Lower --jobs, or free some"


def sent(number: int) -> str:
    """Return what a signal from outside says of the machine."""
    causes = {
        signal.SIGKILL: ", as the system does when memory is short. Lower --jobs, or free some",
        signal.SIGXCPU: ": a limit of CPU time. Raise it (ulimit -t)",
        signal.SIGXFSZ: ": a limit of file sizes. Raise it (ulimit -f)",
    }
    rest = causes.get(signal.Signals(number), ". Run it again")
    return f"its process was ended from outside by {signal_name(number)}{rest}"


def confined(memory_bytes: int) -> Mishap | None:
    """Return what to say of a failure where addresses are short; None if they are not.

    A build that is refused memory may end in any way.
    """
    outer = outer_address_space()
    if not outer or outer >= memory_bytes + _ADDRESSES:
        return None
    return Mishap(
        reason=f"it failed where only {outer / GIB:.3g} GiB of addresses are allowed, for which "
        "nobody can be blamed. Raise that limit (ulimit -v unlimited)",
        again=False,
    )


def is_short_of_memory(output: str) -> bool:
    """Return whether a process said that it was refused memory."""
    return bool(_REFUSED.search(output))


def last_line(output: str) -> str:
    """Return the last line of an output that says something."""
    return (output.strip().splitlines() or [""])[-1][:500]
