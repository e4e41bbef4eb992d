"""Which value a blob holds, and where its reference comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.model.arrangement import Arrangement, ordered, plain

if TYPE_CHECKING:
    from harness.model.blob_layout import Shape

Source = Literal["onnx", "ncnn", ""]
"""Whose values a blob is compared with: the ONNX graph's, those that ncnn's own definitions give
for the `.param` and `.bin`, or nobody's."""


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """One output blob of one layer, and what it is compared with."""

    layer_index: int
    """Position of the layer in the `.param` file, from 0."""
    blob: str
    """Name of the blob; empty for a layer without outputs."""
    value: str = ""
    """Name of the ONNX value that the blob holds; empty where none was found."""
    source: Source = ""
    """Whose values the reference has for this blob."""
    key: str = ""
    """Name of the reference values to compare with; empty where there are none."""
    how: str
    """`name` or `mapped` (the numbers agree, and so do the names), `value` (by the numbers alone),
    `definition` (no ONNX value is like it: what ncnn defines), or `none`."""
    note: str = ""
    """Why there is no reference, or what is odd about the name."""
    sure: str = ""
    """How sure a match is, in words."""
    order: tuple[int, ...] = ()
    """How the axes are permuted, see `Arrangement`; empty where no element moves."""
    turns_blob: bool = False
    """Whether these axes are the blob's."""
    shape: tuple[int, ...] = ()
    """Shape of the blob for the input it was matched on; empty where it is not known."""

    def arranged(self, value: Shape, blob: Shape) -> Arrangement:
        """Return how a value of one shape stands in a blob of another.

        Builds differ in the axes of one element that they give a blob.

        Raises:
            ValueError: it cannot; the message is `shape (..) against (..)`.
        """
        if not self.order:
            return plain(value, blob)
        way = ordered(value, blob, self.order, turns_blob=self.turns_blob)
        if way is None:
            raise ValueError(f"shape {blob} against {value}")
        return way


def blob_key(blob: str) -> str:
    """Return the name under which a reference has what ncnn's definitions give for a blob."""
    return f"ncnn blob {blob}"
