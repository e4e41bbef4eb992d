"""Convolutions and deconvolutions over one, two or three axes, also grouped and in int8."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.definition import sliding
from harness.definition.activation import activated, fused
from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)
from harness.definition.parameters import column, number
from harness.definition.quantising import REQUANTISED, inverse, quantised_weight, to_int8
from harness.definition.sampling import ZEROS, Sampler

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

DYNAMIC, DYNAMIC_TRANSPOSED = 19, 28
MASK = 2
TERMS = (1, 2, 101, 102)
"""What `int8_scale_term` may be."""


def _convolution(
    layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic, *, ndim: int
) -> Array:
    x = inputs[0]
    if _is_flat(layer, x):
        return _flat(layer, tensors, x, maths)
    _check_axes(x, ndim)
    group = layer.integer(7, 1) if "DepthWise" in layer.type else 1
    weight, bias = _weights(layer, tensors, inputs, ndim, DYNAMIC)
    pad = number(layer, 18, 0)
    factor = None
    if layer.integer(8, 0):
        if layer.integer(8, 0) not in TERMS:
            raise NoDefinitionError(f"quantisation {layer.integer(8, 0)}")
        x, weight, factor = _in_int8(layer, tensors, inputs, weight, group)
        pad = float(int(pad))
    elif tensors.int8 or 0 in inputs.int8:
        raise NoDefinitionError("int8 without its scales")
    axes = sliding.windows(layer, ndim)
    pads = sliding.borders(axes, x.shape[1:], weight.shape[2:])
    if any(sum(both) for both in pads):
        x = np.pad(x, [(0, 0), *pads], constant_values=pad)
    y = sliding.correlate(x, weight, axes, group, maths)
    if factor is not None:
        y *= column(factor, y)
    if bias is not None:
        y += column(bias, y)
    y = activated(fused(layer), y, maths)
    if layer.integer(8, 0) > REQUANTISED:
        return to_int8(y * tensors["output_scale"][0])
    return y


def _is_flat(layer: Layer, x: Array) -> bool:
    """Whether ncnn takes the layer for an InnerProduct."""
    one = layer.integer(1, 0) == 1 == layer.integer(11, 1)
    return layer.type == "Convolution" and x.ndim == 1 and one and not layer.integer(8, 0)


def _flat(layer: Layer, tensors: Tensors, x: Array, maths: Arithmetic) -> Array:
    y = maths.matmul(x[None], tensors["weight"].reshape(-1, x.size).T)[0]
    if len(y) != layer.integer(0, 0):
        raise NoDefinitionError(f"{tensors['weight'].shape} weights for {x.shape}")
    y = y + tensors["bias"] if layer.integer(5, 0) else y
    return activated(fused(layer), y, maths)


def _in_int8(
    layer: Layer, tensors: Tensors, inputs: Inputs, weight: Array, group: int
) -> tuple[Array, Array, Array]:
    """Return input and weight in eight bits, and what the sums are multiplied by."""
    scale = tensors["weight_scale"]
    if "DepthWise" in layer.type:
        scale = np.repeat(np.broadcast_to(scale, group), len(weight) // group)
    input_scale = tensors["input_scale"][0]
    weight = quantised_weight(weight, scale, tensors)
    x = inputs[0] if 0 in inputs.int8 else to_int8(inputs[0] * input_scale)
    return x, weight, inverse(input_scale * scale)


def _check_axes(x: Array, ndim: int) -> None:
    if x.ndim != ndim + 1:
        raise NoDefinitionError(f"{x.shape} has not {ndim + 1} axes")


def _weights(
    layer: Layer, tensors: Tensors, inputs: Inputs, ndim: int, dynamic: int
) -> tuple[Array, Array | None]:
    """Return kernel and bias, which a dynamic layer takes from blobs."""
    biased = layer.integer(5, 0)
    if not layer.integer(dynamic, 0):
        if len(inputs) != 1:
            raise NoDefinitionError(f"{len(inputs)} inputs")
        return tensors["weight"], tensors["bias"] if biased else None
    weight = inputs[1]
    if weight.ndim != ndim + 2:
        raise NoDefinitionError(f"a kernel of {weight.shape}")
    return weight, inputs[2].reshape(-1) if biased else None


def _deconvolution(
    layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic, *, ndim: int
) -> Array:
    x = inputs[0]
    _check_axes(x, ndim)
    group = layer.integer(7, 1) if "DepthWise" in layer.type else 1
    weight, bias = _weights(layer, tensors, inputs, ndim, DYNAMIC_TRANSPOSED)
    if layer.integer(DYNAMIC_TRANSPOSED, 0):
        # The blob has inputs before outputs.
        grouped = weight.reshape(group, -1, *weight.shape[1:]).swapaxes(1, 2)
        weight = grouped.reshape(-1, *grouped.shape[2:])
    axes = sliding.windows(layer, ndim)
    added = _output_pads(layer, ndim)
    size = [
        (n - 1) * axis.stride + axis.extent(k) + extra
        for n, axis, k, extra in zip(x.shape[1:], axes, weight.shape[2:], added, strict=True)
    ]
    y = sliding.scatter(x, weight, axes, group, maths, size)
    if bias is not None:
        y += column(bias, y)
    y = activated(fused(layer), y, maths)
    cuts = _cuts(layer, axes, y.shape[1:])
    if any(sum(both) >= n for both, n in zip(cuts, y.shape[1:], strict=True)):
        raise NoDefinitionError(f"nothing is left of {y.shape} behind {cuts}")
    kept = [slice(before, n - after) for (before, after), n in zip(cuts, y.shape[1:], strict=True)]
    return y[(slice(None), *kept)]


def _output_pads(layer: Layer, ndim: int) -> list[int]:
    right = layer.integer(18, 0)
    pads = [layer.integer(20, right), layer.integer(19, right), right] if ndim > 1 else [right]
    return pads[-ndim:]


def _cuts(layer: Layer, axes: list[sliding.Window], extents: tuple[int, ...]) -> list[sliding.Pads]:
    """Return how much is cut off before and after each axis."""
    given = [pad for axis in axes for pad in (axis.before, axis.after)]
    if any(pad > 0 for pad in given):
        if min(given) < 0:
            raise NoDefinitionError(f"padding of {given}")
        return [(axis.before, axis.after) for axis in axes]
    width_key = 25 if len(axes) > 2 else 20
    width = layer.integer(width_key, 0)
    wanted = [layer.integer(width_key + 2, width), layer.integer(width_key + 1, width), width]
    wanted = wanted[-len(axes) :]
    if min(wanted) <= 0:
        return [(0, 0) for _ in axes]
    mode = next((m for m in (sliding.SAME_UPPER, sliding.SAME_LOWER) if m in given), None)
    totals = [n - size for n, size in zip(extents, wanted, strict=True)]
    if mode is None or min(totals) < 0:
        raise NoDefinitionError(f"an output of {wanted} from {extents}")
    return [sliding.halves(total, mode) for total in totals]


def _deformable(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    x, offsets = inputs[:2]
    weight, axes = tensors["weight"], sliding.windows(layer, 2)
    kernel = weight.shape[2:]
    taps = list(np.ndindex(*kernel))
    sampler = Sampler(x, ZEROS, corners=True)
    sides = zip(x.shape[1:], axes, kernel, strict=True)
    places = [(n + a.before + a.after - a.extent(k)) // a.stride + 1 for n, a, k in sides]
    shapes = [(2 * len(taps), *places), (len(taps), *places)]
    if [blob.shape for blob in inputs[1:]] != shapes[: len(inputs) - 1]:
        raise NoDefinitionError(f"offsets of {offsets.shape} for {places} places")
    starts = [
        np.arange(n) * axis.stride - axis.before for n, axis in zip(places, axes, strict=True)
    ]
    rows, columns = np.meshgrid(*starts, indexing="ij")
    samples = []
    for tap, (row, place) in enumerate(taps):
        # Offsets come in pairs: down, then right.
        down, right = offsets[2 * tap], offsets[2 * tap + 1]
        where = [rows + row * axes[0].dilation + down, columns + place * axes[1].dilation + right]
        sample = sampler.bilinear(where)
        samples.append(sample * inputs[2][tap] if len(inputs) > MASK else sample)
    patches = np.stack(samples, axis=1).reshape(-1, int(np.prod(places)))
    y = maths.matmul(weight.reshape(len(weight), -1), patches).reshape(-1, *places)
    if layer.integer(5, 0):
        y = y + column(tensors["bias"], y)
    return activated(fused(layer), y, maths)


_FLAT = (0, 1, 2, 3, 4, 5, 6, 9, 10, 15, 18)
_PLANE = (*_FLAT, 11, 12, 13, 14, 16)
_SPACE = (*_PLANE, 17, 21, 22, 23, 24)
_KEYS = {1: _FLAT, 2: _PLANE, 3: _SPACE}
_OUTPUT = {1: (20,), 2: (19, 20, 21), 3: (19, 20, 25, 26, 27)}
_SUFFIX = {1: "1D", 2: "", 3: "3D"}


def _family() -> dict[str, Definition]:
    family = {}
    for ndim, suffix in _SUFFIX.items():
        forward, backward = partial(_convolution, ndim=ndim), partial(_deconvolution, ndim=ndim)
        dynamic = ndim < 3
        keys = (*_KEYS[ndim], *([DYNAMIC] if dynamic else []), *([8] if ndim == 2 else []))
        out = (*_KEYS[ndim], *_OUTPUT[ndim], *([DYNAMIC_TRANSPOSED] if dynamic else []))
        int8 = ndim == 2
        family[f"Convolution{suffix}"] = define(forward, *keys, int8=int8)
        family[f"ConvolutionDepthWise{suffix}"] = define(forward, *keys, 7, int8=int8)
        family[f"Deconvolution{suffix}"] = define(backward, *out)
        family[f"DeconvolutionDepthWise{suffix}"] = define(backward, *out, 7)
    return family


DEFINITIONS: dict[str, Definition] = {
    **_family(),
    "DeformableConv2D": define(_deformable, *_PLANE[:10], *_PLANE[11:]),
}
