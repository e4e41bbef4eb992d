"""Cells measured once more, for real: on a core that misbehaves on command."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.builder import Build
from harness.domain.instability import Change
from harness.domain.records import CellRecord, Verdict
from harness.domain.spec import RunSpec
from harness.execution.memory import CellMemory
from harness.util.build_store import Store
from tests.execution.misbehaving import BUILD, cells, inputs, model, runner_with

pytestmark = pytest.mark.native


def measured(
    folder: Path, core: Path, store: Store, *codes: int, threads: int = 1, seconds: float = 20
) -> list[CellRecord]:
    prepared = model(folder, "m", store)
    items = inputs(folder, prepared, store, *codes)
    run = RunSpec(name="off", options=(("use_fp16_storage", False),), threads=threads)
    runner = runner_with(store, run_seconds=seconds, memory_gib=4)
    return runner.run(cells(items, run), Build(core=core, record=BUILD), prepared, items)


DIED = ("SIGSEGV", "numbers")


@pytest.mark.parametrize(
    ("code", "change", "alone", "endings"),
    [
        pytest.param(201, Change.FRESH_MEMORY, True, set(), id="reads what nobody wrote"),
        pytest.param(202, Change.REPEAT, True, set(), id="counts its passes"),
        pytest.param(203, Change.ORDER, True, set(), id="remembers another input"),
        pytest.param(204, Change.FRESH_MEMORY, True, set(DIED), id="follows an unset pointer"),
        pytest.param(205, Change.REPEAT, None, set(DIED), id="dies now and then"),
        pytest.param(
            208, Change.PLACE, False, {"SIGSEGV", "5 NaN or infinite values"}, id="reads too far"
        ),
        pytest.param(209, Change.KEEPING, False, set(), id="is another when blobs are kept"),
    ],
)
@pytest.mark.parametrize("company", [(), (1, 2)], ids=["only input", "among others"])
def test_what_gives_another_result_is_unstable_and_says_when(
    core: Path,
    store: Store,
    tmp_path: Path,
    code: int,
    change: Change,
    alone: bool | None,
    endings: set[str],
    company: tuple[int, ...],
) -> None:
    codes = (*company[:1], code, *company[1:])
    records = {r.input: r for r in measured(tmp_path, core, store, *codes)}
    found = records.pop(f"in{code}")
    assert found.verdict is Verdict.UNSTABLE
    assert found.instability
    assert found.instability.change is change
    assert alone in (None, found.instability.alone)
    assert set(found.instability.endings) == endings
    assert found.reason == found.instability.sentence
    if alone:
        assert (found.instability.layer, found.instability.type) == ("relu", "ReLU")
    if code == 201:
        assert found.instability.spread == pytest.approx(0x7B / 201)
    assert all(record.instability is None for record in records.values())
    assert all(record.verdict is Verdict.OK for record in records.values())


@pytest.mark.parametrize(
    ("code", "verdict", "seconds"),
    [
        pytest.param(1, Verdict.OK, 20, id="does what it should"),
        pytest.param(101, Verdict.BROKEN, 20, id="dies each time"),
        pytest.param(104, Verdict.SKIPPED, 20, id="wants too much memory each time"),
        pytest.param(106, Verdict.BROKEN, 20, id="dies each time when run alone"),
        pytest.param(103, Verdict.BROKEN, 4, id="hangs"),
        pytest.param(210, Verdict.OK, 4, id="took too long once"),
        pytest.param(211, Verdict.OK, 20, id="was short of memory once"),
    ],
)
def test_nothing_else_is_called_unstable(
    core: Path, store: Store, tmp_path: Path, code: int, verdict: Verdict, seconds: float
) -> None:
    (record,) = measured(tmp_path, core, store, code, seconds=seconds)
    assert (record.verdict, record.instability) == (verdict, None)


@pytest.mark.parametrize(("code", "told"), [(1, False), (206, True), (207, False)])
def test_other_numbers_with_one_thread_are_told_if_beyond_the_limit(
    core: Path, store: Store, tmp_path: Path, code: int, told: bool
) -> None:
    (record,) = measured(tmp_path, core, store, code, threads=3)
    assert record.verdict is (Verdict.DROP if told else Verdict.OK)
    assert bool(record.instability) == told
    if record.instability:
        assert record.instability.change is Change.THREADS
        assert record.instability.layer == "relu"
        assert record.instability.spread == pytest.approx(0.1 / 206, rel=0.1)


def test_an_input_may_be_called_as_what_comes_before_it(
    core: Path, store: Store, tmp_path: Path
) -> None:
    prepared = model(tmp_path, "m", store)
    items = [replace(item, name="between") for item in inputs(tmp_path, prepared, store, 1)]
    run = RunSpec(name="off", options=(("use_fp16_storage", False),))
    (record,) = runner_with(store).run(
        cells(items, run), Build(core=core, record=BUILD), prepared, items
    )
    assert (record.verdict, record.instability) == (Verdict.OK, None)


def test_what_is_unstable_is_not_remembered(core: Path, store: Store, tmp_path: Path) -> None:
    memory = CellMemory(store=Store(root=tmp_path / "memory"))
    runner = replace(runner_with(store, run_seconds=20), memory=memory)
    prepared = model(tmp_path, "m", store)
    items = inputs(tmp_path, prepared, store, 201, 1)
    chosen = cells(items, RunSpec(name="off", options=(("use_fp16_storage", False),)))
    for _ in range(2):
        records = runner.run(chosen, Build(core=core, record=BUILD), prepared, items)
    assert [bool(record.recalled) for record in records] == [False, True]
