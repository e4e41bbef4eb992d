"""Passes in processes of their own, on a core that misbehaves on command."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.diagnosis.passes import Collected, Collector, Pass
from harness.build.binding import build_binding
from harness.build.plan import NATIVE
from harness.build.toolchain import find_compiler
from harness.execution.job import Job
from harness.util.build_store import Store

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("fake")
    core = folder / "fake_core.so"
    compiler = find_compiler("")
    source = Path(__file__).parents[1] / "fake_core.cpp"
    flags = ["-shared", "-fPIC", f"-I{NATIVE}"]
    subprocess.run([compiler.path, *flags, source, "-o", core], check=True)
    return Job(
        binding=str(build_binding(Store(root=folder / "builds"), compiler)),
        core=str(core),
        param=str(folder / "m.param"),
        bin=str(folder / "m.bin"),
        inputs=(),
        output="y",
    )


def collect(job: Job, folder: Path, *codes: int) -> Collected:
    passes = []
    for code in codes:
        array = np.zeros((2, 4), np.float32)
        array[0, 0] = code
        np.save(folder / f"{code}.npy", array)
        feeds = {"x": str(folder / f"{code}.npy")}
        passes.append(Pass(name=str(code), feeds=feeds, blobs=("y",)))
    return Collector(seconds=20).run(job, passes, folder / "passes")


def test_pass_that_dies_is_marked_and_the_others_run(job: Job, tmp_path: Path) -> None:
    collected = collect(job, tmp_path, 1, 102, 2)
    assert collected.blob("1", "y") is not None
    assert collected.blob("2", "y") is not None
    assert collected.blob("102", "y") is None
    assert collected.reason("102", "y") == "ncnn ended with SIGABRT"


def test_build_that_lacks_an_option_runs_nothing(job: Job, tmp_path: Path) -> None:
    wrong = job.model_copy(update={"options": {"use_magic": True}})
    collected = collect(wrong, tmp_path, 1)
    assert "no option use_magic" in collected.reason("1", "y")
    assert collected.blob("1", "y") is None


def test_nothing_to_run_starts_no_process(job: Job, tmp_path: Path) -> None:
    assert collect(job, tmp_path).passes == {}
    assert not (tmp_path / "passes").exists()
