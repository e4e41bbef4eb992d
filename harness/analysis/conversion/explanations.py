"""What in a layer's own files makes it another one than the ONNX graph has there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.mechanisms.mechanism import explain_file
from harness.definition import NoDefinitionError, compute

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun

    Array = NDArray[Any]

HALF = "the .bin has the weights in half precision"
INT8 = "the .bin has int8 weights"
SLACK = 1.1
"""How much further than its input an activation moves: Swish and its like by a tenth."""


def explained(case: LayerRun, *, limit: float, floors: float) -> str:
    """Return which tensor or parameter differs, if a change of it ends the difference.

    Args:
        case: a layer on right inputs, beside the ONNX value that its output should be.
        limit: scale-relative error that may be left.
        floors: how many times the noise floor may be left, where that is more.
    """
    if _is_half(case):
        return HALF
    if _is_int8(case):
        return INT8
    found = explain_file(case, floors=floors, limit=limit)
    if found.explained and found.mechanism.startswith("epsilon"):
        return f"with {found.mechanism} it is right"
    return found.mechanism if found.explained else ""


def _is_half(case: LayerRun) -> bool:
    """Return whether weights in half precision cost as much as is missing, element by element.

    A weight w becomes w(1+e) with |e| up to 2^-10, since ncnn's tools round towards zero, so that a
    sum of products wx moves by up to 2^-10 times the sum of |wx|.
    """
    if not any(array.dtype == np.float16 for array in case.weights.values()):
        return False
    absolute = {
        name: np.abs(array.astype(np.float64)) * (array.dtype == np.float16)
        for name, array in case.weights.items()
    }
    bare = case.layer.with_param(9, 0) if case.layer.integer(9, 0) else case.layer
    try:
        (sums,) = compute(bare, absolute, [np.abs(array) for array in case.inputs])
    except NoDefinitionError:
        return False
    return _is_within(case, case.exact, np.abs(sums) * 2.0**-10)


def _is_int8(case: LayerRun) -> bool:
    """Return whether rounding to int8 moves the weights by as much as is missing.

    The layer is computed in floats, on its weights divided by their scales: each is off by at most
    half a step, so that a sum of products wx is off by at most half a step times the sum of |x|.
    (What int8 does to the inputs comes on top of it when ncnn runs.)
    """
    weight, scale = case.weights.get("weight"), case.weights.get("weight_scale")
    if weight is None or scale is None or weight.dtype != np.int8:
        return False
    steps = 1 / scale.astype(np.float64).reshape(-1, *(1,) * (weight.ndim - 1))
    plain = case.layer.with_param(8, 0)
    others = {k: v for k, v in case.weights.items() if not k.endswith("_scale")}
    halves = np.broadcast_to(steps / 2, weight.shape)
    none = {**others, "weight": halves} | ({"bias": 0 * others["bias"]} if "bias" in others else {})
    try:
        (y,) = compute(plain, {**others, "weight": weight * steps}, case.inputs)
        bare = plain.with_param(9, 0) if plain.integer(9, 0) else plain
        (most,) = compute(bare, none, [np.abs(array) for array in case.inputs])
    except NoDefinitionError:
        return False
    return _is_within(case, y, most)


def _is_within(case: LayerRun, computed: Array, most: Array) -> bool:
    rounding = case.scale * 1e-5
    return bool(np.all(np.abs(computed - case.expected) <= SLACK * most + rounding))
