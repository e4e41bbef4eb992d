from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from harness.model.onnx_graph import OnnxGraph
from harness.reference.evaluation import evaluate, evaluate_float64
from harness.util.errors import ModelError

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(4, 5)).astype(np.float32)


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    inputs: dict[str, list[Any]],
    outputs: Sequence[str],
    weights: dict[str, np.ndarray[Any, Any]],
    opset: int = 12,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two inputs with symbolic shapes, two outputs, a constant branch."""
    return save(
        tmp_path / "model.onnx",
        [
            helper.make_node("Constant", [], ["two"], value_float=2.0),
            helper.make_node("Mul", ["w", "two"], ["w2"]),
            helper.make_node("MatMul", ["x", "w2"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["positive"]),
            helper.make_node("Shape", ["x"], ["shape"]),
        ],
        {"x": ["n", 4], "bias": [5]},
        ["positive", "sum"],
        {"w": WEIGHT},
    )


@pytest.fixture
def inputs() -> dict[str, np.ndarray[Any, Any]]:
    return {
        "x": RANDOM.normal(size=(3, 4)).astype(np.float32),
        "bias": RANDOM.normal(size=5).astype(np.float32),
    }


Inputs = dict[str, np.ndarray[Any, Any]]


def test_all_values_that_depend_on_an_input(model: Path, inputs: Inputs) -> None:
    values = evaluate(model, inputs)
    assert list(values) == ["x", "bias", "product", "sum", "positive", "shape"]
    expected = inputs["x"] @ (2 * WEIGHT) + inputs["bias"]
    np.testing.assert_allclose(values["sum"], expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(values["positive"], np.maximum(values["sum"], 0))
    assert values["shape"].tolist() == [3, 4]


def test_asking_for_less_changes_no_value(model: Path, inputs: Inputs) -> None:
    everything = evaluate(model, inputs)
    for name in everything:
        (single,) = evaluate(model, inputs, {name}).values()
        assert np.array_equal(single, everything[name])


def test_float64_has_the_precision_of_float64(model: Path, inputs: Inputs) -> None:
    values = evaluate_float64(model, inputs)
    wide = inputs["x"].astype(np.float64) @ (2 * WEIGHT.astype(np.float64))
    np.testing.assert_allclose(values["product"], wide, rtol=1e-14)
    assert values["shape"].dtype == np.int64
    assert list(values) == list(evaluate(model, inputs))


VECTORS = {n: RANDOM.uniform(0.5, 2, 3).astype(np.float32) for n in ("s", "b", "m", "v")}


@pytest.mark.parametrize(
    ("operator", "opset", "attributes"),
    [
        ("BatchNormalization", 9, {"epsilon": 1e-3}),
        ("BatchNormalization", 12, {}),
        ("BatchNormalization", 14, {"epsilon": 1e-3}),
        ("BatchNormalization", 15, {}),
        ("LRN", 13, {"size": 3, "alpha": 0.5}),
        ("LRN", 13, {"size": 5, "alpha": 0.5, "beta": 0.5, "bias": 2.0}),
        ("Softmax", 12, {}),
        ("Softmax", 12, {"axis": 0}),
        ("Softmax", 12, {"axis": -2}),
        ("Softmax", 13, {"axis": 1}),
        ("LogSoftmax", 12, {"axis": 2}),
        ("LogSoftmax", 13, {"axis": 2}),
    ],
)
def test_operators_agree_with_onnx_runtime(
    tmp_path: Path, operator: str, opset: int, attributes: dict[str, Any]
) -> None:
    weights = VECTORS if operator == "BatchNormalization" else {}
    node = helper.make_node(operator, ["x", *weights], ["y"], **attributes)
    path = save(tmp_path / "one.onnx", [node], {"x": [2, 3, 4, 4]}, ["y"], weights, opset)
    inputs = {"x": RANDOM.normal(size=(2, 3, 4, 4)).astype(np.float32)}
    fp32, wide = evaluate(path, inputs)["y"], evaluate_float64(path, inputs)["y"]
    assert wide.dtype == np.float64
    np.testing.assert_allclose(fp32, wide, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("run", [evaluate, evaluate_float64])
def test_unknown_value(model: Path, inputs: Inputs, run: Any) -> None:
    with pytest.raises(ModelError, match=r"no value 'positiv' .* nearest name is 'positive'"):
        run(model, inputs, ["positiv"])


@pytest.mark.parametrize("run", [evaluate, evaluate_float64])
def test_inputs_must_fit(model: Path, inputs: Inputs, run: Any) -> None:
    with pytest.raises(ModelError, match=r"inputs are \['bias', 'x'\], but \['x'\]"):
        run(model, {"x": inputs["x"]})
    with pytest.raises(ModelError, match=r"model\.onnx: .* x \[4, 3\], bias \[5\] .*Correct"):
        run(model, {"x": inputs["x"].T, "bias": inputs["bias"]})


def test_inputs_are_converted_to_the_declared_type(tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["w", "i"], ["y"])
    path = save(tmp_path / "gather.onnx", [node], {}, ["y"], {"w": WEIGHT})
    proto = onnx.load(path)
    proto.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, ["n"]))
    onnx.save(proto, path)
    for run in (evaluate, evaluate_float64):
        values = run(path, {"i": np.array([2, 0], np.float32)})
        assert np.array_equal(values["y"], WEIGHT[[2, 0]])


def test_values_without_numbers_are_left_out(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SequenceConstruct", ["x", "x"], ["pair"]),
        helper.make_node("ConcatFromSequence", ["pair"], ["y"], axis=0),
    ]
    path = save(tmp_path / "sequence.onnx", nodes, {"x": [2]}, ["y"], {})
    for run in (evaluate, evaluate_float64):
        values = run(path, {"x": np.array([1, 2], np.float32)})
        assert values["y"].tolist() == [1, 2, 1, 2]
        assert list(values) == ["x", "y"]


def test_output_that_is_an_input_or_constant(tmp_path: Path) -> None:
    node = helper.make_node("Constant", [], ["c"], value_float=2.0)
    path = save(tmp_path / "plain.onnx", [node], {"x": [1]}, ["x", "c", "w"], {"w": WEIGHT})
    for run in (evaluate, evaluate_float64):
        assert set(run(path, {"x": np.array([1], np.float32)})) == {"x", "c", "w"}


def test_tensors_in_other_files(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = save(tmp_path / "big.onnx", [node], {"x": [3, 4]}, ["y"], {"w": WEIGHT})
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="big.data", size_threshold=0
    )
    inputs = {"x": RANDOM.normal(size=(3, 4)).astype(np.float32)}
    for run in (evaluate, evaluate_float64):
        np.testing.assert_allclose(run(path, inputs)["y"], inputs["x"] @ WEIGHT, rtol=1e-5)
    content = OnnxGraph.load(path).content()
    data = tmp_path / "big.data"
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    assert OnnxGraph.load(path).content() != content
    data.unlink()
    with pytest.raises(
        ModelError, match=r"'w': its data should be in .*big\.data, which cannot be read"
    ):
        evaluate(path, inputs)


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_truncated_model(model: Path, inputs: Inputs, keep: int) -> None:
    model.write_bytes(model.read_bytes()[:keep])
    for run in (evaluate, evaluate_float64):
        with pytest.raises(ModelError, match=r"model\.onnx: not a complete, valid ONNX model"):
            run(model, inputs)


def test_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: cannot be read"):
        evaluate(tmp_path / "gone.onnx", {})
