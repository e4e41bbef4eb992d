"""Operators that onnx's reference evaluator gets wrong, after the text of the ONNX specification.

https://onnx.ai/onnx/operators/ has the formulas. Each was compared with ONNX Runtime.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.reference.op_run import OpRun

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    Array = NDArray[Any]

SOFTMAX_OF_AXIS = 13
"""The opset from which Softmax and its like work along one axis instead of all from it on."""


def corrections(model: onnx.ModelProto) -> list[type[OpRun]]:
    """Return what replaces operators of `onnx.reference.ReferenceEvaluator` for this model."""
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    flattening = [Softmax, LogSoftmax] if opset < SOFTMAX_OF_AXIS else []
    return [BatchNormalization, LRN, *flattening]


class BatchNormalization(OpRun):
    """Batch normalisation for inference, of any opset.

    onnx's own takes every node of opset 9 to 13 for one in training and mixes in the statistics
    of the batch (https://github.com/onnx/onnx/pull/8442).
    """

    op_domain = ""

    def _run(  # type: ignore[no-untyped-def]  # called by keyword with the node's attributes
        self, x, scale, bias, mean, variance, epsilon=None, training_mode=None, **_
    ):
        if training_mode:
            raise NotImplementedError("BatchNormalization with training_mode=1")
        axes = (-1,) + (1,) * (x.ndim - 2)
        factor = scale / np.sqrt(variance + (1e-5 if epsilon is None else epsilon))
        return ((x - mean.reshape(axes)) * factor.reshape(axes) + bias.reshape(axes),)


class LRN(OpRun):
    """Local response normalisation; onnx's own takes the batch for the channels."""

    op_domain = ""

    def _run(  # type: ignore[no-untyped-def]  # called by keyword with the node's attributes
        self, x, alpha=None, beta=None, bias=None, size=None
    ):
        before, after = (size - 1) // 2, math.ceil((size - 1) / 2)
        widths = [(0, 0), (before, after)] + [(0, 0)] * (x.ndim - 2)
        squares = np.pad(np.square(x), widths)
        total = sum(squares[:, offset : offset + x.shape[1]] for offset in range(size))
        alpha = 1e-4 if alpha is None else alpha
        beta = 0.75 if beta is None else beta
        return (x / ((1.0 if bias is None else bias) + alpha / size * total) ** beta,)


class Softmax(OpRun):
    """Softmax before opset 13, over all axes from `axis` on; onnx's own takes one axis."""

    op_domain = ""

    def _run(self, x, **_):  # type: ignore[no-untyped-def]  # called by keyword
        return (np.exp(_log_softmax(self.onnx_node, x)),)


class LogSoftmax(OpRun):
    """The logarithm of `Softmax`, before opset 13."""

    op_domain = ""

    def _run(self, x, **_):  # type: ignore[no-untyped-def]  # called by keyword
        return (_log_softmax(self.onnx_node, x),)


def _log_softmax(node: onnx.NodeProto, x: Array) -> Array:
    # The evaluator would fill in the default of the newest opset, which is another one.
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    rows = x.reshape(math.prod(x.shape[: axis % x.ndim]), -1)
    shifted = rows - rows.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(logarithms).reshape(x.shape)
