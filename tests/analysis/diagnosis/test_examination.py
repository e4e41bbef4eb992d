"""What is done about one cell, and in which order, with a pipeline that does nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.analysis.diagnosis.examination import Question, examine
from harness.analysis.diagnosis.layer_findings import Diagnosis, TriedFix
from harness.domain.spec import FlagSet
from harness.util.errors import BuildError
from tests.analysis.diagnosis.test_pipeline import CELL, SPECS
from tests.records import cell

if TYPE_CHECKING:
    from pathlib import Path

    from harness.domain.records import CellRecord

FIX = TriedFix(kind="options", change="x = false", options={"x": False})
QUESTION = Question(
    cell=CELL,
    specs=tuple(SPECS),
    fixes=("options",),
    builds=(),
    sanitizer=FlagSet(name="avx2-asan"),
    recorded=True,
)


@dataclass
class FakePipeline:
    """Notes what is asked of it."""

    fails: bool = False
    asked: list[str] = field(default_factory=list)
    judged: list[CellRecord] = field(default_factory=list)

    def subject(self, _: object) -> None:
        self.asked.append("subject")
        if self.fails:
            raise BuildError("it does not compile")

    def diagnose(self, *_: object) -> Diagnosis:
        self.asked.append("diagnose")
        return Diagnosis(cell="c", model="m", build="b", options={}, inputs=(), layers=())

    def fixes(self, *_: object) -> list[TriedFix]:
        self.asked.append("fixes")
        return [FIX]

    def records(self, *_: object) -> list[CellRecord]:
        self.asked.append("records")
        changed = f"{CELL.run.name},x=false"
        return [cell({}).model_copy(update={"run": run}) for run in (CELL.run.name, changed)]

    def crash(self, _: object, __: object, own: list[CellRecord], *___: object) -> None:
        self.asked.append("crash")
        self.judged = own


def test_the_directory_is_made_when_there_is_a_diagnosis(tmp_path: Path) -> None:
    pipeline = FakePipeline()

    def folder() -> Path:
        pipeline.asked.append("folder")
        return tmp_path

    found = examine(cast("Any", pipeline), QUESTION, folder, tmp_path)
    assert pipeline.asked == ["subject", "diagnose", "folder", "fixes", "records", "crash"]
    assert found.diagnosis.fixes == (FIX,)
    assert [record.run for record in found.records] == ["default", "default,x=false"]
    assert [record.run for record in pipeline.judged] == ["default"]


def test_a_cell_that_does_not_compile_leaves_no_directory(tmp_path: Path) -> None:
    pipeline = FakePipeline(fails=True)
    with pytest.raises(BuildError):
        examine(cast("Any", pipeline), QUESTION, lambda: pytest.fail("made"), tmp_path)
    assert pipeline.asked == ["subject"]


def test_very_many_inputs_are_not_run_for_the_report(tmp_path: Path) -> None:
    pipeline = FakePipeline()
    question = replace(QUESTION, recorded=False)
    assert examine(cast("Any", pipeline), question, lambda: tmp_path, tmp_path).records == ()
    assert "records" not in pipeline.asked
