"""Jobs that keep their blobs, for real: on a core that misbehaves on command."""

from pathlib import Path

import numpy as np
import pytest

from harness.build.builder import Build
from harness.build.toolchain import find_compiler
from harness.config.tables import Limits
from harness.domain.spec import RunSpec
from harness.execution.cell_runner import job_of
from harness.execution.launcher import InputResult, Launcher
from harness.util.build_store import Store
from tests.execution.misbehaving import BUILD, cells, inputs, model, runner_with

pytestmark = pytest.mark.native


def run(
    folder: Path,
    core_path: Path,
    builds: Store,
    *codes: int,
    compared: bool = True,
    **options: bool,
) -> list[InputResult]:
    prepared = model(folder, "m", builds)
    items = inputs(folder, prepared, builds, *codes)
    cell = cells(items, RunSpec(name="r", options=tuple(options.items())))[0]
    job = job_of(Build(core=core_path, record=BUILD), cell, prepared, items)
    kept = tuple(
        item.model_copy(
            update={
                "keep": str(folder / f"blobs-{item.name}"),
                "reference": item.reference if compared else "",
            }
        )
        for item in job.inputs
    )
    launcher = runner_with(builds, run_seconds=20).launcher
    return launcher.run(job.model_copy(update={"inputs": kept}), folder / "processes")


def test_blobs_are_kept_of_the_chain_and_of_each_layer_alone(
    tmp_path: Path, core: Path, store: Store
) -> None:
    (result,) = run(tmp_path, core, store, 1, use_fp16_storage=False)
    given = np.load(tmp_path / "1.npy")[0]
    x, y, alone = (
        result.chain_blob("x"), result.chain_blob("y"), result.alone_blob("relu", "y"),
    )  # fmt: skip
    assert x is not None
    assert y is not None
    assert alone is not None
    np.testing.assert_array_equal(x, given)
    np.testing.assert_array_equal(y, np.maximum(given, 0))
    np.testing.assert_array_equal(alone, y)
    assert result.chain_blob("nothing") is None
    assert (result.failure, result.deaths) == ("", 0)


def test_without_a_reference_nothing_is_compared(tmp_path: Path, core: Path, store: Store) -> None:
    (result,) = run(tmp_path, core, store, 1, compared=False)
    assert result.chain_blob("y") is not None
    assert (result.layers, result.alone, result.failure) == ((), {}, "")


def test_what_dies_is_marked_and_the_others_run(tmp_path: Path, core: Path, store: Store) -> None:
    first, dead, alone, last = run(tmp_path, core, store, 1, 102, 106, 2)
    assert (first.failure, dead.failure, alone.failure, last.failure) == ("", "SIGABRT", "", "")
    assert dead.chain_blob("y") is None
    assert alone.died_alone == {"relu": "SIGILL"}
    assert alone.chain_blob("y") is not None
    assert last.alone_blob("relu", "y") is not None


def test_build_that_lacks_an_option_runs_nothing(tmp_path: Path, core: Path, store: Store) -> None:
    for result in run(tmp_path, core, store, 1, 2, use_magic=True):
        assert "no option use_magic" in result.failure
        assert result.chain is None


def test_nothing_to_run_starts_no_process(tmp_path: Path, core: Path, store: Store) -> None:
    assert run(tmp_path, core, store, 1)  # a job of one input does
    prepared = model(tmp_path, "m", store)
    items = inputs(tmp_path, prepared, store, 1)
    job = job_of(Build(core=core, record=BUILD), cells(items, RunSpec(name="r"))[0], prepared, ())
    launcher = Launcher(binding=lambda: find_compiler("").path, limits=Limits())
    assert launcher.run(job, tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
