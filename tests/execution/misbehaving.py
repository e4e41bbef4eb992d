"""A model and what runs it, for a core that misbehaves on command: see `fake_core.cpp`."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from harness.build.binding import build_binding
from harness.build.toolchain import find_compiler
from harness.config.tables import Limits
from harness.domain.records import BuildRecord
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.domain.verdict import Tolerance
from harness.execution.cell_runner import CellRunner
from harness.execution.launcher import Launcher
from harness.model.prepared_model import PreparedModel
from harness.reference.prepared_input import PreparedInput, prepare_input
from harness.util.build_store import Store
from tests.evaluating import here
from tests.proven import preparation

PARAM = "7767517\n2 2\nInput in 0 1 {x}\nReLU {layer} 1 1 {x} {y}\n"
SHAPE = (1, 2, 4)
BUILD = BuildRecord(id="v-f", key="k", version="v", flags="f")


def runner_with(store: Store, **limits: float) -> CellRunner:
    def binding() -> Path:
        return build_binding(store, find_compiler(""))

    launcher = Launcher(binding=binding, limits=Limits(**limits))
    return CellRunner(launcher=launcher, tolerance=Tolerance())


def model(
    folder: Path, name: str, store: Store, *, x: str = "x", y: str = "y", layer: str = "relu"
) -> PreparedModel:
    """Write a model of one layer, its blobs and values called `x` and `y`, and prove it."""
    value = [helper.make_tensor_value_info(v, TensorProto.FLOAT, SHAPE) for v in (x, y)]
    graph = helper.make_graph([helper.make_node("Relu", [x], [y])], "g", value[:1], value[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8),
        folder / "m.onnx",
    )
    (folder / f"{name}.param").write_text(PARAM.format(x=x, y=y, layer=layer), encoding="utf-8")
    (folder / "m.bin").write_bytes(b"")
    spec = ModelSpec(
        name="m",
        onnx=str(folder / "m.onnx"),
        param=str(folder / f"{name}.param"),
        bin=str(folder / "m.bin"),
    )
    shape = InputSpec(name="random", random=1, shape=SHAPE)
    return preparation(spec, [shape], store).model


def inputs(folder: Path, prepared: PreparedModel, store: Store, *codes: int) -> list[PreparedInput]:
    found = []
    for code in codes:
        array = np.linspace(-1, 1, 8, dtype=np.float32).reshape(SHAPE)
        array[0, 0, 0] = code
        np.save(folder / f"{code}.npy", array)
        spec = InputSpec(name=f"in{code}", npy=str(folder / f"{code}.npy"))
        found.append(prepare_input(spec, prepared, store, here))
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
