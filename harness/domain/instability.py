"""What a cell does that gives another result when it is measured once more."""

from __future__ import annotations

from enum import StrEnum

from harness.domain.base import StoredValue
from harness.domain.formatting import number

NUMBERS = "numbers"
"""How a measurement is called that ended with finite numbers."""


class Change(StrEnum):
    """The least that two measurements of a cell differ in, and give different results."""

    REPEAT = "repeat"
    """Nothing: the same passes in the same order."""
    ORDER = "other order"
    """What ran before each input."""
    PLACE = "other places"
    """Where in memory the blobs are."""
    FRESH_MEMORY = "fresh memory"
    """What freed memory, and memory that nobody wrote to, holds."""
    KEEPING = "kept blobs"
    """Whether all blobs are kept, or those of the output only."""
    THREADS = "threads"
    """The number of threads. Sums may be made in another order: only what is beyond a limit counts,
    and the cell's own numbers stand."""


_WORDS = {
    Change.REPEAT: "gives another result from one pass to the next",
    Change.ORDER: "gives another result when the inputs are run in another order",
    Change.PLACE: "gives another result when its blobs are elsewhere in memory",
    Change.FRESH_MEMORY: "reads memory that nobody wrote",
    Change.KEEPING: "gives another output when all blobs are kept",
    Change.THREADS: "gives another result with 1 thread",
}


class Instability(StoredValue):
    """Two measurements of a cell that should agree and do not."""

    change: Change
    """The least that both differ in."""
    layer: str = ""
    """Name of the first layer, in the order of execution, that differs; empty if not known."""
    type: str = ""
    blob: str = ""
    alone: bool = False
    """Whether that layer differs when it is run alone, so that nothing before it has a part."""
    spread: float | None = None
    """Largest difference of both outputs, in units of their largest value; None where not both are
    finite, or nothing but inner blobs differ."""
    endings: tuple[str, ...] = ()
    """How both ended, if not both with finite numbers: `SIGSEGV`, `2880 NaN values`, `numbers`."""

    @property
    def spoils(self) -> bool:
        """Whether the cell's numbers cannot be relied on."""
        return self.change is not Change.THREADS

    @property
    def sentence(self) -> str:
        """What is known, in words: what it does, the first layer that differs, by how much."""
        parts = [_WORDS[self.change]]
        if self.layer:
            run = ", run alone" if self.alone else ""
            parts.append(f"the first layer that differs is {self.type} {self.layer}{run}")
        if self.endings:
            parts.append(f"{self.endings[0]} in one pass, {self.endings[1]} in the other")
        elif self.spread is not None:
            parts.append(f"the output differs by {number(self.spread)} of its largest value")
        return "; ".join(parts)
