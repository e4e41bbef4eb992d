"""What is struck while a run soaks, and how often."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults import processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from faults.processes import Process
    from faults.run import Running


@dataclass(frozen=True, kw_only=True)
class Strike:
    """A signal to a process of a sort."""

    name: str
    signal: signal.Signals
    find: Callable[[int], list[Process]] | None = None
    """Finds whom to strike, given the harness; None for the harness itself."""
    weight: float = 1.0
    """How often, compared with the others."""

    def hit(self, run: Running, random: Random) -> bool:
        """Strike one at random, and return whether there was any."""
        if self.find is None:
            run.send(self.signal)
            return True
        found = self.find(run.pid)
        return bool(found) and processes.kill([random.choice(found)], self.signal) > 0


STRIKES = (
    Strike(name="kill harness", signal=signal.SIGKILL, weight=3.0),
    Strike(name="interrupt harness", signal=signal.SIGINT, weight=2.0),
    Strike(name="terminate harness", signal=signal.SIGTERM),
    Strike(name="hang up harness", signal=signal.SIGHUP),
    Strike(name="kill worker", signal=signal.SIGKILL, find=processes.workers, weight=3.0),
    Strike(name="kill fork server", signal=signal.SIGKILL, find=processes.fork_servers),
    Strike(name="kill compiler", signal=signal.SIGKILL, find=processes.compilers, weight=2.0),
    Strike(name="kill ninja", signal=signal.SIGKILL, find=processes.named("ninja")),
    Strike(name="kill cmake", signal=signal.SIGKILL, find=processes.named("cmake")),
    Strike(name="kill compiler cache", signal=signal.SIGKILL, find=processes.cache_servers),
)


def chosen(random: Random) -> Strike:
    """Return one strike at random, the frequent ones more often."""
    weights = [strike.weight for strike in STRIKES]
    return random.choices(STRIKES, weights)[0]
