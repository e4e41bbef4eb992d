"""ONNX files of other people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from harness.model.input_shapes import graph_inputs
from harness.model.onnx_graph import OnnxGraph
from harness.util.errors import ModelError
from tests.model.onnx_text import model

if TYPE_CHECKING:
    from pathlib import Path

WEIGHT = np.arange(6, dtype=np.float32)


def adding() -> onnx.ModelProto:
    return model({"x": (1, 6)}, "y = Add(x, w)", {"w": WEIGHT})


def saved(folder: Path, proto: onnx.ModelProto) -> Path:
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


def external(folder: Path, **entries: str) -> Path:
    """Write a model that keeps its weight in another file."""
    proto = adding()
    (weight,) = proto.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    return saved(folder, proto)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "/dev/zero"}, "is no file beside the model"),
        ({"location": "../w.bin"}, "is no file beside the model"),
        ({"location": "a/../../w.bin"}, "is no file beside the model"),
        ({"location": "C:\\w.bin"}, "is no file beside the model"),
        ({"location": ""}, "is no file beside the model"),
        ({"location": "gone.bin"}, "cannot be read"),
        ({"location": "folder"}, "is not a regular file"),
        ({"location": "pipe"}, "is not a regular file"),
        ({"location": "zeros"}, "is not a regular file"),
        ({"location": "out"}, "leads out of the model's folder"),
        ({"location": "w.bin", "offset": "4"}, "is 4 to 28, and that file has 24"),
        ({"location": "w.bin", "offset": "-4"}, "'-4' in its file is no number"),
        ({"location": "w.bin", "length": "20"}, "takes 24 bytes, its place in w.bin is 0 to 20"),
    ],
)
def test_data_in_other_files_is_beside_the_model(
    entries: dict[str, str], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    for path in (folder / "w.bin", tmp_path / "w.bin"):
        path.write_bytes(WEIGHT.tobytes())
    os.mkfifo(folder / "pipe")
    (folder / "zeros").symlink_to("/dev/zero")
    (folder / "out").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelError, match=rf"m\.onnx: tensor 'w': .*{message}"):
        OnnxGraph.load(external(folder, **entries))


def test_links_of_a_download_tool_are_followed(tmp_path: Path) -> None:
    """Models are kept by their content, and so is their data: both names are links."""
    blobs, names = tmp_path / "blobs", tmp_path / "names"
    blobs.mkdir()
    names.mkdir()
    external(blobs, location="w.bin", offset="0", length="24").rename(blobs / "one")
    (blobs / "other").write_bytes(WEIGHT.tobytes())
    (names / "m.onnx").symlink_to(blobs / "one")
    (names / "w.bin").symlink_to(blobs / "other")
    proto = OnnxGraph.load(names / "m.onnx").complete()
    np.testing.assert_array_equal(numpy_helper.to_array(proto.graph.initializer[0]), WEIGHT)


def wrong(name: str) -> onnx.ModelProto:
    """Return a model with one mistake."""
    proto = adding()
    weight, value, output = proto.graph.initializer[0], proto.graph.input[0], proto.graph.output[0]
    if name == "short":
        weight.raw_data = weight.raw_data[:-1]
    elif name == "huge":
        weight.dims[0] = 2**50
    elif name == "negative":
        weight.dims[0] = -6
    elif name == "type":
        weight.data_type = 99
    elif name == "strings":
        value.type.tensor_type.elem_type = TensorProto.STRING
    elif name == "sequence":
        value.CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    elif name == "unknown":
        value.type.tensor_type.elem_type = 99
    elif name == "output":
        output.CopyFrom(helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None))
    return proto


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("short", r"tensor 'w': its shape \[6\] takes 24 bytes, and the file has 23"),
        ("huge", r"tensor 'w': its shape \[1125899906842624\] takes 4503599627370496 bytes"),
        ("negative", r"tensor 'w': its shape is \[-6\]"),
        ("type", "tensor 'w': ONNX has no data type 99"),
        ("strings", "its input 'x' is a tensor of string"),
        ("sequence", "its input 'x' is a sequence"),
        ("unknown", "its input 'x' is a tensor of type 99"),
        ("output", "its output 'y' is a sequence, which ncnn cannot give"),
    ],
)
def test_a_wrong_model_is_located(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"m\.onnx: {message}"):
        OnnxGraph.load(saved(tmp_path, wrong(name)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 9), st.binary(max_size=4))))
def test_a_damaged_model_is_read_or_refused(
    tmp_path: Path, edits: list[tuple[int, int, bytes]]
) -> None:
    data = adding().SerializeToString()
    for at, length, new in edits:
        data = data[:at] + new + data[at + length :]
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    try:
        graph = OnnxGraph.load(path)
        graph_inputs(graph)
        graph.content()
        graph.complete()
    except ModelError as error:
        assert str(path) in str(error)  # noqa: PT017
