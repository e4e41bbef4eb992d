"""Two results side by side: what got better, worse, is new or gone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.domain.formatting import number
from harness.domain.records import CellRecord, Verdict
from harness.report.record_values import SYMBOLS, output_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.verdict import Tolerance

FACTOR = 2.0
"""An error that changed by less is the same: another compiler moves it that far."""
NOTEWORTHY = 0.1
"""Errors below this share of the limit are rounding, whatever the factor between them."""

_RANKS = {
    Verdict.OK: 0,
    Verdict.MODEL_DIFFERS: 1,
    Verdict.DROP: 2,
    Verdict.UNSTABLE: 3,
    Verdict.BROKEN: 4,
    Verdict.BUILD_FAILED: 5,
}


class Kind(StrEnum):
    """What became of a cell between two results."""

    WORSE = "worse"
    BETTER = "better"
    NEW = "new"
    """Measured now, but not before."""
    GONE = "gone"
    """Measured before, but not now."""
    SAME = "same"


@dataclass(frozen=True, kw_only=True)
class CellChange:
    """One cell in both results; one of them is None where only the other has it."""

    kind: Kind
    old: CellRecord | None
    new: CellRecord | None

    @property
    def cell(self) -> str:
        """Id of the cell."""
        record = self.new or self.old
        return record.cell if record else ""

    @property
    def words(self) -> str:
        """What changed, with the numbers: `ok 8.9e-6 → drop 2.0e-4 (22×)`."""
        text = f"{_side(self.old)} → {_side(self.new)}"
        before, after = _error(self.old), _error(self.new)
        if before and after:
            factor = max(before, after) / min(before, after)
            text += f" ({factor:.0f}× {'larger' if after > before else 'smaller'})" * (factor >= 2)
        return text


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All cells of two results."""

    changes: tuple[CellChange, ...]
    same_machine: bool
    """Whether cells were matched by machine too; otherwise the machines have nothing in common."""

    def of(self, kind: Kind | str) -> tuple[CellChange, ...]:
        """Return the changes of one kind; templates name it by its text."""
        return tuple(change for change in self.changes if change.kind == kind)

    @property
    def sentence(self) -> str:
        """The counts in one line."""
        counts = ", ".join(f"{len(self.of(kind))} {kind}" for kind in Kind)
        note = "" if self.same_machine else " (measured on different machines)"
        return f"Against the older results: {counts}{note}"


def compare(old: Sequence[CellRecord], new: Sequence[CellRecord], tolerance: Tolerance) -> Changes:
    """Match the cells of two results and sort them by what became of them."""
    same_machine = bool({r.machine_name for r in old} & {r.machine_name for r in new})

    def keyed(records: Sequence[CellRecord]) -> dict[tuple[str, str, str], CellRecord]:
        return {(r.model, r.machine_name if same_machine else "", r.cell): r for r in records}

    before, after = keyed(old), keyed(new)
    changes = []
    for key in dict.fromkeys([*after, *before]):
        pair = before.get(key), after.get(key)
        changes.append(CellChange(kind=_kind(*pair, tolerance.output), old=pair[0], new=pair[1]))
    return Changes(changes=tuple(changes), same_machine=same_machine)


def _kind(old: CellRecord | None, new: CellRecord | None, limit: float) -> Kind:
    before, after = _rank(old), _rank(new)
    if before is None or after is None:
        if before == after:
            return Kind.SAME
        return Kind.NEW if before is None else Kind.GONE
    if before != after:
        return Kind.WORSE if after > before else Kind.BETTER
    first, second = _error(old), _error(new)
    if first is None or second is None or max(first, second) < limit * NOTEWORTHY:
        return Kind.SAME
    if second > first * FACTOR:
        return Kind.WORSE
    return Kind.BETTER if first > second * FACTOR else Kind.SAME


def _rank(record: CellRecord | None) -> int | None:
    return _RANKS.get(record.verdict) if record else None


def _error(record: CellRecord | None) -> float | None:
    return output_error(record) if record else None


def _side(record: CellRecord | None) -> str:
    if record is None:
        return "not there"
    error = output_error(record)
    words = f"{SYMBOLS[record.verdict]} {record.verdict}"
    return f"{words} {number(error)}" if error is not None else words
