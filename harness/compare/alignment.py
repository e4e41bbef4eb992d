"""Which ncnn blob is which ONNX value, and how the layout of one becomes that of the other."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.util.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.model.param import Param

    Array = NDArray[Any]

Shape = tuple[int, ...]

MAX_AXES = 4
"""The axes of an `ncnn::Mat`: width, height, depth, channels."""


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
    or `none`."""
    note: str = ""
    """Why there is no value."""


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


def to_reference_layout(array: Array, shape: Sequence[int]) -> Array:
    """Return an ncnn blob in the shape of the ONNX value that it is compared with.

    ncnn drops the batch axis and keeps, adds or drops axes of one element; a blob may also merge
    or split neighbouring axes. None of this moves an element, so a reshape undoes it.

    Raises:
        ValueError: no reshape can be right; the message is `shape (..) against (..)`.
    """
    return _reshape(array, tuple(shape))


def to_ncnn_layout(value: Array, shape: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Return an ONNX value as a contiguous float32 array to be fed into an ncnn blob.

    Args:
        value: the ONNX value, of any numeric type.
        shape: the shape that ncnn itself gave this blob in a run; where there was none, the
            value's own without its batch axis, so (1, C, H, W) becomes (C, H, W).

    Raises:
        ValueError: no reshape can be right, or ncnn has not that many axes.
    """
    if shape is None:
        shape = value.shape[1:] if value.ndim > 1 and value.shape[0] == 1 else value.shape
    if len(shape) > MAX_AXES:
        raise ValueError(f"shape {tuple(shape)} has more axes than ncnn's {MAX_AXES}")
    return np.ascontiguousarray(_reshape(value, tuple(shape)), dtype=np.float32)


def _reshape(array: Array, shape: Shape) -> Array:
    mine, other = _boundaries(array.shape), _boundaries(shape)
    if array.size != math.prod(shape) or not (mine <= other or other <= mine):
        raise ValueError(f"shape {array.shape} against {shape}")
    return array.reshape(shape)


def _boundaries(shape: Shape) -> frozenset[int]:
    """Return the element counts at which an axis ends, counted from the innermost one.

    Axes of one element leave no trace. Two shapes merge or split neighbouring axes of each other
    if one's boundaries include the other's; (3, 4) and (4, 3) end axes at 4 and 3: transposed.
    """
    counts = set()
    count = 1
    for extent in reversed(shape):
        count *= extent
        counts.add(count)
    return frozenset(counts - {1})
