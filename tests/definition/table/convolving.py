"""Convolutions and deconvolutions, and what is in eight bits."""

from __future__ import annotations

from tests.definition.cases import (
    ACTIVATIONS,
    RANKS,
    Case,
    Params,
    Shape,
    int8,
    int32,
    normal,
    positive,
    within,
)

_SLIDING: list[Params] = [
    {1: 3},
    {1: 3, 4: 1, 5: 1},
    {1: 1, 5: 1},
    {1: 3, 2: 2, 4: 2, 5: 1},
    {1: 3, 3: 2, 4: 1},
    {1: 2, 3: 2, 4: -233},
    {1: 4, 3: 1, 4: -234},
    {1: 3, 4: 2, 15: 1, 5: 1, 18: 0.75},
]
_SLIDING_PLANE: list[Params] = [
    {1: 3, 11: 2, 2: 1, 12: 2, 3: 2, 13: 1, 4: 1, 15: 2, 14: 0, 16: 3, 5: 1},
    {1: 1, 3: 2},
    {1: 5, 11: 1, 4: 2, 14: 0, 5: 1},
]
_SLIDING_SPACE: list[Params] = [
    {1: 3, 11: 2, 21: 1, 3: 2, 13: 1, 23: 2, 4: 1, 14: 2, 24: 0, 5: 1},
    {1: 2, 2: 2, 12: 1, 22: 3, 4: 1, 5: 1},
]
_SUFFIXES = {
    "1D": ((6, 11), _SLIDING),
    "": ((6, 8, 11), _SLIDING + _SLIDING_PLANE),
    "3D": ((6, 7, 8, 9), _SLIDING + _SLIDING_SPACE),
}


def _elements(params: Params, ndim: int) -> int:
    """Return the number of elements of a kernel."""
    width = params[1]
    assert isinstance(width, int)
    count = 1
    for key in (1, 11, 21)[:ndim]:
        extent = params.get(key, width)
        assert isinstance(extent, int)
        count *= extent
    return count


def sliding(kind: str, shape: Shape, given: Params, outputs: int, group: int = 1) -> Case:
    size = outputs * shape[0] // group * _elements(given, len(shape) - 1)
    params = {0: outputs, 6: size, **given} | ({7: group} if group > 1 else {})
    return Case(kind, params, (shape,))


