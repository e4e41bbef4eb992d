"""The tensors in an ONNX file: where they are, and whether their data is all there."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import onnx
from onnx import AttributeProto, TensorProto

from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIELDS: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data",
    TensorProto.UINT64: "uint64_data",
    TensorProto.STRING: "string_data",
    **dict.fromkeys(
        (
            TensorProto.INT32,
            TensorProto.INT16,
            TensorProto.INT8,
            TensorProto.UINT16,
            TensorProto.UINT8,
            TensorProto.BOOL,
            TensorProto.FLOAT16,
            TensorProto.BFLOAT16,
        ),
        "int32_data",
    ),
}
"""Where the elements of a tensor are that are not kept as raw bytes, one for each."""


_NARROW = {"INT4": 2, "UINT4": 2, "FLOAT4E2M1": 2, "INT2": 4, "UINT2": 4}
_PACKED = {int(n): _NARROW.get(name, 1) for name, n in TensorProto.DataType.items()}
"""How many elements share a byte, by data type; which there are depends on the release of onnx."""


def tensors_in(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yield all tensors of a model, in subgraphs and functions too."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors
            if attribute.type == AttributeProto.GRAPH:
                yield from _of_graph(attribute.g)
            for graph in attribute.graphs:
                yield from _of_graph(graph)


def is_external(tensor: TensorProto) -> bool:
    """Whether a tensor's data is in another file."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def check_tensors(model: onnx.ModelProto, path: Path) -> None:
    """Make sure that each tensor has as much data as its shape says.

    Raises:
        ModelError: one has not, or is of a type that ONNX does not have, or its data is not beside
            the model.
    """
    for tensor in tensors_in(model):
        place = f"{path}: tensor '{tensor.name[:80]}'"
        if any(extent < 0 for extent in tensor.dims):
            raise ModelError(
                f"{place}: its shape is {_shape(tensor)}. Export the model again.", code=Code.ONNX
            )
        needed = _bytes(tensor, place)
        if is_external(tensor):
            data_place(tensor, path)
        elif tensor.HasField("raw_data"):
            _compare(tensor, place, needed, len(tensor.raw_data), "bytes")
        elif tensor.data_type in _FIELDS:
            found = len(getattr(tensor, _FIELDS[tensor.data_type]))
            _compare(tensor, place, math.prod(tensor.dims), found, "elements")


def _bytes(tensor: TensorProto, place: str) -> int:
    """Return how many bytes the data of a tensor takes."""
    try:
        width: int = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{place}: ONNX has no data type {tensor.data_type}. Export the model again.",
            code=Code.ONNX,
        ) from error
    packed = _PACKED[tensor.data_type]
    count: int = math.prod(tensor.dims)
    return -(-count * width // packed)


def _compare(tensor: TensorProto, place: str, needed: int, found: int, unit: str) -> None:
    if needed != found:
        raise ModelError(
            f"{place}: its shape {_shape(tensor)} takes {needed} {unit}, and the file has {found}. "
            "Export or download it again.",
            code=Code.ONNX,
        )


def _shape(tensor: TensorProto) -> str:
    return str(list(tensor.dims[:8]))


def location(tensor: TensorProto) -> str:
    """Return the name of the file that has a tensor's data, as it stands in the model."""
    return next((e.value for e in tensor.external_data if e.key == "location"), "")


def data_place(tensor: TensorProto, path: Path) -> tuple[Path, int, int]:
    """Return the file that has a tensor's data, where it begins in it, and its length in bytes.

    Raises:
        ModelError: the file is not beside the model, or does not reach that far.
    """
    place = f"{path}: tensor '{tensor.name[:80]}'"
    needed = _bytes(tensor, place)
    file = data_file(location(tensor), path.absolute().parent, path, place)
    numbers = {"offset": 0, "length": needed}
    for entry in tensor.external_data:
        if entry.key in numbers:
            if not (entry.value.isascii() and entry.value.isdigit() and len(entry.value) < 20):
                raise ModelError(
                    f"{place}: {entry.key} {entry.value[:40]!r} in its file is no number. Export "
                    "the model again.",
                    code=Code.ONNX,
                )
            numbers[entry.key] = int(entry.value)
    size = file.stat().st_size
    stop = numbers["offset"] + numbers["length"]
    if numbers["length"] != needed or stop > size:
        raise ModelError(
            f"{place}: its shape {_shape(tensor)} takes {needed} bytes, its place in "
            f"{location(tensor)} is {numbers['offset']} to {stop}, and that file has {size}. "
            "Export or download both again.",
            code=Code.ONNX,
        )
    return file, numbers["offset"], needed


def data_file(name: str, folder: Path, model: Path, place: str) -> Path:
    """Return the file that a model keeps tensors in: a regular one beside it or below its folder.

    A link may lead to where the model itself is a link to, as in the caches of download tools.

    Raises:
        ModelError: it is somewhere else, or no file.
    """
    parts = PurePosixPath(name).parts
    if (
        not name
        or "\0" in name
        or ".." in (*parts, *PureWindowsPath(name).parts)
        or PurePosixPath(name).is_absolute()
        or PureWindowsPath(name).anchor
    ):
        raise ModelError(
            f"{place}: its data is said to be in {name[:80]!r}, which is no file beside the model. "
            "Export it with its data in the same folder.",
            code=Code.ONNX,
        )
    path = folder / name
    try:
        real = path.resolve(strict=True)
        regular = stat.S_ISREG(os.stat(real).st_mode)  # noqa: PTH116 - nothing is opened
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{place}: its data should be in {path}, which cannot be read ({reason}). Put that "
            "file beside the model.",
            code=Code.ONNX,
        ) from error
    homes = (folder.resolve(), model.resolve().parent)
    if not regular or not any(real.is_relative_to(home) for home in homes):
        what = "leads out of the model's folder" if regular else "is not a regular file"
        raise ModelError(
            f"{place}: its data should be in {path}, which {what}. Put the file itself beside the "
            "model.",
            code=Code.ONNX,
        )
    return path
