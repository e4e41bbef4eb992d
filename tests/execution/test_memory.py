"""What is remembered, for real: on a core whose results depend on its options."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.builder import Build
from harness.domain.records import CellRecord, Verdict
from harness.domain.spec import RunSpec
from harness.domain.verdict import Tolerance
from harness.execution.cell_runner import CellRunner
from harness.execution.memory import RECORD, CellMemory
from harness.util.build_store import Store
from tests.execution.misbehaving import BUILD, cells, inputs, model, runner_with

pytestmark = pytest.mark.native


@pytest.fixture
def memory(tmp_path: Path) -> CellMemory:
    return CellMemory(store=Store(root=tmp_path / "memory"))


@pytest.fixture
def runner(store: Store, memory: CellMemory) -> CellRunner:
    return replace(runner_with(store, run_seconds=20), memory=memory)


def run(
    runner: CellRunner,
    folder: Path,
    core: Path,
    store: Store,
    *codes: int,
    key: str = "k",
    recall: bool = True,
    **options: bool,
) -> list[CellRecord]:
    prepared = model(folder, "m", store)
    items = inputs(folder, prepared, store, *codes)
    build = Build(core=core, record=BUILD.model_copy(update={"key": key}))
    chosen = cells(items, RunSpec(name="r", options=tuple(options.items())))
    return runner.run(chosen, build, prepared, items, recall=recall)


def test_equal_conditions_give_the_record_that_is_there(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path
) -> None:
    first = run(runner, tmp_path, core, store, 1, 2)
    again = run(runner, tmp_path, core, store, 2, 3)
    assert [bool(record.recalled) for record in first + again] == [False, False, True, False]
    assert again[0].model_copy(update={"recalled": ""}) == first[1]
    assert again[0].finished == first[1].finished


@pytest.mark.parametrize(
    "changed", [{"key": "other"}, {"use_fp16_storage": False}, {"recall": False}]
)
def test_other_conditions_are_measured(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path, changed: dict[str, object]
) -> None:
    run(runner, tmp_path, core, store, 1)
    (record,) = run(runner, tmp_path, core, store, 1, **changed)  # type: ignore[arg-type]
    assert not record.recalled


def test_limits_of_today_judge_numbers_of_yesterday(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path
) -> None:
    (before,) = run(runner, tmp_path, core, store, 1)
    lenient = replace(runner, tolerance=Tolerance(layer=1, output=1))
    (after,) = run(lenient, tmp_path, core, store, 1)
    assert (before.verdict, after.verdict) == (Verdict.DROP, Verdict.OK)
    assert after.recalled
    assert after.output == before.output


def test_what_died_is_measured_again(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path, memory: CellMemory
) -> None:
    for _ in range(2):
        for record in run(runner, tmp_path, core, store, 101, 106):
            assert record.verdict == Verdict.BROKEN
            assert not record.recalled
    assert not memory.store.measurements.exists()


@pytest.mark.parametrize("damage", [b"", b"null", b"{", b"\xff"])
def test_damaged_memory_is_made_again(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path, memory: CellMemory, damage: bytes
) -> None:
    run(runner, tmp_path, core, store, 1)
    (path,) = memory.store.measurements.glob(f"*/{RECORD}")
    path.write_bytes(damage)
    (measured,) = run(runner, tmp_path, core, store, 1)
    (recalled,) = run(runner, tmp_path, core, store, 1)
    assert (bool(measured.recalled), bool(recalled.recalled)) == (False, True)


def test_fresh_remembers_what_it_measures(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path, memory: CellMemory
) -> None:
    fresh = replace(runner, memory=replace(memory, recalls=False))
    for _ in range(2):
        (record,) = run(fresh, tmp_path, core, store, 1)
        assert not record.recalled
    assert run(runner, tmp_path, core, store, 1)[0].recalled
