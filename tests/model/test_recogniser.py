from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from harness.model import recogniser
from harness.model.onnx_graph import OnnxGraph
from harness.model.param import read_param
from harness.model.weights import read_weights
from harness.util.errors import ModelError
from tests.model.onnx_text import model

if TYPE_CHECKING:
    from pathlib import Path

WEIGHT = np.ones((4, 3, 1, 1), np.float32)


def onnx_file(**metadata: str) -> bytes:
    """A stand-in for the recogniser, with its input."""
    proto = model({"x": recogniser.INPUT_SHAPE}, "y = Conv(x, w)", {"w": WEIGHT})
    onnx.helper.set_model_props(proto, metadata)
    return bytes(proto.SerializeToString())


def wheel_with(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_wheel_becomes_a_model_in_both_formats(tmp_path: Path) -> None:
    data = onnx_file()
    wheel = wheel_with(tmp_path / "a.whl", {recogniser.MEMBER: data, "other": b"x"})
    files = recogniser.prepare(wheel, tmp_path / "model")
    assert files.onnx.read_bytes() == data
    param = read_param(files.param)
    assert param.layer_types() == {"Input", "Convolution"}
    np.testing.assert_array_equal(read_weights(param, files.bin)["y"]["weight"], WEIGHT)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "recogniser.bin",
        "recogniser.onnx",
        "recogniser.param",
    ]


def test_an_unchanged_onnx_file_is_left_alone(tmp_path: Path) -> None:
    wheel = wheel_with(tmp_path / "a.whl", {recogniser.MEMBER: onnx_file()})
    target = tmp_path / "r.onnx"
    recogniser.extract_onnx(wheel, target)
    inode = target.stat().st_ino
    recogniser.extract_onnx(wheel, target)
    assert target.stat().st_ino == inode


def test_a_damaged_wheel_is_a_clear_error(tmp_path: Path) -> None:
    truncated = tmp_path / "b.whl"
    truncated.write_bytes(b"PK")
    for wheel in (wheel_with(tmp_path / "a.whl", {}), truncated, tmp_path / "none.whl"):
        with pytest.raises(ModelError, match="Delete the file"):
            recogniser.extract_onnx(wheel, tmp_path / "r.onnx")


def test_the_table_has_the_blank_first_and_the_space_last(tmp_path: Path) -> None:
    path = tmp_path / "r.onnx"
    path.write_bytes(onnx_file(character="a\n\u2028\n中"))
    assert recogniser.character_table(OnnxGraph.load(path)) == ["", "a", "\u2028", "中", " "]


def test_a_model_without_a_table_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "r.onnx"
    path.write_bytes(onnx_file())
    with pytest.raises(ModelError, match="no key `character`"):
        recogniser.character_table(OnnxGraph.load(path))


def test_no_onnx_file_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "r.onnx"
    for problem in ("Correct the path", "no ONNX model|valid ONNX model"):
        with pytest.raises(ModelError, match=problem):
            recogniser.character_table(OnnxGraph.load(path))
        path.write_bytes(b"\xff\xff")
