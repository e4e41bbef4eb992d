"""What ncnn's layers compute, in NumPy: the truth that hypotheses about an error start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.diagnosis.arithmetic import EXACT, Arithmetic
from harness.analysis.diagnosis.formulas import linear, normal, pointwise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.param import Layer

    Array = NDArray[Any]

FORMULAS: Mapping[str, Any] = {
    **pointwise.FORMULAS,
    **linear.FORMULAS,
    **normal.FORMULAS,
}
"""Formula by layer type, as ncnn's `src/layer/<type>.cpp` defines it.

Each takes the layer, its tensors by name, its inputs (outermost axis first, no batch axis) and
the arithmetic, and returns the output.
"""


def has_formula(layer: Layer) -> bool:
    """Whether this layer's output can be computed here: fp32 weights, one output."""
    return layer.type in FORMULAS and len(layer.outputs) == 1


def compute(
    layer: Layer,
    weights: Mapping[str, Array],
    inputs: Sequence[Array],
    arithmetic: Arithmetic = EXACT,
    *,
    dtype: type[np.floating[Any]] = np.float64,
) -> Array:
    """Return the output of one layer.

    Args:
        layer: type and parameters.
        weights: its tensors, shaped as `harness.model.layouts.layout` says.
        inputs: its input blobs in ncnn's layout.
        arithmetic: how to compute.
        dtype: type of every step: float64 for the truth, float32 for what honest single
            precision makes of it.

    Raises:
        KeyError: there is no formula for this layer type, or a tensor is missing.
        ValueError: the shapes do not fit, or a parameter means something that is not covered.
    """
    tensors = {name: np.asarray(array, dtype) for name, array in weights.items()}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        result = FORMULAS[layer.type](
            layer, tensors, [np.asarray(array, dtype) for array in inputs], arithmetic
        )
    return np.asarray(result, dtype)
