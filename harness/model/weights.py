"""ncnn's `.bin` weight files, read and written exactly, given the `.param` they belong to.

Weights stand in layer order without names. A flagged tensor begins with a four-byte tag:
0 or 0x0002C056 for fp32, 0x01306B47 for fp16, 0x000D4B38 for int8, any other value for one byte
per element that indexes a table of 256 fp32 values (ncnn's `src/modelbin.cpp`). Everything is
little-endian and padded to four bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.model.layouts import Slot, layout
from harness.util.codes import Code
from harness.util.errors import ModelError
from harness.util.files import write_atomically
from harness.util.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.model.param import Layer, Param

Array = NDArray[np.generic]

TAG_FP16 = 0x01306B47
TAG_INT8 = 0x000D4B38
TAG_FP32 = 0x0002C056
_STORED = {0: "<f4", TAG_FP32: "<f4", TAG_FP16: "<f2", TAG_INT8: "i1"}
_TAGS = {"float32": 0, "float16": TAG_FP16, "int8": TAG_INT8}
_TABLE_BYTES = 256 * 4
_TAG_BYTES = 4
_BEYOND = 1 << 20
LARGEST_FILE = 1 << 40
"""Bytes of a file that nobody limited."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """One weight tensor as it is stored."""

    stored: Array
    """float32, float16, int8, or uint8 indices into `table`; outermost axis first."""
    tag: int | None = None
    """The four-byte tag; None for a raw tensor, which has none."""
    table: NDArray[np.float32] | None = None
    """The 256 values that the indices stand for."""
    padding: bytes = b""
    """The bytes that fill up to a multiple of four, as found."""

    @property
    def array(self) -> Array:
        """The values: float32, float16 or int8."""
        return self.stored if self.table is None else self.table[self.stored.astype(np.intp)]

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        tag = b"" if self.tag is None else self.tag.to_bytes(4, "little")
        table = b"" if self.table is None else self.table.astype("<f4").tobytes()
        stored = self.stored.astype(self.stored.dtype.newbyteorder("<")).tobytes()
        return tag + table + stored + self.padding


Weights = dict[str, dict[str, Tensor]]
"""Tensors by layer name and tensor name."""


def read_tensors(param: Param, path: Path) -> Weights:
    """Read a `.bin` file as it is stored; `write_weights` gives the same bytes again.

    Raises:
        ModelError: the file is missing, ends early or goes on after the last tensor, or two
            layers with weights have one name.
    """
    try:
        layouts = [layout(layer) for layer in param.layers]
    except ModelError as error:
        raise ModelError(f"{path}: {error}", code=error.code) from error
    needed = sum(_TABLE_BYTES + _TAG_BYTES + 4 * slot.size for slots in layouts for slot in slots)
    # A little too much is told with the number of bytes.
    data = read_bytes(path, limit=min(needed + _BEYOND, LARGEST_FILE), error=ModelError)
    at = 0
    weights: Weights = {}
    for layer, slots in zip(param.layers, layouts, strict=True):
        if slots and layer.name in weights:
            raise ModelError(
                f"{path}: two layers are named {layer.name}. Rename one.", code=Code.WEIGHTS
            )
        tensors = {}
        for slot in slots:
            reader = _Reader(data, at, f"{path}: layer {layer.name}: {slot.name}")
            tensors[slot.name] = reader.tensor(slot)
            at = reader.at
        if tensors:
            weights[layer.name] = tensors
    if at != len(data):
        raise ModelError(
            f"{path}: {len(data) - at} bytes follow the last tensor of the .param file "
            f"({at} of {len(data)} bytes used). Give the .bin file that belongs to this .param.",
            code=Code.WEIGHTS,
        )
    return weights


def read_weights(param: Param, path: Path) -> dict[str, dict[str, Array]]:
    """Read the values of a `.bin` file: layer name → tensor name → array.

    Tensor names and shapes are those of `layouts.layout`; arrays are float32, float16 or int8.

    Raises:
        ModelError: as `read_tensors`.
    """
    return {
        layer: {name: tensor.array for name, tensor in tensors.items()}
        for layer, tensors in read_tensors(param, path).items()
    }


def write_weights(
    param: Param, weights: Mapping[str, Mapping[str, Array | Tensor]], path: Path
) -> None:
    """Write a `.bin` file.

    Raises:
        ModelError: as `weights_bytes`.
    """
    write_atomically(path, weights_bytes(param, weights))


def weights_bytes(param: Param, weights: Mapping[str, Mapping[str, Array | Tensor]]) -> bytes:
    """Return the content of a `.bin` file.

    An array is stored by its type: float32, or in a flagged slot also float16 or int8. A `Tensor`
    is written as it was read.

    Raises:
        ModelError: a tensor is missing, left over, or of the wrong size or type.
    """
    parts: list[bytes] = []
    left_over = set(weights)
    for layer in param.layers:
        given = weights.get(layer.name, {})
        slots = layout(layer)
        parts += [_tensor(layer, slot, given.get(slot.name)).to_bytes() for slot in slots]
        unknown = sorted(set(given) - {slot.name for slot in slots})
        if unknown:
            raise ModelError(
                f"layer {layer.name}: a {layer.type} keeps no {', '.join(unknown)}.",
                code=Code.WEIGHTS,
            )
        left_over.discard(layer.name)
    if left_over:
        raise ModelError(
            f"weights for layers that are not there: {', '.join(sorted(left_over))}.",
            code=Code.WEIGHTS,
        )
    return b"".join(parts)


class _Reader:
    """Takes one tensor from the bytes of a file."""

    def __init__(self, data: bytes, at: int, place: str) -> None:
        self.data = data
        self.at = at
        self.place = place

    def take(self, size: int, needed: int) -> bytes:
        """Return the next `size` bytes; `needed` is what the whole tensor takes from here."""
        taken = self.data[self.at : self.at + size]
        if len(taken) < size:
            raise ModelError(
                f"{self.place}: {needed} bytes expected at offset {self.at}, "
                f"{len(self.data) - self.at} present. The file is truncated or belongs to "
                "another .param: fetch or convert it again.",
                code=Code.WEIGHTS,
            )
        self.at += size
        return taken

    def tensor(self, slot: Slot) -> Tensor:
        if not slot.flagged:
            return Tensor(self.values("<f4", slot))
        tag = int.from_bytes(self.take(4, 4 + 4 * slot.size), "little")
        if tag in _STORED:
            stored = self.values(_STORED[tag], slot)
            return Tensor(stored, tag, padding=self.padding(stored.nbytes))
        table = np.frombuffer(self.take(_TABLE_BYTES, _TABLE_BYTES + slot.size), "<f4")
        stored = self.values("u1", slot)
        return Tensor(stored, tag, table.astype(np.float32), self.padding(stored.nbytes))

    def values(self, kind: str, slot: Slot) -> Array:
        dtype = np.dtype(kind)
        size = slot.size * dtype.itemsize
        values = np.frombuffer(self.take(size, size + -size % 4), dtype)
        return values.astype(dtype.newbyteorder("=")).reshape(slot.shape)

    def padding(self, size: int) -> bytes:
        return self.take(-size % 4, -size % 4)


def _tensor(layer: Layer, slot: Slot, given: Array | Tensor | None) -> Tensor:
    place = f"layer {layer.name}: {slot.name}"
    if given is None:
        raise ModelError(
            f"{place}: no weights given. A {layer.type} needs {slot.shape}.", code=Code.WEIGHTS
        )
    tensor = given if isinstance(given, Tensor) else None
    stored = tensor.stored if tensor else np.asarray(given)
    if stored.size != slot.size:
        raise ModelError(
            f"{place}: {slot.shape} expected, {stored.shape} given.", code=Code.WEIGHTS
        )
    if tensor:
        if (tensor.tag is not None) != slot.flagged:
            raise ModelError(
                f"{place}: tagged and raw tensors cannot stand for each other.", code=Code.WEIGHTS
            )
        return tensor
    if stored.dtype.name not in (_TAGS if slot.flagged else ("float32",)):
        raise ModelError(
            f"{place}: {stored.dtype.name} cannot be stored here. Give float32.", code=Code.WEIGHTS
        )
    tag = _TAGS[stored.dtype.name] if slot.flagged else None
    return Tensor(stored, tag, padding=bytes(-stored.nbytes % 4))
