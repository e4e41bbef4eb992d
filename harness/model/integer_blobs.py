"""Which blobs of a `.param` file hold integers: ids of tokens, int8 between quantised layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.param import Layer, Param

READERS = frozenset({"Embed"})
"""Layers that read their input as 32-bit integers."""
MOVERS = frozenset({"Split", "Reshape", "Squeeze", "ExpandDims", "Flatten", "Permute", "Noop"})
"""Layers that move elements without looking at them."""


REQUANTISING = 100
"""A convolution whose `8=` term is above this gives int8."""
PASSING = MOVERS | {"ReLU", "Concat", "Slice", "ShuffleChannel", "Crop", "Dropout"}
"""Layers that give int8 for int8."""


_TERMS = {
    **dict.fromkeys(("Convolution", "ConvolutionDepthWise", "InnerProduct"), 8),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), 8),
    **dict.fromkeys(("Gemm", "MultiHeadAttention", "SDPA", "Embed"), 18),
}
"""The parameter that says that a layer computes in int8."""


def is_quantised(layer: Layer) -> bool:
    """Return whether a layer rounds what it computes with to int8."""
    term = _TERMS.get(layer.type)
    return layer.type == "Quantize" or (term is not None and layer.integer(term, 0) != 0)


def gives_int8(layer: Layer) -> bool:
    """Return whether what a layer gives is int8, whatever it takes."""
    made = layer.type in ("Convolution", "ConvolutionDepthWise")
    requantised = made and layer.integer(8, 0) > REQUANTISING
    return requantised or layer.type in ("Quantize", "Requantize")


def quantised_blobs(param: Param) -> frozenset[str]:
    """Return the blobs that are int8 inside of ncnn, between quantised layers."""
    found: set[str] = set()
    for layer in param.layers:
        made = layer.type in ("Convolution", "ConvolutionDepthWise")
        passed = layer.type in PASSING and layer.inputs and found.issuperset(layer.inputs)
        if passed or (made and layer.integer(8, 0) > REQUANTISING):
            found.update(layer.outputs)
    return frozenset(found)


def integer_blobs(param: Param) -> frozenset[str]:
    """Return the blobs that are read as integers, and those that the same elements pass through."""
    found = {blob for layer in param.layers if layer.type in READERS for blob in layer.inputs}
    copies = [{*layer.inputs, *layer.outputs} for layer in param.layers if layer.type in MOVERS]
    while grown := [blobs for blobs in copies if blobs & found and not blobs <= found]:
        found = found.union(*grown)
    return frozenset(found)
