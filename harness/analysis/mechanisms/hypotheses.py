"""What may have gone wrong in a layer: each hypothesis predicts an output from the formula.

A hypothesis is tested, never assumed: its prediction is compared with what ncnn gave, and only a
prediction that removes the error makes it a mechanism (see `proof.py`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.mechanisms import narrow_formats as numbers
from harness.analysis.mechanisms.broken_outputs import (
    MIN_ROWS,
    factors,
    saturation,
    tails,
    without_content,
)
from harness.analysis.mechanisms.estimates import EPSILON_KEYS, estimates, results_of
from harness.analysis.mechanisms.prediction import Hypothesis, assuming
from harness.definition.arithmetic import EXACT, matmul_in_fp16
from harness.domain.formatting import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun
    from harness.analysis.mechanisms.prediction import Prediction

    Array = NDArray[Any]

EPSILONS = (0.0, 1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
VARIANCES = ("LayerNorm", "InstanceNorm", "GroupNorm")
"""Types that divide by the root of a variance which they work out."""
FUSING = ("Convolution", "Deconvolution", "DeformableConv", "InnerProduct")
"""How the types begin whose parameter 9 is an activation."""
MAX_HALF_PRODUCTS = 30_000_000
"""Products of a matrix multiplication up to which half-precision sums are simulated."""

_FORMATS: tuple[numbers.Format, ...] = ("fp16", "bf16")
_APPROXIMATE: dict[str, tuple[tuple[str, Callable[[Array], Array]], ...]] = {
    "exp": (("exp by the exponent trick (Schraudolph)", numbers.exp_schraudolph),),
    "tanh": (("tanh by a continued fraction of three terms", numbers.tanh_rational),),
    "erf": (
        ("erf by tanh (fast GELU)", numbers.erf_by_tanh),
        ("erf by a polynomial (Abramowitz and Stegun 7.1.26)", numbers.erf_polynomial),
    ),
}


def about_computation(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield what ncnn may have computed differently from its own definition of the layer."""
    empty = list(without_content(case))
    if empty:
        # It says nothing of how the layer would have computed.
        yield from empty
        return
    yield from _storage(case)
    if case.has_formula:
        yield from _left_out(case)
        if results_of(case, "rsqrt") >= MIN_ROWS:
            # One or two numbers are off like that by chance.
            yield from epsilons(case)
            yield from _statistics(case)
        yield from _functions(case)
        yield from estimates(case)
        yield from _half_sums(case)
    yield from factors(case)
    yield from saturation(case)
    yield from tails(case)


def _storage(case: LayerRun) -> Iterator[Hypothesis]:
    """Weights, inputs and outputs kept in a narrow format: every combination."""
    parts = ["outputs"]
    if case.has_formula:
        parts = [*(["weights"] if case.stored else []), "inputs", *parts]
    for kind in _FORMATS:
        for truncated in (False, True):
            words = f"{kind}, towards zero" if truncated else kind
            for count in range(1, len(parts) + 1):
                for chosen in combinations(parts, count):
                    yield Hypothesis(
                        f"{listed(chosen)} rounded to {words}",
                        partial(_stored, chosen, kind, truncated),
                        frozenset(f"{part} in {words}" for part in chosen),
                        frozenset(chosen),
                    )


def _stored(
    parts: tuple[str, ...], kind: numbers.Format, truncated: bool, case: LayerRun
) -> LayerRun:
    def narrow(x: Array) -> Array:
        return numbers.rounded(x.astype(np.float64), kind, truncated=truncated)

    weights, inputs = dict(case.weights), list(case.inputs)
    if "weights" in parts:
        weights |= {name: narrow(weights[name]) for name in case.stored}
    if "inputs" in parts:
        inputs = [narrow(x) for x in inputs]
    changed = replace(case, weights=weights, inputs=inputs)
    return changed.then(narrow) if "outputs" in parts else changed


