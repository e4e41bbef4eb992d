"""How many blobs the layers of ncnn take, as far as every version agrees.

Read from the constructors in ncnn's `src/layer/*.cpp`. With fewer inputs ncnn reads memory that is
not there; surplus ones it leaves out without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.layer import Layer

_ONE = frozenset(
    [
        "AbsVal",
        "ArgMax",
        "BatchNorm",
        "Bias",
        "BNLL",
        "Cast",
        "CELU",
        "Clip",
        "CumulativeSum",
        "DeepCopy",
        "Dequantize",
        "Diag",
        "Dropout",
        "ELU",
        "Embed",
        "Erf",
        "Exp",
        "ExpandDims",
        "Flatten",
        "Flip",
        "Fold",
        "GELU",
        "GLU",
        "GroupNorm",
        "HardSigmoid",
        "HardSwish",
        "InnerProduct",
        "InstanceNorm",
        "InverseSpectrogram",
        "LayerNorm",
        "Log",
        "LRN",
        "Mish",
        "MVN",
        "Normalize",
        "Packing",
        "Permute",
        "PixelShuffle",
        "Pooling",
        "Pooling1D",
        "Pooling3D",
        "Power",
        "PReLU",
        "Quantize",
        "Reduction",
        "ReLU",
        "Reorg",
        "Requantize",
        "RMSNorm",
        "SELU",
        "Shrink",
        "ShuffleChannel",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Spectrogram",
        "SPP",
        "Squeeze",
        "StatisticsPooling",
        "Swish",
        "TanH",
        "Threshold",
        "Tile",
        "UnaryOp",
        "Unfold",
    ]
)
"""Layers that take one blob in every form."""
_NONE = frozenset({"Input", "MemoryData"})
_LEAST = {
    **dict.fromkeys(("BinaryOp", "CopyTo", "DeformableConv2D", "Eltwise", "GridSample"), 2),
    **dict.fromkeys(("MatMul", "PSROIPooling", "ROIAlign", "ROIPooling"), 2),
    **dict.fromkeys(("DetectionOutput", "Proposal", "RotaryEmbed", "SDPA"), 3),
    **dict.fromkeys(("Concat", "Crop", "Einsum", "GRU", "Interp", "LSTM", "MultiHeadAttention"), 1),
    **dict.fromkeys(("Padding", "PriorBox", "Reshape", "RNN", "Scale", "Slice", "Split"), 1),
    **{
        f"{kind}{axes}": 1
        for kind in (
            "Convolution",
            "ConvolutionDepthWise",
            "Deconvolution",
            "DeconvolutionDepthWise",
        )
        for axes in ("", "1D", "3D")
    },
}
"""Layers that take several blobs, or do so in some form, and how many at least."""
_SCALAR = 1
"""The parameter by which a BinaryOp takes a number in place of its second blob."""


def input_range(layer: Layer) -> tuple[int, int | None]:
    """Return how many inputs a layer takes, at least and at most; None for any number.

    Nothing is said of types that are not known, such as those of a user's own.
    """
    if layer.type in _NONE:
        return 0, 0
    if layer.type in _ONE:
        return 1, 1
    if layer.type == "BinaryOp" and layer.get(_SCALAR) not in (None, 0):
        return 1, None
    return _LEAST.get(layer.type, 0), None
