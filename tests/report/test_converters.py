"""Several converters in a report: one table, one name and one advice for each."""

from __future__ import annotations

import pytest

from harness.domain.records import CellRecord, Verdict
from harness.report.advice import recommend, verdict_sentence
from harness.report.csv_tables import matrix_table
from harness.report.dataset import absent, scopes
from harness.report.grid import tables
from harness.report.summary import row
from tests.report.synthetic import cell

OLD, NEW = "pnnx 20240819", "pnnx 20250530"


def made(converter: str, verdict: Verdict, item: str = "short", run: str = "default") -> CellRecord:
    """A cell of a model that one of several converters made."""
    record = cell("20261020", "avx2", run, item, layers=7)
    label = converter.replace(" ", "-") or "files"
    place, _, name = record.cell.rpartition("/")
    return record.model_copy(
        update={
            "cell": f"{place}@{label}/{name}",
            "converter": converter,
            "verdict": verdict,
            "options": record.build.options,
        }
    )


@pytest.fixture
def records() -> list[CellRecord]:
    return [
        made(converter, verdict, item)
        for converter, verdict in ((OLD, Verdict.DROP), (NEW, Verdict.OK))
        for item in ("short", "long")
    ]


def test_one_converter_has_no_name_in_tables() -> None:
    record = cell("20261020", "avx2", "default", "short").model_copy(update={"converter": NEW})
    assert record.way == "default"
    assert row(record)[1] == "default"


@pytest.mark.parametrize(
    ("converter", "way"), [(NEW, "default@pnnx-20250530"), ("", "default@files")]
)
def test_of_several_each_has_its_name(converter: str, way: str) -> None:
    record = made(converter, Verdict.OK)
    assert record.way == way
    assert row(record)[1] == way


def test_a_table_for_each(records: list[CellRecord]) -> None:
    (scope,) = scopes(records)
    found = tables(scope, prefix="t")
    assert [(table.run, table.options) for table in found] == [
        ("default@pnnx-20240819", f"ncnn's default options, converted by {OLD}"),
        ("default@pnnx-20250530", f"ncnn's default options, converted by {NEW}"),
    ]
    assert [len(table.tiles[0].records) for table in found] == [2, 2]
    assert absent(scope) == ()
    (gap,) = scopes(records[:-1])
    assert absent(gap) == (records[-1].cell,)


def test_the_better_converter_is_advised(records: list[CellRecord]) -> None:
    (scope,) = scopes(records)
    assert verdict_sentence(scope) == f"20261020: convert the model by {NEW}"
    best = recommend(records)
    assert best is not None
    assert best.run == "default@pnnx-20250530"


def test_it_has_a_column(records: list[CellRecord]) -> None:
    table = matrix_table(records)
    assert table["converter"].tolist() == [OLD, OLD, NEW, NEW]
    assert set(table["run"]) == {"default"}
