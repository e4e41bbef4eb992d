"""A layer of a model, with its own weights and what reaches it, in the place of a made-up case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.cases.layer_case import LayerCase
from harness.cases.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.param import Layer

    Array = NDArray[Any]


def recorded_sample(layer: Layer, tensors: Mapping[str, Array], inputs: Sequence[Array]) -> Sample:
    """Return a layer with numbers that are known.

    The case in it has the layer's parameters and shapes, and says nothing of the numbers.

    Args:
        layer: a layer of a model.
        tensors: its weights, as `harness.model.weights.read_weights` gives them.
        inputs: one array per input blob, in ncnn's layout; float32, or int32.
    """
    case = LayerCase(
        type=layer.type,
        params=tuple(sorted(dict(layer.params).items())),
        shapes=tuple(x.shape for x in inputs),
        outputs=len(layer.outputs),
    )
    return Sample(case=case, tensors=tensors, inputs=tuple(inputs))
