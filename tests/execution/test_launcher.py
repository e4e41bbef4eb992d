"""Isolation, for real: processes of the worker on a core that misbehaves on command."""

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.build.binding import build_binding
from harness.build.builder import Build
from harness.build.plan import NATIVE
from harness.build.toolchain import find_compiler
from harness.domain.limits import Tolerance
from harness.domain.records import BuildRecord, CellRecord, Failure, Verdict
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.execution.launcher import Launcher
from harness.model.prepared_model import PreparedModel, prepare_model
from harness.reference.prepared_input import PreparedInput, prepare_input
from harness.util.build_store import Store

PARAM = "7767517\n2 2\nInput in 0 1 x\nReLU relu 1 1 x y\n"
SHAPE = (1, 2, 4)
BUILD = BuildRecord(id="v-f", key="k", version="v", flags="f")

pytestmark = pytest.mark.native


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(root=tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="session")
def core(store: Store) -> Path:
    path = store.root / "fake_core.so"
    source = Path(__file__).with_name("fake_core.cpp")
    command: list[str | Path] = [
        find_compiler("").path,
        "-shared",
        "-fPIC",
        f"-I{NATIVE}",
        source,
        "-o",
        path,
    ]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def launcher(store: Store) -> Launcher:
    return Launcher(
        binding=lambda: build_binding(store, find_compiler("")),
        tolerance=Tolerance(),
        seconds=20,
        memory_bytes=4 << 30,
    )


def model(folder: Path, name: str, store: Store) -> PreparedModel:
    value = [helper.make_tensor_value_info(v, TensorProto.FLOAT, SHAPE) for v in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8),
        folder / "m.onnx",
    )
    (folder / f"{name}.param").write_text(PARAM)
    (folder / "m.bin").write_bytes(b"")
    spec = ModelSpec(
        name="m",
        onnx=str(folder / "m.onnx"),
        param=str(folder / f"{name}.param"),
        bin=str(folder / "m.bin"),
    )
    return prepare_model(spec, store)


def inputs(folder: Path, prepared: PreparedModel, store: Store, *codes: int) -> list[PreparedInput]:
    found = []
    for code in codes:
        array = np.linspace(-1, 1, 8, dtype=np.float32).reshape(SHAPE)
        array[0, 0, 0] = code
        np.save(folder / f"{code}.npy", array)
        spec = InputSpec(name=f"in{code}", npy=str(folder / f"{code}.npy"))
        found.append(prepare_input(spec, prepared, store))
    return found


def cells(items: list[PreparedInput], run: RunSpec) -> list[CellSpec]:
    build = BuildSpec(
        revision=Revision(label="v", kind="directory", name=""),
        flags=FlagSet(name="f"),
        layers=None,
    )
    return [
        CellSpec(build=build, run=run, model=ModelSpec(name="m"), input=InputSpec(name=item.name))
        for item in items
    ]


def launch(
    launcher: Launcher,
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
    return launcher.run(cells(items, chosen), Build(core=core, record=BUILD), prepared, items)


@pytest.mark.parametrize(
    ("code", "reason", "stderr"),
    [
        (101, "SIGILL", ""),
        (102, "SIGABRT", "the heap is gone"),
        (104, "out of memory (limit 4 GiB)", "bad_alloc"),
        (105, "exit code 7", ""),
    ],
)
def test_only_the_input_that_kills_is_lost(
    launcher: Launcher,
    core: Path,
    store: Store,
    tmp_path: Path,
    code: int,
    reason: str,
    stderr: str,
) -> None:
    first, second, third = launch(launcher, core, store, tmp_path, 1, code, 2)
    assert (first.verdict, third.verdict) == (Verdict.OK, Verdict.OK)
    assert second.verdict == Verdict.BROKEN
    assert second.reason.startswith(reason)
    assert stderr in second.stderr
    assert (second.failure, first.failure) == (Failure.RUN, None)
    assert second.cell == f"v-f/off/in{code}"


def test_hang_is_ended(launcher: Launcher, core: Path, store: Store, tmp_path: Path) -> None:
    impatient = Launcher(
        binding=launcher.binding, tolerance=launcher.tolerance, seconds=5, memory_bytes=0
    )
    (record,) = launch(impatient, core, store, tmp_path, 103)
    assert record.verdict == Verdict.BROKEN
    assert record.reason.startswith("no result after 5 s")
    assert record.failure is Failure.TIMEOUT


def test_options_are_set_before_loading(
    launcher: Launcher, core: Path, store: Store, tmp_path: Path
) -> None:
    run = RunSpec(name="default")
    (record,) = launch(launcher, core, store, tmp_path, 1, run=run)
    assert record.verdict == Verdict.DROP
    assert record.options == {"use_fp16_storage": True, "num_threads": 1}
    assert record.build.options == {"use_fp16_storage": True, "num_threads": 4}
    relu = record.layers[-1]
    assert relu.alone is not None
    assert relu.alone.scale_relative == pytest.approx(1e-3, rel=0.01)
    assert record.latency_ms is not None


def test_unknown_option_is_unsupported(
    launcher: Launcher, core: Path, store: Store, tmp_path: Path
) -> None:
    run = RunSpec(name="new", options=(("use_bf16_packed", True),))
    (record,) = launch(launcher, core, store, tmp_path, 1, run=run)
    assert record.verdict == Verdict.UNSUPPORTED
    assert record.reason == "this build of ncnn has no option use_bf16_packed"


def test_refused_model_names_the_layer(
    launcher: Launcher, core: Path, store: Store, tmp_path: Path
) -> None:
    (record,) = launch(launcher, core, store, tmp_path, 1, name="refused")
    assert record.verdict == Verdict.BROKEN
    assert "this build has no layer Strange" in record.reason
    assert record.failure is Failure.LACKS_LAYER
