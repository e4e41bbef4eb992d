"""What may have gone wrong in a layer: each hypothesis predicts an output from the formula.

A hypothesis is tested, never assumed: its prediction is compared with what ncnn gave, and only a
prediction that removes the error makes it a mechanism (see `mechanism.py`).
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.mechanisms import narrow_formats as numbers
from harness.analysis.mechanisms.estimates import fitted_rows, learnt_table
from harness.analysis.mechanisms.prediction import Hypothesis, Prediction
from harness.definition.arithmetic import EXACT, Arithmetic, matmul_in_fp16
from harness.domain.formatting import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun

    Array = NDArray[Any]

EPSILON_KEYS = {"LayerNorm": 1, "RMSNorm": 1, "InstanceNorm": 1, "BatchNorm": 1, "GroupNorm": 2}
EPSILONS = (0.0, 1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
PACKS = (4, 8, 16)
"""Elements that vector code handles at once."""
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
    yield from _storage(case)
    if case.has_formula:
        yield from _left_out(case)
        yield from epsilons(case)
        yield from _functions(case)
        yield from _half_sums(case)
    yield from _saturation(case)
    yield from _tails(case)


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
                    name = f"{_list(chosen)} rounded to {words}"
                    narrow = partial(numbers.rounded, kind=kind, truncated=truncated)
                    yield Hypothesis(name, partial(_stored, case, chosen, narrow), count)


def _stored(
    case: LayerRun, parts: tuple[str, ...], narrow: Callable[[Array], Array]
) -> Prediction | None:
    weights, inputs = dict(case.weights), list(case.inputs)
    if "weights" in parts:
        weights |= {name: narrow(weights[name].astype(float)) for name in case.stored}
    if "inputs" in parts:
        inputs = [narrow(x.astype(float)) for x in inputs]
    changed = "weights" in parts or "inputs" in parts
    y = case.predict(weights=weights, inputs=inputs) if changed else case.exact
    return Prediction(narrow(y) if "outputs" in parts else y)


def _left_out(case: LayerRun) -> Iterator[Hypothesis]:
    """A bias or a fused activation that was not applied, or weights read transposed."""
    biases = [name for name in case.weights if "bias" in name or name in ("C", "beta")]
    if biases:
        zeros = {name: np.zeros_like(case.weights[name]) for name in biases}
        weights = {**case.weights, **zeros}
        yield Hypothesis("bias left out", partial(predicted, case, weights=weights))
    if case.layer.integer(9, 0) and case.layer.type != "Gemm":
        bare = case.layer.with_param(9, 0)
        yield Hypothesis("activation left out", partial(predicted, case, layer=bare))
    for name in case.stored:
        turned = transposed(case.weights[name])
        if turned is not None:
            yield Hypothesis(f"{name} read transposed", with_weight(case, name, turned))


def with_weight(case: LayerRun, name: str, array: Array) -> Callable[[], Prediction | None]:
    """Return the prediction with one tensor replaced."""
    return partial(predicted, case, weights={**case.weights, name: array})


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
        changed = case.layer.with_param(key or 0, value)
        yield Hypothesis(f"epsilon {value:g}", partial(predicted, case, layer=changed))


def _functions(case: LayerRun) -> Iterator[Hypothesis]:
    """Elementary functions replaced by approximations, and estimates that CPUs offer."""
    for function, choices in _APPROXIMATE.items():
        if function in case.functions:
            for name, replacement in choices:
                maths = EXACT.replaced(function, replacement)
                yield Hypothesis(name, partial(predicted, case, arithmetic=maths))
    for function, words in (("reciprocal", "reciprocal"), ("rsqrt", "reciprocal square root")):
        if function in case.functions:
            name = f"{words} by the CPU's estimate"
            yield Hypothesis(name, partial(fitted_rows, case, function), 2)
            yield Hypothesis(
                f"{name}, element by element", partial(learnt_table, case, function), 3
            )


def _half_sums(case: LayerRun) -> Iterator[Hypothesis]:
    """Sums in half precision, on operands in half precision, in the orders vector code uses."""
    if "matmul" not in case.functions:
        return
    weights = {
        n: numbers.rounded(w.astype(float), "fp16") if n in case.stored else w
        for n, w in case.weights.items()
    }
    inputs = [numbers.rounded(x.astype(float), "fp16") for x in case.inputs]
    for lanes in (1, 4, 8):
        maths = EXACT.replaced("matmul", matmul_in_fp16(lanes))
        predict = partial(_summed, case, weights, inputs, maths)
        yield Hypothesis(f"fp16 accumulation in {lanes} partial sums", predict, 4)


def _summed(
    case: LayerRun, weights: Mapping[str, Array], inputs: Sequence[Array], maths: Arithmetic
) -> Prediction | None:
    depth = max((w[0].size for w in case.weights.values()), default=case.inputs[0].size)
    if case.output.size * depth > MAX_HALF_PRODUCTS:
        return None
    y = case.predict(weights=weights, inputs=inputs, arithmetic=maths)
    return Prediction(numbers.rounded(y, "fp16"))


def _saturation(case: LayerRun) -> Iterator[Hypothesis]:
    finite = case.output[np.isfinite(case.output)]
    bound = float(np.abs(finite).max(initial=0))
    for limit in dict.fromkeys((numbers.FP16_MAX, bound)):
        if 0 < limit < np.abs(case.exact).max(initial=0) * 0.999:
            name = f"saturation at {limit:g}"
            yield Hypothesis(name, partial(_clipped, case, limit), 2)


def _clipped(case: LayerRun, limit: float) -> Prediction:
    return Prediction(np.clip(case.exact, -limit, limit))


def _tails(case: LayerRun) -> Iterator[Hypothesis]:
    """The last elements of an axis, fewer than vector code handles at once, not computed."""
    axes = [(f"axis {axis}", axis) for axis in range(case.output.ndim)]
    for pack in PACKS:
        for words, axis in axes:
            extent = case.output.shape[axis]
            done = extent // pack * pack
            if 0 < done < extent:
                name = f"the last {extent - done} of {extent} along {words} not computed"
                yield Hypothesis(name, partial(_before, case, axis, done), 2)


def _before(case: LayerRun, axis: int, done: int) -> Prediction:
    tail = np.zeros(case.output.shape, bool)
    tail[(slice(None),) * axis + (slice(done, None),)] = True
    wrong = case.error(case.output[tail], case.exact[tail])
    return Prediction(case.exact, ~tail, f"error {number(wrong)} in the tail")


def predicted(case: LayerRun, **changes: Any) -> Prediction | None:
    """Return the formula's output with something changed, if its shape is still right."""
    y = case.predict(**changes)
    return Prediction(y) if y.shape == case.output.shape else None


def _list(words: tuple[str, ...]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