def _left_out(case: LayerRun) -> Iterator[Hypothesis]:
    """A bias or a fused activation that was not applied, or weights read transposed."""
    biases = [name for name in case.weights if "bias" in name or name in ("C", "beta")]
    if biases:
        zeros = {name: np.zeros_like(case.weights[name]) for name in biases}
        yield assuming("bias left out", partial(with_weights, zeros), "bias")
    if case.layer.type.startswith(FUSING) and case.layer.integer(9, 0):
        yield assuming("activation left out", partial(with_param, 9, 0), "activation")
    for name in case.stored:
        turned = transposed(case.weights[name])
        if turned is not None:
            change = partial(with_weights, {name: turned})
            yield assuming(f"{name} read transposed", change, "weights")


def with_weights(arrays: dict[str, Array], case: LayerRun) -> LayerRun:
    """Return a layer with some tensors replaced."""
    return replace(case, weights={**case.weights, **arrays})


def with_param(key: int, value: float, case: LayerRun) -> LayerRun:
    """Return a layer with a parameter changed."""
    return replace(case, layer=case.layer.with_param(key, value))


def transposed(array: Array) -> Array | None:
    """Return a tensor whose elements stand in the order of its transpose, in the same shape."""
    rows = array.reshape(array.shape[0], -1)
    if 1 in rows.shape:
        return None
    return np.ascontiguousarray(rows.reshape(rows.shape[::-1]).T).reshape(array.shape)


def epsilons(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield other values of a normalisation's epsilon."""
    key = EPSILON_KEYS.get(case.layer.type)
    for value in EPSILONS if key is not None else ():
        yield assuming(f"epsilon {value:g}", partial(with_param, key or 0, value), "rsqrt")


def _statistics(case: LayerRun) -> Iterator[Hypothesis]:
    """The mean and variance of a normalisation taken differently."""
    if "mean" not in case.functions:
        return
    for kind in _FORMATS:
        change = partial(_narrow_means, kind)
        yield assuming(f"statistics in {kind}", change, "rsqrt")
    if case.layer.type in VARIANCES:
        yield assuming("variance over N-1", _unbiased, "rsqrt")


def _narrow_means(kind: numbers.Format, case: LayerRun) -> LayerRun:
    mean = case.arithmetic.mean
    return case.with_function("mean", lambda rows: numbers.rounded(mean(rows), kind))


def _unbiased(case: LayerRun) -> LayerRun:
    """Return a layer whose second mean, the variance, is over one element less."""
    mean, calls = case.arithmetic.mean, 0

    def second(rows: Array) -> Array:
        nonlocal calls
        calls += 1
        size = rows.shape[1]
        return mean(rows) * (size / (size - 1) if calls % 2 == 0 and size > 1 else 1)

    return case.with_function("mean", second)


def _functions(case: LayerRun) -> Iterator[Hypothesis]:
    """Elementary functions replaced by approximations."""
    for function, choices in _APPROXIMATE.items():
        if function in case.functions:
            for name, replacement in choices:
                yield assuming(name, partial(_replaced, function, replacement), function)


def _replaced(function: str, replacement: Callable[[Array], Array], case: LayerRun) -> LayerRun:
    return case.with_function(function, replacement)


def _half_sums(case: LayerRun) -> Iterator[Hypothesis]:
    """Sums in half precision, on operands in half precision, in the orders vector code uses."""
    if "matmul" not in case.functions:
        return
    parts = frozenset({"weights", "inputs", "outputs"})
    for lanes in (1, 4, 8):
        name = f"fp16 accumulation in {lanes} partial sums"
        yield Hypothesis(
            name,
            partial(_summed, lanes),
            frozenset({name, *(f"{part} in fp16" for part in parts)}),
            parts | {"matmul"},
        )


def _summed(lanes: int, case: LayerRun) -> LayerRun | Prediction | None:
    depth = max((w[0].size for w in case.weights.values()), default=case.inputs[0].size)
    if case.output.size * depth > MAX_HALF_PRODUCTS:
        return None
    changed = _stored(("weights", "inputs", "outputs"), "fp16", False, case)
    if case.arithmetic.matmul is not EXACT.matmul:
        return None
    return changed.with_function("matmul", matmul_in_fp16(lanes))
