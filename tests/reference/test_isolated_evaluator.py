from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.config.tables import Limits
from harness.model.param import read_param
from harness.reference.evaluation import evaluate, evaluate_float64
from harness.reference.extents import try_extents
from harness.reference.isolated_evaluator import IsolatedEvaluator
from harness.util.errors import CrashError, LimitError, MachineError, ModelError
from tests.model.onnx_text import model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

X = {"x": np.arange(-3, 3, dtype=np.float32).reshape(1, 6)}


def saved(folder: Path, nodes: str) -> Path:
    path = folder / "m.onnx"
    onnx.save(model({"x": (1, 6)}, nodes, {}), path)
    return path


def endless(folder: Path) -> Path:
    """Write a model with a loop of 2^62 rounds."""

    def value(name: str, kind: int, shape: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Relu", ["a"], ["b"])],
        "body",
        [value("n", TensorProto.INT64, []), value("go", TensorProto.BOOL, []),
         value("a", TensorProto.FLOAT, [1, 6])],
        [value("on", TensorProto.BOOL, []), value("b", TensorProto.FLOAT, [1, 6])],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "yes", "x"], ["y"], body=body)],
        "g",
        [value("x", TensorProto.FLOAT, [1, 6])],
        [value("y", TensorProto.FLOAT, [1, 6])],
        [
            helper.make_tensor("rounds", TensorProto.INT64, [], [2**62]),
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        ],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


@pytest.fixture(scope="module")
def isolated() -> IsolatedEvaluator:
    return IsolatedEvaluator(limits=Limits(reference_seconds=60, memory_gib=2))


def test_values_are_those_of_the_function(isolated: IsolatedEvaluator, tmp_path: Path) -> None:
    path = saved(tmp_path, "t = Abs(x) y = Relu(t)")
    found = isolated(evaluate, path, X, what=path)
    assert list(found) == ["x", "t", "y"]
    np.testing.assert_array_equal(found["y"], np.abs(X["x"]))


def test_what_the_function_refuses_is_said(isolated: IsolatedEvaluator, tmp_path: Path) -> None:
    path = saved(tmp_path, "y = Relu(x)")
    with pytest.raises(
        ModelError, match=r"m\.onnx: its inputs are \['x'\], but \['z'\] were"
    ) as told:
        isolated(evaluate, path, {"z": X["x"]}, what=path)
    with pytest.raises(ModelError) as same:
        evaluate(path, {"z": X["x"]})
    assert (told.value.code, str(told.value)) == (same.value.code, str(same.value))


def dies(folder: Path, number: int, times: int) -> dict[str, NDArray[np.float32]]:
    """End by a signal the first times that it is called, then give what it should."""
    before = len(list(folder.glob("died-*")))
    if before < times:
        (folder / f"died-{before}").touch()
        os.kill(os.getpid(), number)
    return X


def test_who_is_ended_from_outside_once_is_asked_again(
    isolated: IsolatedEvaluator, tmp_path: Path
) -> None:
    assert list(isolated(dies, tmp_path, signal.SIGKILL, 1, what=tmp_path)) == ["x"]


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (signal.SIGKILL, MachineError, "was ended from outside by SIGKILL"),
        (signal.SIGSEGV, CrashError, "ended with SIGSEGV"),
    ],
)
def test_how_it_ended_is_told(
    number: int,
    kind: type[Exception],
    message: str,
    isolated: IsolatedEvaluator,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind, match=message):
        isolated(dies, tmp_path, number, 9, what=tmp_path)


@pytest.mark.parametrize("run", [evaluate, evaluate_float64])
def test_what_takes_for_ever_is_ended(run: object, tmp_path: Path) -> None:
    path = endless(tmp_path)
    isolated = IsolatedEvaluator(limits=Limits(reference_seconds=0.5))
    with pytest.raises(LimitError, match=r"m\.onnx: .* no result within 0\.5 s\. Raise `refer"):
        isolated(run, path, X, what=path)  # type: ignore[arg-type]


@pytest.mark.parametrize("run", [evaluate, evaluate_float64])
def test_what_takes_all_memory_is_ended(
    run: object, isolated: IsolatedEvaluator, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    far = {"far": np.array([200_000, 40_000], np.int64)}
    onnx.save(model({"x": (1, 1)}, "y = Expand(x, far)", far), path)
    with pytest.raises(LimitError, match=r"m\.onnx: .* more than 2 GiB of memory\. Raise `memory_"):
        isolated(run, path, {"x": np.ones((1, 1), np.float32)}, what=path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "layer",
    [
        "Interp l 1 1 x y 0=1 1=1.0 2=1.0 3=1000000 4=1000000",
        "Padding l 1 1 x y 0=1000000 1=0 2=1000000 3=0",
        "Pooling l 1 1 x y 0=0 1=268435456 3=134217728 5=1",
        "Pooling l 1 1 x y 0=0 1=2147483647 3=1073741823 5=1",
    ],
)
def test_layers_that_ask_for_what_is_boundless(
    layer: str, isolated: IsolatedEvaluator, tmp_path: Path
) -> None:
    path = tmp_path / "m.param"
    path.write_text(f"7767517\n2 2\nInput x 0 1 x\n{layer}\n")
    with pytest.raises(LimitError, match=r"m\.param: evaluating it takes more than 2 GiB"):
        isolated(try_extents, read_param(path), {"x": (1, 8, 8)}, what=path)
