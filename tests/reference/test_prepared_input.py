"""What goes into a model, on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.domain.spec import InputSpec, ModelSpec
from harness.reference.prepared_input import prepare_input
from harness.util.build_store import Store
from harness.util.errors import CrashError, MachineError
from tests import one_layer
from tests.evaluating import here
from tests.proven import preparation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.model.prepared_model import PreparedModel
    from harness.reference.evaluator import Array, Work

SHAPE = (1, 2, 4)
ITEM = InputSpec(name="i", random=1, shape=(1, 40, 120))


def one_layer_model(folder: Path, store: Store) -> PreparedModel:
    """A model whose files are in a folder, its conversion proved."""
    one_layer.write_model(folder)
    onnx_file, param, weights = (str(folder / f"m.{kind}") for kind in ("onnx", "param", "bin"))
    spec = ModelSpec(name="m", onnx=onnx_file, param=param, bin=weights)
    return preparation(spec, [ITEM], store).model


def test_nothing_is_kept_of_a_model_that_changes_meanwhile(tmp_path: Path) -> None:
    store = Store(root=tmp_path / "store")
    model = one_layer_model(tmp_path, store)
    good = prepare_input(ITEM, model, store, here)
    content = (tmp_path / "m.bin").read_bytes()
    (tmp_path / "m.bin").write_bytes(content[:4] + bytes(4) + content[8:])
    other = InputSpec(name="j", random=2, shape=(1, 40, 120))
    kept = set((tmp_path / "store" / "references").iterdir())
    with pytest.raises(MachineError, match=r"m\.bin: changed while it was used.*Run the same"):
        prepare_input(other, model, store, here)
    assert set((tmp_path / "store" / "references").iterdir()) == kept
    assert prepare_input(ITEM, model, store, here).reference.directory == good.reference.directory


def test_an_evaluator_that_crashes_is_not_taken_for_one_that_cannot(tmp_path: Path) -> None:
    store = Store(root=tmp_path / "store")
    model = one_layer_model(tmp_path, store)

    def crashing(work: Work, *given: Any, what: Path) -> Mapping[str, Array]:
        if any(isinstance(each, str) and each == "float64" for each in given):
            raise CrashError("SIGSEGV")
        return here(work, *given, what=what)

    with pytest.raises(CrashError):
        prepare_input(ITEM, model, store, crashing)


def test_the_same_tensors_go_crosswise_into_blobs_of_the_same_names(tmp_path: Path) -> None:
    value = {v: helper.make_tensor_value_info(v, TensorProto.FLOAT, SHAPE) for v in "pqy"}
    node = helper.make_node("Sub", ["p", "q"], ["y"])
    graph = helper.make_graph([node], "g", [value["p"], value["q"]], [value["y"]])
    opset = [helper.make_opsetid("", 12)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m.onnx")
    (tmp_path / "m.bin").write_bytes(b"")
    store = Store(root=tmp_path / "store")
    item = InputSpec(name="i", random=1, shapes=(("p", SHAPE), ("q", SHAPE)))
    fed = {}
    for first, second in ("pq", "qp"):
        param = tmp_path / f"{first}.param"
        # a - b, or b - a by the operation that is its reverse.
        operation = 1 if first == "p" else 7
        param.write_text(
            f"7767517\n3 3\nInput a 0 1 a\nInput b 0 1 b\nBinaryOp sub 2 1 a b y 0={operation}\n"
        )
        spec = ModelSpec(
            name="m",
            onnx=str(tmp_path / "m.onnx"),
            param=str(param),
            bin=str(tmp_path / "m.bin"),
            names=(("a", first), ("b", second)),
        )
        feeds = prepare_input(item, preparation(spec, [item], store).model, store, here).feeds
        fed[first] = {blob: np.load(file) for blob, file in feeds.items()}
    np.testing.assert_array_equal(fed["p"]["a"], fed["q"]["b"])
    np.testing.assert_array_equal(fed["p"]["b"], fed["q"]["a"])
    assert (fed["p"]["a"] != fed["p"]["b"]).all()
