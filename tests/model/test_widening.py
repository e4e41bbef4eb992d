from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from harness.model.onnx_graph import OnnxGraph
from harness.model.widening import as_float64, has_half, without_half
from harness.reference.evaluation import evaluate


def test_every_kind_of_constant_is_widened() -> None:
    nodes = [
        helper.make_node(
            "Constant", [], ["half"], value=numpy_helper.from_array(np.array([3], np.float16))
        ),
        helper.make_node("Constant", [], ["plain"], value_float=2.0),
        helper.make_node("Constant", [], ["several"], value_floats=[1.0]),
        helper.make_node("Constant", [], ["size"], value_ints=[1]),
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("Cast", ["half"], ["narrow"], to=TensorProto.FLOAT),
        helper.make_node("Sum", ["x", "w", "plain", "several", "zeros", "narrow"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.array([0.1], np.float32), "w")],
        value_info=[helper.make_tensor_value_info("narrow", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    before = model.SerializeToString()
    wide = as_float64(model)
    checker.check_model(wide, full_check=True)
    values = ReferenceEvaluator(wide).run(None, {"x": np.array([1e-12])}, intermediate=True)
    assert isinstance(values, dict)
    assert values["size"].dtype == np.int64
    assert {values[name].dtype.str for name in values if name not in ("", "size")} == {"<f8"}
    assert values["y"][0] == pytest.approx(float(np.float32(0.1)) + 6 + 1e-12, rel=1e-15)
    assert model.SerializeToString() == before


def test_subgraphs_are_widened() -> None:
    def branch(name: str, number: float) -> object:
        constant = helper.make_node("Constant", [], [name], value_float=number)
        return helper.make_graph(
            [constant], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [])]
        )

    node = helper.make_node(
        "If", ["c"], ["y"], then_branch=branch("a", 1.0), else_branch=branch("b", 2.0)
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    values = ReferenceEvaluator(as_float64(model)).run(
        None, {"c": np.array(False)}, intermediate=True
    )
    assert isinstance(values, dict)
    assert values["y"].dtype == np.float64
    assert values["y"] == 2


def half_model() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.array([[0.1], [0.2]], np.float16), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Cast", ["p"], ["y"], to=TensorProto.FLOAT16),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [1, 1])],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_half_precision_becomes_single_and_constants_keep_their_values() -> None:
    model = half_model()
    wide = without_half(model)
    checker.check_model(wide, full_check=True)
    assert (has_half(model), has_half(wide)) == (True, False)
    x = np.array([[1 + 1e-6, 1]], np.float32)
    values = ReferenceEvaluator(wide).run(None, {"x": x}, intermediate=True)
    assert isinstance(values, dict)
    y = values["y"]
    exact = x.astype(np.float64) @ np.array([[0.1], [0.2]], np.float16).astype(np.float64)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=1e-6)


def test_a_graph_reads_a_model_in_half_precision_as_one_in_single(tmp_path: Path) -> None:
    onnx.save(half_model(), tmp_path / "m.onnx")
    graph = OnnxGraph.load(tmp_path / "m.onnx")
    assert graph.inputs == {"x": np.dtype("float32")}
    x = np.array([[1 + 1e-6, 1]], np.float32)
    found = evaluate(tmp_path / "m.onnx", {"x": x})["y"]
    assert found.dtype == np.float32
    assert graph.is_half
