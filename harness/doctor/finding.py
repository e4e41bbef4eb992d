"""What the doctor says of one thing: its state, what that costs, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How something is."""

    OK = "ok"
    MISSING = "missing"
    """Not here."""
    ODD = "odd"
    """Here, but not as it should be."""
    UNKNOWN = "not checked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor."""

    topic: str
    what: str
    state: State = State.OK
    found: str = ""
    """What is there, in words."""
    cost: str = ""
    """Which commands, cells or tests go without; empty where all is well."""
    remedy: str = ""
    """The command or change that mends it."""
    needed: bool = False
    """Whether nothing can be built or measured without it."""

    @property
    def stops(self) -> bool:
        """Whether nothing can be built or measured as it is."""
        return self.needed and self.state in (State.MISSING, State.ODD)
