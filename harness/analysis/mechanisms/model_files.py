"""What may be wrong in the model's files: the `.param` or `.bin` says something else than ONNX."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.mechanisms import narrow_formats as numbers
from harness.analysis.mechanisms.hypotheses import epsilons, transposed, with_param, with_weights
from harness.analysis.mechanisms.prediction import Hypothesis, assuming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun

    Array = NDArray[Any]

FEW = 0.1
"""Part of a tensor's elements up to which those are counted that differ."""
OTHER = "in the .bin is not"
"""What is said of a tensor that has nothing to do with the one that would be right."""
BIAS_KEYS = {"InnerProduct": 1, "Convolution": 5, "ConvolutionDepthWise": 5}


def about_file(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield changes of the files that may make the layer what the ONNX graph has there."""
    yield from _tensors(case)
    yield from _biases(case)
    yield from epsilons(case)
    yield from _choices(case)
    if case.layer.type in BIAS_KEYS:
        yield from _activations(case)


def _tensors(case: LayerRun) -> Iterator[Hypothesis]:
    for name, array in case.weights.items():
        turned = transposed(array)
        if turned is not None:
            words = f"{name} stands transposed in the .bin"
            yield assuming(words, partial(with_weights, {name: turned}), name)
        for value, constant in case.initialisers.items():
            if constant.size != array.size:
                continue
            for words, candidate in _forms(constant, array.shape):
                if not np.array_equal(candidate, array):
                    title = f"{name} {_relation(array, candidate)} '{value}'{words}"
                    yield assuming(title, partial(with_weights, {name: candidate}), name)


def _forms(constant: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield a constant in the shape of a tensor: as it is, and transposed."""
    yield "", constant.reshape(shape)
    if constant.ndim == 2 and 1 not in constant.shape:
        yield " transposed", np.ascontiguousarray(constant.T).reshape(shape)


def _relation(array: Array, candidate: Array) -> str:
    """Say what a tensor has to do with the constant that would be right."""
    kinds: tuple[numbers.Format, ...] = ("fp16", "bf16")
    for kind in kinds:
        rounded = numbers.rounded(candidate.astype(float), kind)
        if np.array_equal(rounded, array.astype(float)):
            return f"in the .bin is only {kind} of"
    if array.dtype == np.float16 and _is_rounded(array, candidate):
        return "in the .bin is only fp16 of"
    others = int(np.count_nonzero(candidate != array))
    if others <= FEW * array.size:
        return f"in the .bin differs in {others} of {array.size} elements from"
    return OTHER


def _is_rounded(array: Array, candidate: Array) -> bool:
    """Whether half precision holds a tensor, rounded in whatever way."""
    ulp = np.maximum(np.abs(candidate) * 2.0**-10, 2.0**-24)
    return bool(np.all(np.abs(array.astype(np.float64) - candidate) <= ulp))


CHOICES = {
    "BinaryOp": (0, 12, "the operation"),
    "UnaryOp": (0, 20, "the operation"),
    "Reduction": (0, 11, "the operation"),
    "Permute": (0, 24, "the order"),
    "Softmax": (0, 4, "the axis"),
    "Concat": (0, 4, "the axis"),
    "Pooling": (0, 2, "the kind"),
}
"""A parameter that chooses among few: its key, how many there are, and what it chooses."""


def _choices(case: LayerRun) -> Iterator[Hypothesis]:
    key, count, words = CHOICES.get(case.layer.type, (0, 0, ""))
    present = case.layer.integer(key, 0) if count else 0
    for value in range(count):
        if value != present:
            name = f"{words} is {key}={present}, where {key}={value} would be right"
            yield assuming(name, partial(with_param, key, value), "choice")


def _biases(case: LayerRun) -> Iterator[Hypothesis]:
    key = BIAS_KEYS.get(case.layer.type)
    if key is None or "bias" in case.weights:
        return
    for value, constant in case.initialisers.items():
        if constant.size == case.layer.integer(0, 0):
            change = partial(_with_bias, key, constant.ravel())
            yield assuming(f"the bias '{value}' is missing in the .bin", change, "bias")


def _with_bias(key: int, bias: Array, case: LayerRun) -> LayerRun:
    return with_weights({"bias": bias}, with_param(key, 1, case))


def _activations(case: LayerRun) -> Iterator[Hypothesis]:
    present = case.layer.integer(9, 0)
    name = "an activation too much (9=)" if present else "a ReLU is missing (9=1)"
    yield assuming(name, partial(with_param, 9, 0 if present else 1), "activation")
