"""The table of a sweep: which state and which numbers stand in which place."""

from __future__ import annotations

import pytest

from harness.report.sweep_table import CellState, LayerRow, layer_rows, run_names
from tests.report.sweeps import RUNS, about, record

ONE = about(("20250503",))
CASE = "Softmax:0=1:3x7"


def rows(*tables: list[str]) -> dict[str, LayerRow]:
    """The table of builds whose cases of Softmax came out as marks say."""
    labels = [f"2025050{number}" for number in range(len(tables))]
    made = [
        [record(f"Softmax::{number + 1}", marks) for number, marks in enumerate(table)]
        for table in tables
    ]
    return {row.layer: row for row in layer_rows(about(labels), made)}


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (".....", "ok ok ok ok ok"),
        ("dbuch", "drop broken unstable crash crash"),
        ("n..n.", "narrow ok ok narrow ok"),
        # Without narrow formats it is off as well: they do not explain it.
        ("nd...", "drop drop ok ok ok"),
        # Some options do it: the others should, too.
        ("r.s..", "refused ok refused ok ok"),
        # None does: it means something else to this version.
        ("rrrrr", "unsupported unsupported unsupported unsupported unsupported"),
        ("?????", "not judged|not judged|not judged|not judged|not judged"),
        (".---.", "ok unsupported unsupported unsupported ok"),
    ],
)
def test_state_of_one_case(marks: str, expected: str) -> None:
    row = rows([marks])["Softmax"]
    states = expected.split("|" if "|" in expected else " ")
    assert [str(row.cells["20250500", run].state) for run in RUNS] == states


def test_a_place_has_the_worst_case_and_all_counts() -> None:
    row = rows([".....", "d....", "b....", "b...."])["Softmax"]
    cell = row.cells["20250500", "default"]
    assert dict(cell.counts) == {CellState.BROKEN: 2, CellState.DROP: 1, CellState.OK: 1}
    assert (cell.state, cell.cases, cell.case) == (CellState.BROKEN, 4, "Softmax::3")
    assert cell.verdict.reason == "3 NaN"


def test_cases_are_counted_by_their_worst_run() -> None:
    row = rows(["d...b", "n....", "....."])["Softmax"]
    assert dict(row.cases["20250500"]) == {
        CellState.BROKEN: 1,
        CellState.NARROW: 1,
        CellState.OK: 1,
    }
    assert (row.faulty("20250500"), row.run("20250500")) == (1, 3)


def test_what_only_the_newer_version_refuses_is_a_fault() -> None:
    comes, goes = rows(["....."], ["rrrrr"])["Softmax"], rows(["rrrrr"], ["....."])["Softmax"]
    assert comes.cells["20250501", "default"].state is CellState.REFUSED
    assert goes.cells["20250500", "default"].state is CellState.UNSUPPORTED
    assert goes.undecided == {"20250500": {"refused with any options: forward failed": 1}}


def test_a_version_without_the_layer_has_no_place() -> None:
    row = rows([], ["....."])["Softmax"]
    assert ("20250500", "default") not in row.cells
    assert row.run("20250500") == 0


def test_trouble_comes_first() -> None:
    marks = {"ReLU::5": ".....", "Slice::5": "n....", "Softmax::5": "...d.", "ROIAlign::5": "c...."}
    table = [record(case, text) for case, text in marks.items()]
    found = [row.layer for row in layer_rows(ONE, [table])]
    # The first version leaves SDPA out.
    assert found == ["ROIAlign", "Softmax", "ReLU", "SDPA", "Slice"]


def test_usual_options_come_first_then_threads() -> None:
    assert run_names(about()) == (
        "default",
        "fp32",
        "exact",
        "num_threads=2",
        "use_packing_layout=false",
    )
