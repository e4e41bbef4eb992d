"""From ONNX to ncnn's classic operators, those that every ncnn since 2022 loads.

`graph` folds constants and infers shapes, `fuse` replaces patterns of nodes by single ones,
`emit` with `layers` and `shapes` writes ncnn layers. Blobs carry the names of the ONNX values
that they equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.convert import layers, shapes
from harness.model.convert.emit import Weights, emit
from harness.model.convert.fuse import fuse
from harness.model.convert.graph import Shape, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from harness.model.param import Param

__all__ = ["convert"]

RULES = layers.RULES | shapes.RULES


def convert(model: onnx.ModelProto, input_shapes: Mapping[str, Shape]) -> tuple[Param, Weights]:
    """Convert a model for inputs of the given shapes, batch 1.

    Extents that the model itself leaves open in a reshape stay open; everything else that is
    computed from shapes is fixed.

    Args:
        model: the ONNX model.
        input_shapes: shape of each input by name, such as `{"x": (1, 3, 48, 320)}`.

    Returns:
        The layers, and their weights as `weights.write_weights` takes them (float32).

    Raises:
        ModelError: an operator or a pattern is not known; the message names the node.
    """
    graph = load(model, input_shapes)
    fuse(graph)
    return emit(graph, RULES)
