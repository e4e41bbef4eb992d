from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.reference.generated_inputs import generate
from harness.util.errors import ModelError, UsageError
from tests.evaluating import here


def save(
    folder: Path, nodes: str, inputs: dict[str, list[int | str]], ids: tuple[str, ...] = ()
) -> Path:
    """Write a model of nodes such as `y = Relu(x)`; `w` and `table` are constants."""
    graph = onnx.parser.parse_graph(f"g () => () {{ {nodes} }}")
    for name, axes in inputs.items():
        kind = TensorProto.INT64 if name in ids else TensorProto.FLOAT
        graph.input.append(helper.make_tensor_value_info(name, kind, axes))
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    for name, shape in (("w", (320, 4)), ("table", (30, 8))):
        graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    opset = [helper.make_opsetid("", 13)]
    path = folder / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


IMAGE: dict[str, list[int | str]] = {"x": ["n", 3, "h", "w"]}


@pytest.mark.parametrize(
    ("nodes", "inputs", "shapes", "random", "other", "assumed"),
    [
        ("y = Relu(x)", {"x": ["n", 5]}, [], (1, 5), "random-2", ""),
        (
            "y = Relu(x)", IMAGE, [], (1, 3, 224, 224), "text",
            "input x: axes 2 and 3 are symbolic: 224 × 224 assumed; --shape x=1,3,H,W changes it",
        ),
        (
            # Only lines of text have the width that this takes.
            "y = MatMul(x, w)", IMAGE, [], (1, 3, 48, 320), "text",
            "input x: axes 2 and 3 are symbolic: 48 × 320 assumed; --shape x=1,3,H,W changes it",
        ),
        ("y = Relu(x)", IMAGE, ["1,3,9,8"], (1, 3, 9, 8), "text", ""),
        ("y = Relu(x)", IMAGE, ["x=1,3,9,8"], (1, 3, 9, 8), "text", ""),
        (
            "y = Relu(x)", {"x": ["batch", "length", 7]}, [], (1, 16, 7), "random-2",
            "input x: axis 1 is symbolic: 16 assumed; --shape x=1,N,7 changes it",
        ),
    ],
)  # fmt: skip
def test_one_input(
    nodes: str,
    inputs: dict[str, list[int | str]],
    shapes: list[str],
    random: tuple[int, ...],
    other: str,
    assumed: str,
    tmp_path: Path,
) -> None:
    made = generate(save(tmp_path, nodes, inputs), shapes, here)
    assert list(made.tables) == ["random", other]
    assert {table.shape for table in made.tables.values()} == {random}
    assert "; ".join(made.assumed) == assumed


def test_several_inputs(tmp_path: Path) -> None:
    nodes = "e = Gather(table, ids) s = Add(e, off) y = Relu(s)"
    inputs: dict[str, list[int | str]] = {"ids": ["n", "len"], "off": ["n", "len", 8]}
    made = generate(save(tmp_path, nodes, inputs, ("ids",)), [], here)
    assert [table.random for table in made.tables.values()] == [1, 2]
    assert made.tables["random"].shapes == {"ids": (1, 16), "off": (1, 16, 8)}
    assert len(made.assumed) == 2


def test_a_second_shape_is_that_of_the_second_input(tmp_path: Path) -> None:
    made = generate(save(tmp_path, "y = Relu(x)", IMAGE), ["1,3,9,8", "1,3,9,20"], here)
    assert [table.shape for table in made.tables.values()] == [(1, 3, 9, 8), (1, 3, 9, 20)]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("1,3,9", r"the model takes \[n, 3, h, w\]"),
        ("1,4,9,9", r"the model takes \[n, 3, h, w\].*keep those that are fixed"),
        ("1,3,a,9", "the model takes"),
        ("z=1,3,9,9", r"the model has no input z. Give NAME=1,2,..: x \[n, 3, h, w\]"),
    ],
)
def test_wrong_shape(shape: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--shape {shape}: {message}"):
        generate(save(tmp_path, "y = Relu(x)", IMAGE), [shape], here)


def test_unnamed_shape_of_several_inputs(tmp_path: Path) -> None:
    path = save(tmp_path, "y = Add(a, b)", {"a": [1, "n"], "b": [1, "n"]})
    with pytest.raises(UsageError, match="the model has several inputs"):
        generate(path, ["1,4"], here)


def test_no_usual_size_works(tmp_path: Path) -> None:
    path = save(tmp_path, "y = MatMul(x, w)", {"x": ["n", "m"]})
    with pytest.raises(ModelError, match=r"none of 6 usual sizes .* Name a shape: --shape x=1,"):
        generate(path, [], here)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "it has no inputs"),
        ({"x": [1, 0, 8]}, "its input x has an axis of size 0"),
    ],
)
def test_nothing_can_be_fed(
    inputs: dict[str, list[int | str]], message: str, tmp_path: Path
) -> None:
    node = "y = Relu(x)" if inputs else "y = Relu(w)"
    with pytest.raises(ModelError, match=message):
        generate(save(tmp_path, node, inputs), [], here)
