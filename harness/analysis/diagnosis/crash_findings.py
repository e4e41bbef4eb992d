"""What is found about a cell that breaks down, and which inputs do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.domain.base import MessageValue
from harness.domain.records import CellRecord, Crash, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.execution.launcher import InputResult
    from harness.model.param import Param

_SIGNAL = re.compile(r"\bSIG(?!KILL|TERM)[A-Z]+\b")
"""Signals that a process brings about itself; the others say that somebody ended it."""


class Breakdown(MessageValue):
    """One input that ended in a way that damaged memory may explain."""

    input: str
    how: str
    """In words: `SIGSEGV in ncnn::f`, or which values are not finite."""
    crash: Crash | None = None
    """Which functions were running."""

    @property
    def by_signal(self) -> bool:
        """Whether a signal ended the process, and not only its values are wrong."""
        return bool(_SIGNAL.search(self.how))


class CrashFinding(MessageValue):
    """What is known of the breakdowns of a cell, and what a sanitizer says of the first."""

    breakdowns: tuple[Breakdown, ...]
    build: str
    """Id of the build with the sanitizer."""
    outcome: str
    """The sanitizer's error in one sentence, that it has none, or why it was not asked."""
    ran: bool = True
    """Whether the build with the sanitizer could be made and run."""
    report: tuple[str, ...] = ()
    """Its first report, see `harness.execution.sanitizer_report.asan_report`."""
    undefined: str = ""
    """The first undefined behaviour that it saw on the way, which ends no process."""
    command: str = ""
    """The shell command that repeats it; empty if it was not run."""

    @property
    def sentence(self) -> str:
        """How the first input broke down, and the outcome."""
        first = self.breakdowns[0]
        return f"Breaks down on {first.input}: {first.how}. {self.outcome}"


def measured_breakdown(name: str, result: InputResult, graph: Param) -> Breakdown | None:
    """Return how an input of a diagnosis died, in the chain or in a layer alone; None if not."""
    how = result.failure
    if not how and result.died_alone:
        layer, fate = next(iter(result.died_alone.items()))
        how = f"{graph.layer(layer).type} {layer}, run alone: {fate}"
    function = result.crash.function if result.crash else ""
    if not _SIGNAL.search(how):
        return None
    return Breakdown(
        input=name, how=f"{how} in {function}" if function else how, crash=result.crash
    )


def recorded_breakdowns(records: Sequence[CellRecord]) -> list[Breakdown]:
    """Return the records that damaged memory may explain.

    They are broken by a signal, a sanitizer or values that are not finite, or unstable: whether
    damaged memory ends a process, gives NaN or other numbers, is chance.
    """
    return [
        Breakdown(input=record.input, how=record.reason, crash=record.crash)
        for record in records
        if record.verdict is Verdict.UNSTABLE
        or (
            record.verdict is Verdict.BROKEN
            and (
                record.failure is None
                or _SIGNAL.search(record.reason)
                or "AddressSanitizer" in record.reason
            )
        )
    ]
