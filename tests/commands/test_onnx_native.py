"""From an ONNX file alone: real pnnx in two versions, real ncnn, token ids and a second input."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.__main__ import main
from harness.domain.records import Verdict, read_records

pytestmark = pytest.mark.native

CONFIG = """
[inputs.of-another-model]
random = 1
shape = [1, 3]
[matrix]
versions = ["20250503"]
flags = ["sse2"]
runs = ["default"]
"""
ROWS, WIDE, NARROW = 50, 24, 8


def write_model(path: Path) -> None:
    """Write a model that looks up ids, adds an offset and multiplies."""
    random = np.random.default_rng(0)
    constants = {"table": (ROWS, WIDE), "w": (WIDE, NARROW)}
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["embedded"]),
            helper.make_node("Add", ["embedded", "offset"], ["sum"]),
            helper.make_node("MatMul", ["sum", "w"], ["y"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("offset", TensorProto.FLOAT, ["batch", "length", WIDE]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
            for name, shape in constants.items()
        ],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def test_two_converters_and_an_input_of_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text(CONFIG)
    write_model(tmp_path / "mine.onnx")
    arguments = ["matrix", f"--onnx={tmp_path / 'mine.onnx'}", f"--config={tmp_path / 'c.toml'}"]
    arguments += [f"--{name}={tmp_path / name}" for name in ("builds", "results")]
    arguments += ["--converter=pnnx 20250530", "--converter=pnnx 20240819"]
    assert main(arguments) == 0
    assert "input ids: axis 1 is symbolic: 16 assumed" in capsys.readouterr().err
    (folder,) = (tmp_path / "results").iterdir()
    records = read_records([folder / "cells.jsonl"])
    assert {record.cell: record.converter for record in records} == {
        f"20250503-sse2/default@pnnx-{version}/{name}": f"pnnx {version}"
        for version in ("20250530", "20240819")
        for name in ("random", "random-2")
    }
    assert {record.verdict for record in records} == {Verdict.OK}
    for record in records:
        assert record.output is not None
        assert record.output.scale_relative < 1e-6
        ids = next(layer for layer in record.layers if layer.blob == "in0")
        assert ids.chain is not None
        assert ids.chain.max_abs == 0
    assert main(["report", f"--results={tmp_path / 'results'}"]) == 0
