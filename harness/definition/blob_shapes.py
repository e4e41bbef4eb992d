"""The shapes of all blobs of a model, from those of its inputs, by what its layers compute.

Each layer is evaluated on zeros, since its definition is the one place that knows what shapes it
gives; where that would take long, on one channel of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition import TOO_LARGE, NoDefinitionError, compute
from harness.model.layouts import layout
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.param import Layer, Param

    Array = NDArray[Any]

Shape = tuple[int, ...]
_SLIDING = tuple(
    f"{kind}{axes}"
    for kind in (
        "Convolution",
        "ConvolutionDepthWise",
        "Deconvolution",
        "DeconvolutionDepthWise",
    )
    for axes in ("", "1D", "3D")
)
_DYNAMIC = {"C": 19, "D": 28}
"""The parameter by which a convolution, or a deconvolution, takes its kernel from a blob."""
_INPUT_AXES = (2, 11, 1, 0)
"""Parameters of an Input layer with its extents, outermost axis first."""


@dataclass
class BlobShapes:
    """Shapes by blob, and why others are not known."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    """Outermost axis first."""
    unknown: dict[str, str] = field(default_factory=dict)
    """For every other blob what is missing, such as `the shape of input data`."""


def blob_shapes(param: Param, given: Mapping[str, Shape]) -> BlobShapes:
    """Return the shapes of a model's blobs.

    Args:
        param: the layers.
        given: shapes of inputs, in ncnn's layout, by blob; of others, those that the file tells.
    """
    found = BlobShapes()
    known: dict[object, tuple[Shape, ...] | str] = {}
    for layer in param.layers:
        if layer.type == "Input":
            outputs = _of_input(layer, given)
        elif unknown := [blob for blob in layer.inputs if blob not in found.shapes]:
            outputs = found.unknown.get(unknown[0], f"where blob {unknown[0]} comes from")
        else:
            inputs = tuple(found.shapes[blob] for blob in layer.inputs)
            key = (layer.type, layer.params, len(layer.outputs), inputs)
            if key not in known:
                known[key] = _of_layer(layer, inputs)
            outputs = known[key]
        if isinstance(outputs, str):
            found.unknown |= dict.fromkeys(layer.outputs, outputs)
        else:
            found.shapes |= zip(layer.outputs, outputs, strict=True)
    return found


def _of_input(layer: Layer, given: Mapping[str, Shape]) -> tuple[Shape, ...] | str:
    said = tuple(n for n in (layer.integer(key, 0) for key in _INPUT_AXES) if n)
    shapes = tuple(given.get(blob, said) for blob in layer.outputs)
    missing = next((b for b, shape in zip(layer.outputs, shapes, strict=True) if not shape), "")
    return f"the shape of input {missing}" if missing else shapes


def _of_layer(layer: Layer, inputs: Sequence[Shape]) -> tuple[Shape, ...] | str:
    """Return the shapes of a layer's outputs, or what is missing to know them."""
    try:
        if channels := _channels(layer, inputs):
            layer, inputs = _narrowed(layer), [(1, *inputs[0][1:])]
        tensors = {slot.name: np.zeros(slot.shape, np.float32) for slot in layout(layer)}
        blobs = [np.zeros(shape, np.float32) for shape in inputs]
        outputs = compute(layer, tensors, blobs, dtype=np.float32)
    except MemoryError:
        return f"what {layer.type} {layer.name} gives ({TOO_LARGE})"
    except (NoDefinitionError, ModelError) as error:
        return f"what {layer.type} {layer.name} gives ({error})"
    shapes = tuple(output.shape for output in outputs)
    return ((channels, *shapes[0][1:]),) if channels else shapes


def _channels(layer: Layer, inputs: Sequence[Shape]) -> int:
    """Return how many channels a convolution gives, if one of them shows the extents of all."""
    if (
        layer.type not in _SLIDING
        or layer.integer(_DYNAMIC[layer.type[0]], 0)
        or len(inputs[0]) != (3 if layer.type[-1] != "D" else int(layer.type[-2]) + 1)
    ):
        return 0
    group = layer.integer(7, 1) if "DepthWise" in layer.type else 1
    wanted = layout(layer)[0].shape[1] * group
    if wanted != inputs[0][0]:
        raise NoDefinitionError(f"it wants {wanted} channels, its input has {inputs[0][0]}")
    return layer.integer(0, 0)


def _narrowed(layer: Layer) -> Layer:
    """Return a convolution of one channel that slides in the same way."""
    kernel = layout(layer)[0].shape[2:]
    kept = tuple((key, value) for key, value in layer.params if key not in (5, 7, 8, 9, 10))
    plain = replace(layer, type=layer.type.replace("DepthWise", ""), params=kept)
    return plain.with_param(0, 1).with_param(6, prod(kernel))