_TRANSPOSED: list[Params] = [
    {1: 3},
    {1: 3, 3: 2, 4: 1, 5: 1},
    {1: 3, 3: 2, 4: 1, 18: 1, 5: 1},
    {1: 2, 2: 2, 3: 3},
    {1: 4, 3: 2, 4: 1, 15: 2, 5: 1},
]
_TRANSPOSED_PLANE: list[Params] = [
    {1: 3, 11: 2, 3: 2, 13: 1, 4: 1, 14: 0, 18: 1, 19: 0, 5: 1},
    {1: 3, 3: 2, 4: -233, 20: 22, 21: 16},
    {1: 3, 3: 2, 4: -234, 20: 22, 21: 16},
    {1: 4, 3: 2, 4: -233, 20: 21, 21: 15, 5: 1},
]
_TRANSPOSED_SPACE: list[Params] = [
    {1: 3, 11: 2, 21: 1, 3: 2, 13: 1, 23: 2, 4: 1, 14: 0, 24: 0, 18: 1, 19: 0, 20: 1, 5: 1},
    {1: 3, 3: 2, 4: -233, 25: 18, 26: 16, 27: 14},
    {1: 4, 3: 2, 4: -234, 25: 17, 26: 17, 27: 13},
]
_TRANSPOSED_SUFFIXES = {
    "1D": ((6, 11), [*_TRANSPOSED, {1: 4, 3: 2, 4: -233, 20: 22}]),
    "": ((6, 8, 11), _TRANSPOSED + _TRANSPOSED_PLANE),
    "3D": ((6, 7, 8, 9), _TRANSPOSED + _TRANSPOSED_SPACE),
}
CONVOLVING = [
    *(
        sliding(f"{kind}{suffix}", shape, params, outputs, group)
        for kinds, table in (
            ("Convolution", _SUFFIXES),
            ("Deconvolution", _TRANSPOSED_SUFFIXES),
        )
        for suffix, (shape, given) in table.items()
        for params in given
        for kind, outputs, group in (
            (kinds, 5, 1),
            (f"{kinds}DepthWise", 6, 6),
            (f"{kinds}DepthWise", 4, 2),
        )
    ),
    *(
        sliding(kind, shape, {1: 3, 5: 1, **activation}, 6, group)
        for activation in ACTIVATIONS
        for kind, shape, group in (
            ("Convolution", (6, 8, 11), 1),
            ("ConvolutionDepthWise", (6, 8, 11), 6),
            ("Convolution1D", (6, 11), 1),
            ("Deconvolution", (6, 8, 11), 1),
            ("Convolution3D", (6, 7, 8, 9), 1),
        )
    ),
    # Kernel and bias from blobs.
    Case("Convolution", {0: 5, 1: 3, 4: 1, 5: 1, 19: 1}, ((6, 8, 11), (5, 6, 3, 3), (5,))),
    Case("Convolution", {0: 5, 1: 3, 11: 2, 19: 1}, ((6, 8, 11), (5, 6, 2, 3))),
    Case("ConvolutionDepthWise", {0: 6, 1: 3, 7: 6, 19: 1}, ((6, 8, 11), (6, 1, 3, 3))),
    Case("Convolution1D", {0: 5, 1: 3, 4: 1, 5: 1, 19: 1}, ((6, 11), (5, 6, 3), (5,))),
    Case("ConvolutionDepthWise1D", {0: 4, 1: 3, 7: 2, 19: 1}, ((6, 11), (4, 3, 3))),
    Case("Deconvolution", {0: 5, 1: 3, 3: 2, 5: 1, 28: 1}, ((6, 8, 11), (6, 5, 3, 3), (5,))),
    Case("DeconvolutionDepthWise", {0: 4, 1: 3, 7: 2, 28: 1}, ((6, 8, 11), (6, 2, 3, 3))),
    Case("Deconvolution1D", {0: 5, 1: 3, 5: 1, 28: 1}, ((6, 11), (6, 5, 3), (5,))),
    Case("DeconvolutionDepthWise1D", {0: 4, 1: 3, 7: 2, 28: 1}, ((6, 11), (6, 2, 3))),
    *(
        Case("DeformableConv2D", {0: 5, 6: size, **params}, ((6, 8, 11), *shapes), values=normal)
        for params, size, shapes in (
            ({1: 3}, 270, ((18, 6, 9),)),
            ({1: 3, 5: 1, 9: 1}, 270, ((18, 6, 9), (9, 6, 9))),
            ({1: 3, 11: 2, 3: 2, 13: 1, 4: 1, 14: 0, 5: 1}, 180, ((12, 7, 6), (6, 7, 6))),
            ({1: 3, 2: 2, 4: 2}, 270, ((18, 8, 11),)),
        )
    ),
    # A vector: taken for an InnerProduct.
    Case("Convolution", {0: 5, 1: 1, 5: 1, 6: 40, 9: 1}, ((8,),)),
]

SCALES = {
    "weight_scale": within(60, 70),
    "input_scale": within(24, 25),
    "output_scale": within(3, 4),
    "weight": within(-1.8, 1.8),
}
STORED = {**SCALES, "weight": int8}
QUANTISED = [
    *(
        Case(kind, params, (shape,), tensors=tensors, limit=1e-5)
        for tensors in (SCALES, STORED)
        for kind, params, shape in (
            ("InnerProduct", {0: 5, 1: 1, 2: 5 * 24, 8: 2, 9: 1}, (24,)),
            ("InnerProduct", {0: 5, 1: 0, 2: 5 * 24, 8: 2}, (3, 24)),
            ("InnerProduct", {0: 5, 1: 1, 2: 5 * 24, 8: 1}, (2, 3, 4)),
            ("Convolution", {0: 5, 1: 3, 5: 1, 6: 5 * 54, 8: 2}, (6, 8, 11)),
            ("Convolution", {0: 8, 1: 3, 3: 2, 4: 1, 6: 8 * 54, 8: 1, 9: 1}, (6, 8, 11)),
            ("Convolution", {0: 5, 1: 1, 5: 1, 6: 5 * 6, 8: 2}, (6, 8, 11)),
            ("ConvolutionDepthWise", {0: 6, 1: 3, 5: 1, 6: 54, 7: 6, 8: 1}, (6, 8, 11)),
            ("ConvolutionDepthWise", {0: 6, 1: 3, 4: 1, 6: 54, 7: 6, 8: 2}, (6, 8, 11)),
            ("ConvolutionDepthWise", {0: 4, 1: 3, 5: 1, 6: 108, 7: 2, 8: 1}, (6, 8, 11)),
        )
    ),
    *(
        Case(
            "Dequantize",
            {0: size, 1: bias},
            (shape,),
            values=int32(5000),
            tensors={"scale": positive},
        )
        for shape in RANKS
        for size in ((1, shape[0]) if len(shape) > 1 else (1,))
        for bias in (0, size)
    ),
]

CASES = [*CONVOLVING, *QUANTISED]
