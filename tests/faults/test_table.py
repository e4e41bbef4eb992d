from pathlib import Path
from typing import Any

import pytest

from faults.table import accusations, differences, measured_when, table_of, wrong_numbers
from harness.domain.records import CellRecord, Verdict, append_record
from tests.records import cell, metrics


def record(error: float = 1e-3, **changes: Any) -> CellRecord:
    return cell({"Gemm": error}).model_copy(update={"finished": "then", **changes})


EXPECTED = table_of([record()])
CELL = "20250503-avx2/default/short"


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, False),
        ({"latency_ms": 9.0, "finished": "now", "recalled": "now", "machine": {"a": "b"}}, False),
        ({"output": metrics(1.0000001e-3)}, True),
        ({"verdict": Verdict.OK}, True),
        ({"reason": "another"}, True),
        ({"error": 1.0000000001e-3}, True),
    ],
)
def test_numbers_and_verdicts_count_and_times_do_not(
    changes: dict[str, Any], differs: bool
) -> None:
    found = differences(table_of([record(**changes)]), EXPECTED)
    assert bool(found) is differs
    assert all(line.startswith(CELL) for line in found)


def test_cells_that_are_missing_or_new_differ() -> None:
    assert differences({}, EXPECTED) == [f"{CELL}: missing"]
    assert differences(EXPECTED, {}) == [f"{CELL}: not expected"]


@pytest.mark.parametrize(
    ("changes", "wrong", "accused"),
    [
        ({}, 0, 0),
        ({"verdict": Verdict.SKIPPED, "output": None}, 0, 0),
        ({"verdict": Verdict.OK}, 1, 0),
        ({"verdict": Verdict.BROKEN, "output": None}, 0, 1),
        ({"verdict": Verdict.BUILD_FAILED, "output": None}, 0, 1),
        ({"cell": "an/experiment/short", "output": metrics(7.0)}, 0, 0),
    ],
)
def test_of_an_unfinished_run_only_what_it_claims_can_be_wrong(
    changes: dict[str, Any], wrong: int, accused: int
) -> None:
    records = [record(**changes)]
    assert len(wrong_numbers(records, EXPECTED)) == wrong
    assert len(accusations(records, EXPECTED)) == accused


def test_when_cells_were_measured_is_read_from_whole_lines_with_numbers(tmp_path: Path) -> None:
    path = tmp_path / "run" / "cells.jsonl"
    append_record(path, record())
    append_record(path, record(cell="b", verdict=Verdict.BROKEN))
    with path.open("ab") as stream:
        stream.write(b'{"cell": "c", "ver\xff')
    assert measured_when(tmp_path) == {CELL: {"then"}}
    assert measured_when(tmp_path / "nothing") == {}


def test_of_a_cell_that_is_unstable_only_that_counts() -> None:
    one, other = (record(verdict=Verdict.UNSTABLE, reason=reason) for reason in ("so", "and so"))
    assert differences(table_of([one]), table_of([other])) == []
    assert differences(table_of([one]), EXPECTED)
