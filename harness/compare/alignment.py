"""Which ncnn blob holds which ONNX value: one answer, wherever it comes from and is used."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from harness.compare.arrangement import Arrangement, arrangements, plain
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from harness.model.blob_layout import Shape
    from harness.model.param import Param

    Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """One output blob of one layer and the ONNX value it holds."""

    layer_index: int
    """Position of the layer in the `.param` file, from 0."""
    blob: str
    """Name of the blob; empty for a layer without outputs."""
    value: str = ""
    """Name of the ONNX value; empty where none was found."""
    how: str
    """`name` (both have the same), `mapped` (by the user), `split` (copy of an aligned blob),
    `value` (by the numbers), or `none`."""
    note: str = ""
    """Why there is no value."""
    sure: str = ""
    """How sure a match by the numbers is, in words."""
    order: tuple[int, ...] = ()
    """How the axes are permuted, see `Arrangement`; empty where no element moves."""
    turns_blob: bool = False
    """Whether these axes are the blob's."""

    def arranged(self, value: Shape, blob: Shape) -> Arrangement:
        """Return how a value of one shape stands in a blob of another.

        Builds differ in the axes of one element that they give a blob.

        Raises:
            ValueError: it cannot; the message is `shape (..) against (..)`.
        """
        if not self.order:
            return plain(value, blob)
        for way in arrangements(value, blob):
            if (way.axes, way.turns_blob) == (self.order, self.turns_blob):
                return way
        raise ValueError(f"shape {blob} against {value}")


def align(
    param: Param, shapes: Mapping[str, Shape], mapping: Mapping[str, str]
) -> tuple[Alignment, ...]:
    """Find the ONNX value of every blob.

    Args:
        param: the ncnn graph.
        shapes: shape of every ONNX value by name.
        mapping: ncnn blob → ONNX value, as the user gave it; comes before equal names.

    Returns:
        One entry per output blob, in the order of the `.param` file; a layer without outputs has
        one with an empty blob.

    Raises:
        ModelError: `mapping` names a blob or value that does not exist.
    """
    _check(mapping, "blob", mapping, param.blobs)
    _check(mapping, "ONNX value", mapping.values(), shapes)
    found: dict[str, Alignment] = {}
    result = []
    for index, layer in enumerate(param.layers):
        copied = found.get(layer.inputs[0]) if layer.type == "Split" and layer.inputs else None
        for blob in layer.outputs or ("",):
            value, how = _value(blob, shapes, mapping, copied)
            note = "" if value else _reason(blob, copied)
            found[blob] = Alignment(layer_index=index, blob=blob, value=value, how=how, note=note)
            result.append(found[blob])
    return tuple(result)


def _value(
    blob: str, shapes: Mapping[str, Shape], mapping: Mapping[str, str], copied: Alignment | None
) -> tuple[str, str]:
    if blob in mapping:
        return mapping[blob], "mapped"
    if blob in shapes:
        return blob, "name"
    if copied and copied.value:
        return copied.value, "split"
    return "", "none"


def _reason(blob: str, copied: Alignment | None) -> str:
    if not blob:
        return "the layer has no output"
    if copied:
        return f"a copy of {copied.blob}, which is not aligned"
    return "no ONNX value has this name"


def _check(
    mapping: Mapping[str, str], kind: str, given: Collection[str], known: Collection[str]
) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"The nearest is {near[0]!r}." if near else "Correct the name."
            raise ModelError(f"names {dict(mapping)}: the model has no {kind} {name!r}. {hint}")
