"""What an ONNX model wants to be fed with: names, types, shapes with axes left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import onnx

    from harness.model.onnx_graph import OnnxGraph

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

IMAGE_SIZES = ((224, 224), (48, 320), (32, 320), (320, 320), (640, 640))
"""Heights and widths to try where an image's are open: a classifier's, a text line's, a
detector's."""
LENGTHS = (16, 64, 512, 576, 1600, 16000)
"""Lengths to try where those of sequences are open: of tokens, of audio."""
TEXT_LINE = 100
"""An image that is less high than this is a line of text, and wider than it is high."""
_CHANNELS = (1, 3, 4)
_PASSES_IDS = frozenset(
    {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose", "Expand"}
)
"""Operators behind which integers are still those of the input."""
_PASSES_TABLE = frozenset({"Identity", "Cast", "DequantizeLinear"})


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """One input of an ONNX graph."""

    name: str
    dtype: np.dtype[Any]
    axes: tuple[int | str, ...]
    """Extents; the name of a symbolic one, which may be empty."""
    is_ranked: bool = True
    """Whether the graph says how many axes there are."""
    below: int = 2
    """Integers from 0 up to this one, itself excluded, are valid, as far as the graph shows."""

    @property
    def open_axes(self) -> tuple[int, ...]:
        """Positions of the symbolic axes."""
        return tuple(at for at, extent in enumerate(self.axes) if isinstance(extent, str))

    @property
    def shape_text(self) -> str:
        """The shape in words, such as `[1, 3, ?, width]`."""
        axes = self.axes if self.is_ranked else ("…",)
        return f"[{', '.join(str(extent) or '?' for extent in axes)}]"

    @property
    def is_image(self) -> bool:
        """Whether it is one picture as PyTorch has it: batch, channels, height, width."""
        return len(self.axes) == 4 and self.dtype.kind == "f" and self.axes[1] in _CHANNELS

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a shape is one of those that the model declares."""
        if not self.is_ranked or len(shape) != len(self.axes):
            return not self.is_ranked and min(shape, default=1) >= 1
        return all(
            extent >= 1 and (isinstance(axis, str) or axis == extent)
            for axis, extent in zip(self.axes, shape, strict=True)
        )


def graph_inputs(graph: OnnxGraph) -> tuple[GraphInput, ...]:
    """Return the inputs of a model in its own order.

    Raises:
        ModelError: an input is no tensor of numbers.
    """
    declared = {value.name: value.type.tensor_type for value in graph.proto.graph.input}
    found = []
    for name, dtype in graph.inputs.items():
        if dtype.kind not in "fiub" or not declared[name].elem_type:
            raise ModelError(
                f"{graph.path}: its input {name} is no tensor of numbers. ncnn cannot take it: "
                "export the model from where its first tensor of numbers is known.",
                code=Code.INPUT_SHAPE,
            )
        if any(a.HasField("dim_value") and not a.dim_value for a in declared[name].shape.dim):
            raise ModelError(
                f"{graph.path}: its input {name} has an axis of size 0, so that there is nothing "
                "to compute. Export the model with an input of another shape.",
                code=Code.INPUT_SHAPE,
            )
        below = _valid_below(graph.proto.graph, name) if dtype.kind in "iu" else 2
        found.append(
            GraphInput(
                name=name,
                dtype=dtype,
                axes=_axes(declared[name].shape),
                is_ranked=declared[name].HasField("shape"),
                below=below,
            )
        )
    return tuple(found)


def _axes(shape: onnx.TensorShapeProto) -> tuple[int | str, ...]:
    # Some exporters write -1 for an axis that is open.
    return tuple(
        axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else axis.dim_param
        for axis in shape.dim
    )


def _valid_below(graph: onnx.GraphProto, name: str) -> int:
    """Return the size of the smallest table that an input's integers are looked up in."""
    tables = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    ids = {name}
    sizes = []
    for node in graph.node:
        if not node.input or not node.output:
            continue
        if node.op_type in _PASSES_TABLE and node.input[0] in tables:
            tables[node.output[0]] = tables[node.input[0]]
        if node.op_type in _PASSES_IDS and node.input[0] in ids:
            ids.add(node.output[0])
        looks_up = node.op_type == "Gather" and len(node.input) > 1
        looks_up = looks_up and node.input[1] in ids and node.input[0] in tables
        if looks_up and not any(a.name == "axis" and a.i for a in node.attribute):
            sizes.append(tables[node.input[0]])
    return min(sizes, default=2)


def assumptions(inputs: Sequence[GraphInput], given: Mapping[str, Shape]) -> Iterator[Shapes]:
    """Yield shapes for all inputs, most likely ones first: open axes get usual sizes.

    Args:
        inputs: all inputs of a model.
        given: shapes that are known already.
    """
    seen = set()
    for number in range(max(len(IMAGE_SIZES), len(LENGTHS))):
        size = IMAGE_SIZES[min(number, len(IMAGE_SIZES) - 1)]
        length = LENGTHS[min(number, len(LENGTHS) - 1)]
        shapes = {i.name: given.get(i.name) or _assumed(i, size, length) for i in inputs}
        key = tuple(shapes.values())
        if key not in seen:
            seen.add(key)
            yield shapes


def _assumed(source: GraphInput, size: tuple[int, int], length: int) -> Shape:
    """Return a shape with usual sizes on the axes that are open."""
    plane = _plane(source)
    return tuple(
        extent
        if isinstance(extent, int)
        else _image_extent(source, plane, at, size)
        if at in plane
        else 1
        if _is_batch(source, at)
        else length
        for at, extent in enumerate(source.axes)
    )


def _plane(source: GraphInput) -> tuple[int, ...]:
    """Return the axes of height and width, if it is an image, channels first or last."""
    if len(source.axes) != 4 or source.dtype.kind not in "fu":
        return ()
    return (1, 2) if source.axes[3] in _CHANNELS and source.axes[1] not in _CHANNELS else (2, 3)


def _image_extent(
    source: GraphInput, plane: tuple[int, ...], at: int, size: tuple[int, int]
) -> int:
    other = source.axes[plane[1 - plane.index(at)]]
    if isinstance(other, str):
        return size[plane.index(at)]
    # A line of text is wide; everything else is taken to be square.
    return 320 if at == plane[1] and other < TEXT_LINE else other


def _is_batch(source: GraphInput, at: int) -> bool:
    axes = source.axes
    if at == 0:
        return len(axes) > 1
    # The state of a recurrent layer has its layers or directions in front.
    state = len(axes) == 3 and at == 1 and axes[0] not in (1, "") and isinstance(axes[2], int)
    return "batch" in str(axes[at]).lower() or (state and isinstance(axes[0], int))
