"""A model of one InnerProduct, in both formats, with the head of a configuration that names it."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness.domain.spec import ModelSpec
from harness.model.param import Layer, Param, write_param
from harness.model.value import Value
from harness.model.weights import write_weights

ROWS, WIDE, NARROW = 40, 360, 120
CONFIG = """
[model]
name = "one-layer"
onnx = "m.onnx"
param = "m.param"
bin = "m.bin"
[inputs.random]
random = 1
shape = [1, 40, 120]
"""


def write_model(folder: Path) -> None:
    """Write `m.onnx`, `m.param` and `m.bin`, with normally distributed weights."""
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(NARROW, WIDE)).astype(np.float32)
    bias = generator.normal(size=WIDE).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, ROWS, NARROW))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, ROWS, WIDE))],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    opset = [helper.make_opsetid("", 12)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "m.onnx")
    sizes = ((0, WIDE), (1, 1), (2, WIDE * NARROW))
    dense = tuple((key, Value.of(size)) for key, size in sizes)
    param = Param(
        (
            Layer("Input", "in", (), ("x",), ()),
            Layer("InnerProduct", "fc", ("x",), ("y",), dense),
        )
    )
    write_param(param, folder / "m.param")
    tensors = {"weight": np.ascontiguousarray(weight.T), "bias": bias}
    write_weights(param, {"fc": tensors}, folder / "m.bin")


def written(folder: Path) -> ModelSpec:
    """Write the files as `write_model` does, and return the model that they are."""
    write_model(folder)
    onnx_file, param, weights = (str(folder / f"m.{kind}") for kind in ("onnx", "param", "bin"))
    return ModelSpec(name="m", onnx=onnx_file, param=param, bin=weights)
