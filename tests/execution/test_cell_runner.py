"""Isolation, for real: processes of the worker on a core that misbehaves on command."""

import re
import shutil
from pathlib import Path

import pytest

from harness.analysis.diagnosis.crash import outcome_of
from harness.build.builder import Build
from harness.build.sanitizer import asan_library
from harness.build.toolchain import find_compiler
from harness.domain.records import CellRecord, Failure, Verdict
from harness.domain.spec import (
    RunSpec,
)
from harness.execution.cell_runner import CellRunner, job_of
from harness.util.build_store import Store
from harness.util.errors import MachineError
from tests.execution.conftest import compiled
from tests.execution.misbehaving import BUILD, cells, inputs, model, runner_with

pytestmark = pytest.mark.native


@pytest.fixture
def runner(store: Store) -> CellRunner:
    return runner_with(store, run_seconds=20, memory_gib=4)


def launch(
    runner: CellRunner,
    core: Path,
    store: Store,
    folder: Path,
    *codes: int,
    run: RunSpec | None = None,
    name: str = "m",
) -> list[CellRecord]:
    prepared = model(folder, name, store)
    items = inputs(folder, prepared, store, *codes)
    chosen = run or RunSpec(name="off", options=(("use_fp16_storage", False),))
    return runner.run(cells(items, chosen), Build(core=core, record=BUILD), prepared, items)


@pytest.mark.parametrize(
    ("code", "reason", "stderr"),
    [
        (101, "SIGILL", ""),
        (102, "SIGABRT", "the heap is gone"),
        (105, "exit code 7", ""),
    ],
)
def test_only_the_input_that_kills_is_lost(
    runner: CellRunner,
    core: Path,
    store: Store,
    tmp_path: Path,
    code: int,
    reason: str,
    stderr: str,
) -> None:
    first, second, third = launch(runner, core, store, tmp_path, 1, code, 2)
    assert (first.verdict, third.verdict) == (Verdict.OK, Verdict.OK)
    assert second.verdict == Verdict.BROKEN
    assert second.reason.startswith(reason)
    assert stderr in second.stderr
    assert (second.failure, first.failure) == (Failure.RUN, None)
    assert second.cell == f"v-f/off/in{code}"


@pytest.mark.parametrize(
    ("code", "signal", "innermost", "function"),
    [
        (101, "SIGILL", False, "misbehave"),
        (102, "SIGABRT", False, "misbehave"),
        (107, "SIGSEGV", True, "read_nowhere"),
        (108, "SIGSEGV", True, "recurse_forever"),
    ],
)
def test_crash_tells_signal_and_function(
    runner: CellRunner,
    core: Path,
    store: Store,
    tmp_path: Path,
    code: int,
    signal: str,
    innermost: bool,
    function: str,
) -> None:
    if not shutil.which("addr2line"):
        pytest.skip("no addr2line: apt-get install binutils")
    (record,) = launch(runner, core, store, tmp_path, code)
    assert record.reason == f"{signal} in {function}"
    assert record.crash is not None
    assert (record.crash.signal, record.crash.function) == (signal, function)
    assert (record.crash.frames[0].function == function) == innermost
    # What the C library did for an abort is told as such.
    assert bool(record.crash.frames[0].module) == (not innermost)
    assert "hx_extractor_extract" in [x.function for x in record.crash.frames] or code == 108


@pytest.mark.parametrize(
    ("code", "prefix", "outcome"),
    [
        (109, "", "4 bytes to the right of 32-byte region"),
        (
            110,
            "ReLU relu, run alone: ",
            "4 bytes to the right of 32-byte region (layer relu, run alone)",
        ),
    ],
)
def test_sanitizer_tells_the_access_and_the_memory(
    runner: CellRunner, store: Store, tmp_path: Path, code: int, prefix: str, outcome: str
) -> None:
    compiler = find_compiler("")
    try:
        library = asan_library(compiler)
    except MachineError as error:
        pytest.skip(str(error))
    path = compiled(tmp_path / "core.so", "-g1", "-fsanitize=address")
    prepared = model(tmp_path, "m", store)
    items = inputs(tmp_path, prepared, store, 1, code)
    build = Build(core=path, record=BUILD, library=str(library))
    run = RunSpec(name="off", options=(("use_fp16_storage", False),))
    good, bad = runner.run(cells(items, run), build, prepared, items)
    assert (good.verdict, bad.verdict) == (Verdict.OK, Verdict.BROKEN)
    assert bad.reason.startswith(f"{prefix}AddressSanitizer: heap-buffer-overflow, READ of size 4")
    assert "fake_core.cpp:" in bad.stderr
    assert bad.crash is None

    spec = cells(items, run)[1]
    job = job_of(build, spec, prepared, items)
    fine, broken = runner.launcher.run(job, tmp_path / "again")
    # GCC 13 and later say it in another way.
    told = outcome_of(broken, spec.build).replace("after", "to the right of")
    assert f"{bad.reason.removeprefix(prefix)}, {outcome}" == told
    assert "it does not crash, and AddressSanitizer reports nothing" in outcome_of(fine, spec.build)


def test_hang_is_ended_and_tells_where_it_was(core: Path, store: Store, tmp_path: Path) -> None:
    if not shutil.which("addr2line"):
        pytest.skip("no addr2line: apt-get install binutils")
    impatient = runner_with(store, run_seconds=5)
    (record,) = launch(impatient, core, store, tmp_path, 103)
    assert record.verdict == Verdict.BROKEN
    assert re.fullmatch(r"no result after \d+ s, at last in misbehave", record.reason)
    assert record.crash is not None
    assert record.crash.signal == "SIGTERM"
    assert record.failure is Failure.TIMEOUT


def test_options_are_set_before_loading(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path
) -> None:
    run = RunSpec(name="default")
    (record,) = launch(runner, core, store, tmp_path, 1, run=run)
    assert record.verdict == Verdict.DROP
    assert record.options == {"use_fp16_storage": True, "num_threads": 1}
    assert record.build.options == {"use_fp16_storage": True, "num_threads": 4}
    relu = record.layers[-1]
    assert relu.alone is not None
    assert relu.alone.scale_relative == pytest.approx(1e-3, rel=0.01)
    assert record.latency_ms is not None


def test_unknown_option_is_unsupported(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path
) -> None:
    run = RunSpec(name="new", options=(("use_bf16_packed", True),))
    (record,) = launch(runner, core, store, tmp_path, 1, run=run)
    assert record.verdict == Verdict.UNSUPPORTED
    assert record.reason == "this build of ncnn has no option use_bf16_packed"


def test_refused_model_names_the_layer(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path
) -> None:
    (record,) = launch(runner, core, store, tmp_path, 1, name="refused")
    assert record.verdict == Verdict.BROKEN
    assert "this build has no layer Strange" in record.reason
    assert record.failure is Failure.LACKS_LAYER


def test_layer_that_dies_alone_is_named_and_costs_nothing_else(
    runner: CellRunner, core: Path, store: Store, tmp_path: Path
) -> None:
    first, second, third = launch(runner, core, store, tmp_path, 1, 106, 2)
    assert (first.verdict, third.verdict) == (Verdict.OK, Verdict.OK)
    assert second.verdict == Verdict.BROKEN
    assert second.reason == "ReLU relu, run alone: SIGILL"
    assert second.crash is not None
    assert second.crash.signal == "SIGILL"
    assert second.output is not None
    relu = second.layers[-1]
    assert (relu.chain is not None, relu.alone) == (True, None)
    assert relu.note == "alone: ncnn ended with SIGILL"
