from pathlib import Path

import pytest

from harness.analysis.diagnosis.cell_choice import chosen_cell
from harness.domain.records import CellRecord, append_record
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.util.errors import SelectorError
from tests.records import cell as record
from tests.records import metrics


def cell(version: str, flags: str, run: str, text: str = "short") -> CellSpec:
    revision = Revision(label=version, kind="index", name=version)
    build = BuildSpec(revision=revision, flags=FlagSet(name=flags), layers=None)
    return CellSpec(
        build=build, run=RunSpec(name=run), model=ModelSpec(name="m"), input=InputSpec(name=text)
    )


CELLS = [cell(v, f, r) for v in ("1", "2") for f in ("sse2", "avx2") for r in ("default", "off")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", "1-sse2/default/short"),
        ("2-avx2/off", "2-avx2/off/short"),
        ("2-avx2/off/short", "2-avx2/off/short"),
    ],
)
def test_cell_is_chosen(asked: str, expected: str, tmp_path: Path) -> None:
    assert chosen_cell(CELLS, cell=asked, results=tmp_path).id == expected


def wrong(version: str, flags: str, error: float) -> CellRecord:
    made = record({"Softmax": error}, version=version, flags=flags, run="off")
    return made.model_copy(update={"output": metrics(error)})


def test_worst_drop_of_the_newest_run_comes_first(tmp_path: Path) -> None:
    old, new = tmp_path / "1-old" / "cells.jsonl", tmp_path / "2-new" / "cells.jsonl"
    append_record(old, wrong("1", "avx2", 9.0))
    for version, flags, error in (("2", "sse2", 1e-3), ("2", "avx2", 5e-3), ("3", "avx2", 1.0)):
        append_record(new, wrong(version, flags, error))
    assert chosen_cell(CELLS, cell="", results=tmp_path).id == "2-avx2/off/short"


def test_unknown_cell_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SelectorError, match="Did you mean 2-avx2/off"):
        chosen_cell(CELLS, cell="2-avx2/of", results=tmp_path)
