"""What a fault is, and what is expected of the harness when it strikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from faults.stage import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Ended
    from faults.stage import Stage

Kind = Literal[
    "killed",
    "interrupted",
    "full",
    "damaged",
    "clock",
    "compiler",
    "module",
    "rights",
    "together",
    "network",
    "limits",
]
Start = Literal["empty", "unfetched", "unbound", "cold", "fetched", "built", "measured"]
"""What is there: nothing, all but something, or all up to something, see `baseline.GONE`."""
Need = Literal["mount", "nobody", "c-compiler"]

SAME = -1
"""In place of an exit code: that of an undisturbed run."""


def nothing(stage: Stage) -> None:
    """Leave a stage as the fault left it."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong, and what is to come of it."""

    id: str
    kind: Kind
    where: str
    """What is struck, and when."""
    how: str
    """How that is brought about."""
    expected: str
    """What the harness should do, in words."""
    strike: Callable[[Stage], Ended]
    """Runs the harness and disturbs it."""
    codes: tuple[int, ...] = (SAME,)
    """Exit codes of the disturbed run that are right."""
    says: str = ""
    """Regular expression that a line of the disturbed run's output matches, whatever its case."""
    mend: Callable[[Stage], None] = nothing
    """Takes away what keeps the next run from working and is no leftover, such as a full disk."""
    start: Start = "built"
    needs: tuple[Need, ...] = ()
    config: str = CONFIG
    only: tuple[str, ...] = ()
    spoils: str = ""
    """Pattern of the cells whose verdict is rightly another one than in an undisturbed run."""
    accuses: bool = False
    """Whether the disturbed run may rightly call a build failed or a cell broken."""
    loses: bool = False
    """Whether finished records are destroyed, or may not be remembered."""
    tidies: Literal["all", "processes", "nothing"] = "all"
    """What the disturbed run can still tidy up; for the rest, the next run does."""
