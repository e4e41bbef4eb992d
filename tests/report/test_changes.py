from __future__ import annotations

import pytest

from harness.domain.records import CellRecord, Verdict
from harness.domain.verdict import Tolerance
from harness.report.changes import Kind, compare
from tests.report.synthetic import cell, metrics

LIMITS = Tolerance()
OK, DROP, BROKEN, SKIPPED = Verdict.OK, Verdict.DROP, Verdict.BROKEN, Verdict.SKIPPED


def one(verdict: Verdict, error: float, machine: str = "") -> CellRecord:
    record = cell("20250503", "sse2", "default", "short", layers=1, machine=machine)
    return record.model_copy(update={"verdict": verdict, "output": metrics(error)})


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (one(OK, 1e-6), one(DROP, 1e-3), Kind.WORSE),
        (one(DROP, 1e-3), one(OK, 1e-6), Kind.BETTER),
        (one(DROP, 1e-3), one(BROKEN, 1e-3), Kind.WORSE),
        (one(DROP, 1e-3), one(DROP, 3e-3), Kind.WORSE),
        (one(DROP, 1e-3), one(DROP, 1.5e-3), Kind.SAME),
        (one(DROP, 1e-3), one(DROP, 1e-4), Kind.BETTER),
        (one(OK, 1e-7), one(OK, 1e-6), Kind.SAME),
        (one(SKIPPED, 0), one(DROP, 1e-3), Kind.NEW),
        (one(DROP, 1e-3), one(SKIPPED, 0), Kind.GONE),
        (one(SKIPPED, 0), one(SKIPPED, 0), Kind.SAME),
    ],
)
def test_kind_of_a_change(old: CellRecord, new: CellRecord, kind: Kind) -> None:
    (change,) = compare([old], [new], LIMITS).changes
    assert change.kind is kind


def test_cells_of_one_side_only() -> None:
    here, there = one(OK, 1e-6), cell("20220420", "sse2", "default", "short", layers=1)
    found = compare([here], [there], LIMITS)
    assert [change.cell for change in found.of(Kind.NEW)] == [there.cell]
    assert [change.cell for change in found.of(Kind.GONE)] == [here.cell]


def test_words_give_both_numbers_and_the_factor() -> None:
    (change,) = compare([one(OK, 8.9e-6)], [one(DROP, 2.0e-4)], LIMITS).changes
    assert change.words == "✓ ok 8.9e-6 → ▼ drop 2.0e-4 (22× larger)"


def test_machines_are_matched_where_they_can_be() -> None:
    old = [one(OK, 1e-6), one(DROP, 1e-3, machine="other")]
    found = compare(old, [one(OK, 1e-6)], LIMITS)
    assert found.same_machine
    assert [change.kind for change in found.changes] == [Kind.SAME, Kind.GONE]
    found = compare(old[1:], [one(OK, 1e-6)], LIMITS)
    assert not found.same_machine
    assert [change.kind for change in found.changes] == [Kind.BETTER]
    assert found.sentence.endswith("(measured on different machines)")
