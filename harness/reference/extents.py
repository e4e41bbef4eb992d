"""How much a model is to compute, tried before it is computed where nothing limits it."""

from __future__ import annotations

import resource
from math import prod
from typing import TYPE_CHECKING, Any

from harness.definition import TOO_LARGE
from harness.definition.blob_shapes import blob_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.model.param import Param

WIDTH = 20
"""Bytes that the proof of a conversion keeps of each element: twice in double precision and once in
single precision."""


def try_extents(graph: Param, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Find the shapes of all blobs, which ends where a parameter asks for what is boundless.

    It is for a process with limits: it raises `MemoryError` where all blobs together take more
    than that process may.

    Args:
        graph: the layers.
        shapes: shapes of the inputs by blob, in ncnn's layout.

    Returns:
        Nothing.
    """
    found = blob_shapes(graph, shapes)
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    large = next((why for why in found.unknown.values() if TOO_LARGE in why), "")
    if large:
        raise MemoryError(large)
    size = WIDTH * sum(prod(shape) for shape in found.shapes.values())
    if limit != resource.RLIM_INFINITY and size > limit:
        raise MemoryError(f"all blobs together take {size} bytes")
    return {}
