import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from harness.reference.to_float64 import as_float64


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
