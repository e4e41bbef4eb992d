from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.model.input_shapes import GraphInput, assumptions, graph_inputs
from harness.model.onnx_graph import OnnxGraph
from harness.util.errors import ModelError

Axes = tuple[int | str, ...]


def graph_of(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, list[int | str | None]]],
    tables: dict[str, tuple[int, ...]] | None = None,
) -> OnnxGraph:
    """A graph with inputs (type, axes) and tables of zeros."""
    values = [helper.make_tensor_value_info(n, t, axes) for n, (t, axes) in inputs.items()]
    zeros = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in (tables or {}).items()
    ]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", values, out, zeros)
    return OnnxGraph(Path("m.onnx"), helper.make_model(graph))


def source(*axes: int | str, kind: str = "f4", name: str = "x") -> GraphInput:
    return GraphInput(name=name, dtype=np.dtype(kind), axes=axes)


def test_names_types_and_axes() -> None:
    inputs: dict[str, tuple[int, list[int | str | None]]] = {
        "x": (TensorProto.FLOAT, [-1, 3, "height", None]),
        "n": (TensorProto.INT64, []),
        "mask": (TensorProto.BOOL, ["batch", 4]),
    }
    found = graph_inputs(graph_of([helper.make_node("Relu", ["x"], ["y"])], inputs))
    assert [(i.name, i.dtype.name, i.axes, i.open_axes) for i in found] == [
        ("x", "float32", ("", 3, "height", ""), (0, 2, 3)),
        ("n", "int64", (), ()),
        ("mask", "bool", ("batch", 4), (0,)),
    ]
    assert found[0].shape_text == "[?, 3, height, ?]"


@pytest.mark.parametrize(
    ("nodes", "below"),
    [
        ([("Gather", ["table", "ids"], ["y"])], 30),
        ([("Cast", ["ids"], ["i"]), ("Gather", ["table", "i"], ["y"])], 30),
        ([("Identity", ["table"], ["t"]), ("Gather", ["t", "ids"], ["y"])], 30),
        (
            [("Gather", ["table", "ids"], ["a"]), ("Gather", ["small", "ids"], ["y"])],
            7,
        ),
        ([("Gather", ["ids", "table"], ["y"])], 2),
        ([("Add", ["ids", "ids"], ["y"])], 2),
    ],
)
def test_integers_stay_within_the_table(
    nodes: list[tuple[str, list[str], list[str]]], below: int
) -> None:
    made = [helper.make_node(op, a, b) for op, a, b in nodes]
    if made[0].op_type == "Cast":
        made[0].attribute.append(helper.make_attribute("to", TensorProto.INT32))
    graph = graph_of(
        made, {"ids": (TensorProto.INT64, [1, "n"])}, {"table": (30, 8), "small": (7, 8)}
    )
    assert graph_inputs(graph)[0].below == below


def test_text_is_no_input_for_ncnn() -> None:
    graph = graph_of([], {"words": (TensorProto.STRING, [1])})
    with pytest.raises(ModelError, match="words is no tensor of numbers"):
        graph_inputs(graph)


@pytest.mark.parametrize(
    ("axes", "kind", "first", "count"),
    [
        ((1, 3, 20, 30), "f4", (1, 3, 20, 30), 1),
        (("batch", 3, 20, 30), "f4", (1, 3, 20, 30), 1),
        (("", 3, "", ""), "f4", (1, 3, 224, 224), 5),
        (("", 3, 48, "w"), "f4", (1, 3, 48, 320), 1),
        (("", 3, 640, "w"), "f4", (1, 3, 640, 640), 1),
        (("", "h", "w", 3), "f4", (1, 224, 224, 3), 5),
        (("batch", "sequence"), "i8", (1, 16), 6),
        (("batch", "time", 80), "f4", (1, 16, 80), 6),
        ((2, "", 128), "f4", (2, 1, 128), 1),
        ((2, "batch", "units"), "f4", (2, 1, 16), 6),
        (("length",), "f4", (16,), 6),
        ((), "i8", (), 1),
    ],
)
def test_open_axes_get_usual_sizes(
    axes: Axes, kind: str, first: tuple[int, ...], count: int
) -> None:
    found = list(assumptions([source(*axes, kind=kind)], {}))
    assert found[0] == {"x": first}
    assert len(found) == count


def test_what_is_given_is_not_assumed() -> None:
    inputs = [source("", 3, "", ""), source(1, "n", kind="i8", name="ids")]
    found = list(assumptions(inputs, {"x": (1, 3, 9, 9)}))
    assert {shapes["x"] for shapes in found} == {(1, 3, 9, 9)}
    assert [shapes["ids"][1] for shapes in found[:2]] == [16, 64]


@pytest.mark.parametrize(
    ("axes", "shape", "fits"),
    [
        ((1, "n"), (1, 7), True),
        ((1, "n"), (1, 0), False),
        ((1, "n"), (2, 7), False),
        ((1, "n"), (1, 7, 1), False),
        ((), (), True),
    ],
)
def test_shapes_that_fit(axes: Axes, shape: tuple[int, ...], fits: bool) -> None:
    assert source(*axes).fits(shape) is fits


def test_any_shape_fits_an_input_without_axes_declared() -> None:
    graph = graph_of([], {"x": (TensorProto.FLOAT, [1])})
    graph.proto.graph.input[0].type.tensor_type.ClearField("shape")
    (found,) = graph_inputs(graph)
    assert found.fits((1, 2, 3))
    assert not found.fits((1, 0))
    assert found.shape_text == "[…]"
