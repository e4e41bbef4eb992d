"""Layers in a row that hand blobs of eight bits on, which nothing outside ncnn gets to see."""

from __future__ import annotations

from tests.definition.cases import Case, int32, within
from tests.definition.table.convolving import STORED

IMAGE = (6, 8, 11)
QUANTIZE = Case("Quantize", {0: 1}, (IMAGE,), tensors={"scale": within(24, 25)})
BY_CHANNEL = Case("Quantize", {0: 6}, (IMAGE,), tensors={"scale": within(24, 60)})
REQUANTIZE = Case(
    "Requantize",
    {0: 6, 1: 6, 2: 6, 3: 1},
    (IMAGE,),
    values=int32(5000),
    tensors={"scale_in": within(0.001, 0.002), "scale_out": within(12, 13)},
)
CONVOLUTION = Case("Convolution", {0: 6, 1: 3, 4: 1, 5: 1, 6: 324, 8: 2}, (IMAGE,), tensors=STORED)
TO_INT8 = Case(
    "Convolution", {0: 6, 1: 3, 4: 1, 5: 1, 6: 324, 8: 102, 9: 1}, (IMAGE,), tensors=STORED
)
DEPTHWISE = Case(
    "ConvolutionDepthWise", {0: 6, 1: 3, 4: 1, 5: 1, 6: 54, 7: 6, 8: 1}, (IMAGE,), tensors=STORED
)
DEPTHWISE_TO_INT8 = Case(
    "ConvolutionDepthWise", {0: 6, 1: 3, 4: 1, 5: 1, 6: 54, 7: 6, 8: 101}, (IMAGE,), tensors=STORED
)
DENSE = Case("InnerProduct", {0: 5, 1: 1, 2: 5 * 528, 8: 2}, (IMAGE,), tensors=STORED)
CHAINS = [
    (QUANTIZE, CONVOLUTION),
    (BY_CHANNEL, DEPTHWISE),
    (QUANTIZE, DENSE),
    (REQUANTIZE, CONVOLUTION),
    (TO_INT8, CONVOLUTION),
    (TO_INT8, DEPTHWISE_TO_INT8, DENSE),
]
