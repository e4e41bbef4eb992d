"""Layers that are products of matrices: InnerProduct, Gemm, MatMul, Einsum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.definition.activation import activated, fused
from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)
from harness.definition.parameters import integers, number
from harness.definition.quantising import dynamic, inverse, quantised_weight, to_int8

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer


_TERMS = (1, 2)
"""What InnerProduct's `int8_scale_term` may be."""
_INT8 = (1, 2, 3)
"""What Gemm's term may be for int8; there are others for weights in blocks."""


def _inner_product(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    (x,) = inputs
    weight = tensors["weight"]
    by_row = x.ndim == 2 and x.shape[1] == weight.shape[1]
    rows = x if by_row else x.reshape(1, -1)
    if rows.shape[1] != weight.shape[1]:
        raise NoDefinitionError(f"{weight.shape[1]} weights for {x.shape}")
    if layer.integer(8, 0):
        if layer.integer(8, 0) not in _TERMS:
            raise NoDefinitionError(f"quantisation {layer.integer(8, 0)}")
        scale, input_scale = tensors["weight_scale"], tensors["input_scale"][0]
        weight = quantised_weight(weight, scale, tensors)
        rows = rows if 0 in inputs.int8 else to_int8(rows * input_scale)
        y = maths.matmul(rows, weight.T) * inverse(input_scale * scale)
    elif tensors.int8 or inputs.int8:
        raise NoDefinitionError("int8 without its scales")
    else:
        y = maths.matmul(rows, weight.T)
    if layer.integer(1, 0):
        y = y + tensors["bias"]
    return activated(fused(layer), y if by_row else y[0], maths)


def _gemm(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    term = layer.integer(18, 0)
    if term not in _INT8 and (term or tensors.int8):
        raise NoDefinitionError(f"quantisation {term}")
    if layer.integer(12, 0) not in (0, 1) or layer.integer(13, 0) not in (0, 1):
        raise NoDefinitionError("outputs in packs or of another type")
    given = list(inputs)
    a = tensors["A"] if layer.integer(4, 0) else _matrix(given.pop(0))
    b = tensors["B"] if layer.integer(5, 0) else _matrix(given.pop(0))
    a = a.T if layer.integer(2, 0) else a
    b = b.T if layer.integer(3, 0) else b
    if term:
        a, a_scale = _operand(a, tensors, "A", axis=1)
        b, b_scale = _operand(b, tensors, "B", axis=None)
        y = maths.matmul(a, b) * inverse(a_scale * b_scale)
    else:
        y = maths.matmul(a, b)
    # C is multiplied by alpha too: beta is ONNX's by ONNX's alpha.
    if layer.integer(6, 0):
        kind = layer.integer(10, 0)
        if kind != -1:
            y = y + number(layer, 1, 1) * _broadcast(tensors["C"], kind, y.shape)
    elif given:
        c = given.pop(0)
        y = y + number(layer, 1, 1) * _broadcast(c, _kind(c, *y.shape), y.shape)
    if given:
        raise NoDefinitionError(f"{len(inputs)} inputs")
    y = y * number(layer, 0, 1)
    y = y.T if layer.integer(14, 0) else y
    return y[:, None, :] if layer.integer(11, 0) else y


def _operand(x: Array, tensors: Tensors, name: str, axis: int | None) -> tuple[Array, Array]:
    """Return an operand in eight bits with its scales, which follow from it if it is of floats."""
    if name in tensors.int8:
        scale = tensors[f"{name}_scale"]
        return x, scale if axis is None else scale[:, None]
    if name in tensors:
        # The naive kernel quantises it at each pass, those for CPUs take it for int8.
        raise NoDefinitionError(f"its tensor {name} is not int8")
    return dynamic(x, axis)


def _matrix(blob: Array) -> Array:
    """Return an operand as the matrix that Gemm sees: outermost axis by innermost."""
    if blob.ndim > 3 or (blob.ndim == 3 and blob.shape[1] != 1):
        raise NoDefinitionError(f"{blob.shape} is no matrix")
    return blob.reshape(blob.shape[0] if blob.ndim > 1 else 1, -1)


def _kind(c: Array, rows: int, columns: int) -> int:
    """Return how ncnn broadcasts a third operand from another layer."""
    shapes = {(1,): 0, (rows,): 1, (columns,): 4, (rows, 1): 2, (rows, columns): 3, (1, columns): 4}
    if c.shape not in shapes:
        raise NoDefinitionError(f"{c.shape} does not broadcast to {(rows, columns)}")
    # What fits in several ways: the last of ncnn's questions decides.
    return shapes[c.shape]


def _broadcast(c: Array, kind: int, shape: tuple[int, ...]) -> Array:
    rows, columns = shape
    sizes = {0: (1, 1), 1: (rows, 1), 2: (rows, 1), 3: (rows, columns), 4: (1, columns)}
    return c.reshape(sizes[kind])


def _matmul(layer: Layer, _: Tensors, inputs: Inputs, maths: Arithmetic) -> Array:
    a, b = inputs
    transposed = layer.integer(0, 0) and b.ndim > 1
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else (b.swapaxes(-1, -2) if transposed else b)
    y = maths.matmul(left, right)
    y = y[..., 0, :] if a.ndim == 1 else y
    return np.atleast_1d(y[..., 0] if b.ndim == 1 else y)


def _einsum(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    equation = "".join(chr(code) for code in integers(layer, 0) or ())
    if equation == "ii":
        (x,) = inputs
        if x.ndim != 2 or x.shape[0] != x.shape[1]:
            raise NoDefinitionError(f"the trace of {x.shape}")
        return np.array([np.trace(x)])
    left, arrow, right = equation.partition("->")
    if not arrow or set(left) - set("ijklmnopqrstuvwx,"):
        raise NoDefinitionError(f"ncnn refuses the equation {equation!r}")
    # ncnn takes the sizes of the output from i, j, k, l in this order, whatever is named.
    if not right or right != "ijkl"[: len(right)]:
        raise NoDefinitionError(f"the equation {equation!r} does not name its outputs in order")
    named = [
        pair
        for term, x in zip(left.split(","), inputs, strict=True)
        for pair in zip(term, x.shape, strict=True)
    ]
    if len(set(named)) > len(dict(named)):
        raise NoDefinitionError(f"the axes of {equation!r} differ in size")
    return np.atleast_1d(np.einsum(equation, *inputs, optimize=True))


def _embed(layer: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    words = inputs.ids(0)
    if words.ndim != 1:
        raise NoDefinitionError(f"words of shape {words.shape}")
    if layer.integer(1, 0) < 1:
        raise NoDefinitionError("no words are known")
    y = tensors["weight"][np.clip(words, 0, layer.integer(1, 0) - 1)]
    if layer.integer(18, 0):
        if "weight" not in tensors.int8:
            raise NoDefinitionError("scales of weights that are not int8")
        y = y / tensors["weight_scale"][0]
    elif tensors.int8:
        raise NoDefinitionError("int8 without its scales")
    return y + tensors["bias"] if layer.integer(2, 0) else y


def _memory_data(layer: Layer, tensors: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    if inputs:
        raise NoDefinitionError("MemoryData has no inputs")
    if not layer.integer(0, 0) or layer.integer(21, 1) not in (0, 1):
        raise NoDefinitionError("ncnn leaves its values undefined")
    return tensors["data"]


DEFINITIONS: dict[str, Definition] = {
    "InnerProduct": define(_inner_product, 0, 1, 2, 8, 9, 10, int8=True),
    "Gemm": define(_gemm, *range(15), 18, int8=True),
    "MatMul": define(_matmul, 0),
    "Einsum": define(_einsum, 0),
    "Embed": define(_embed, 0, 1, 2, 3, 18, int8=True, int32=True),
    "MemoryData": define(_memory_data, 0, 1, 2, 11, 21),
}
