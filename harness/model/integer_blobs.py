"""Which blobs of a `.param` file hold integers, whose bits ncnn keeps where floats would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.param import Param

READERS = frozenset({"Embed"})
"""Layers that read their input as 32-bit integers."""
COPIES = frozenset({"Split", "Reshape", "Squeeze", "ExpandDims", "Flatten", "Permute", "Noop"})
"""Layers that move elements without looking at them."""


def integer_blobs(param: Param) -> frozenset[str]:
    """Return the blobs that are read as integers, and those that the same elements pass through."""
    found = {blob for layer in param.layers if layer.type in READERS for blob in layer.inputs}
    copies = [{*layer.inputs, *layer.outputs} for layer in param.layers if layer.type in COPIES]
    while grown := [blobs for blobs in copies if blobs & found and not blobs <= found]:
        found = found.union(*grown)
    return frozenset(found)
