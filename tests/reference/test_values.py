from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.model.onnx_graph import OnnxGraph
from harness.reference import evaluation
from harness.reference.values import Reference, digests, stored
from harness.util.errors import MachineError, ModelError

Inputs = dict[str, np.ndarray[Any, Any]]
INPUTS: Inputs = {"x": np.array([[0.1, -2, 3]], np.float32)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An exponential, under a name that is no file name, and an empty slice of it."""
    ends = [helper.make_node("Constant", [], [n], value_ints=[0]) for n in ("from", "to")]
    nodes = [
        helper.make_node("Exp", ["x"], ["layer/exp:0"]),
        *ends,
        helper.make_node("Slice", ["layer/exp:0", "from", "to"], ["empty"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("empty",)],
    )
    path = tmp_path / "model.onnx"
    opset = [helper.make_opsetid("", 12)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def reference_for(
    model: Path, inputs: Inputs, *, store: Path, kind: Any, wanted: Any = None
) -> Reference:
    """Return values of a graph, as the preparation of an input asks for them."""
    single = kind == "fp32"
    compute = evaluation.evaluate if single else evaluation.evaluate_float64
    origin = {
        "file": model.name,
        "model": OnnxGraph.load(model).content(),
        "inputs": digests(inputs),
        "kind": kind,
        "wanted": wanted,
    }
    return stored(origin, lambda: compute(model, inputs, wanted), store=store)


@pytest.mark.parametrize(("kind", "dtype"), [("fp32", "float32"), ("float64", "float64")])
def test_values_come_back_as_computed(model: Path, tmp_path: Path, kind: Any, dtype: str) -> None:
    values = reference_for(model, INPUTS, store=tmp_path / "store", kind=kind)
    assert list(values) == ["x", "layer/exp:0", "empty"]
    assert values.shapes() == {"x": (1, 3), "layer/exp:0": (1, 3), "empty": (0, 3)}
    assert values["empty"].shape == (0, 3)
    assert values["layer/exp:0"].dtype == dtype
    expected = np.exp(INPUTS["x"].astype(dtype))
    np.testing.assert_allclose(values["layer/exp:0"], expected, rtol=4 * float(np.finfo(dtype).eps))
    with pytest.raises(ValueError, match="read-only"):
        values["x"][0] = 1
    with pytest.raises(KeyError):
        values["from"]


def test_computed_once(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reference_for(model, INPUTS, store=tmp_path / "store", kind="fp32")
    monkeypatch.setattr(evaluation, "evaluate", None)
    again = reference_for(model, INPUTS, store=tmp_path / "store", kind="fp32")
    assert again.directory == first.directory


def test_entries_are_told_apart_by_content(model: Path, tmp_path: Path) -> None:
    def directory(inputs: Inputs = INPUTS, kind: Any = "fp32", wanted: Any = None) -> Path:
        values = reference_for(model, inputs, store=tmp_path / "store", kind=kind, wanted=wanted)
        return values.directory

    other: Inputs = {"x": INPUTS["x"] + np.float32(1e-6)}
    directories = {
        directory(),
        directory(other),
        directory({"x": np.tile(INPUTS["x"], (2, 1))}),
        directory(kind="float64"),
        directory(wanted=["x"]),
    }
    model.write_bytes(model.read_bytes().replace(b"Exp", b"Cos"))
    directories.add(directory())
    assert len(directories) == 6


def test_only_what_is_wanted(model: Path, tmp_path: Path) -> None:
    values = reference_for(model, INPUTS, store=tmp_path, kind="float64", wanted=["layer/exp:0"])
    assert list(values) == ["layer/exp:0"]


def test_failure_leaves_nothing(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        reference_for(model, {"x": np.zeros((1, 2))}, store=tmp_path / "store", kind="fp32")
    assert not list(tmp_path.glob("store/*"))


@pytest.mark.parametrize("file", ["manifest.json", "values.bin"])
@pytest.mark.parametrize(
    "damaged", [lambda old: old[:50], lambda old: bytes([old[0] ^ 1]) + old[1:]]
)
def test_a_damaged_entry_is_computed_again(
    model: Path, tmp_path: Path, file: str, damaged: Callable[[bytes], bytes]
) -> None:
    path = reference_for(model, INPUTS, store=tmp_path / "store", kind="fp32").directory / file
    before = path.read_bytes()
    path.write_bytes(damaged(before))
    fresh = reference_for(model, INPUTS, store=tmp_path / "store", kind="fp32")
    assert path.read_bytes() == before
    np.testing.assert_allclose(fresh["layer/exp:0"], np.exp(INPUTS["x"]))


@pytest.mark.parametrize("file", ["manifest.json", "values.bin"])
def test_an_entry_that_is_damaged_while_it_is_used(model: Path, tmp_path: Path, file: str) -> None:
    values = reference_for(model, INPUTS, store=tmp_path / "store", kind="fp32")
    path = values.directory / file
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(MachineError, match="Run the same command again"):
        values["layer/exp:0"]
