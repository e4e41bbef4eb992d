"""The mechanism behind a layer's error: named only when a prediction proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.analysis.mechanisms.hypotheses import about_computation
from harness.analysis.mechanisms.model_files import about_file
from harness.definition import NoDefinitionError
from harness.domain.base import MessageValue
from harness.domain.formatting import number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun
    from harness.analysis.mechanisms.prediction import Hypothesis

    Array = NDArray[Any]

UNEXPLAINED = "unexplained"
GAIN = 10.0
"""A mechanism has to bring the error down by this much if it does not reach the noise floor."""
INF = float("inf")
TIE = 1.25
"""Explanations whose residuals differ by less are equally good: the simpler one is named."""


class HypothesisTrial(MessageValue):
    """One hypothesis and how much of the error it leaves."""

    hypothesis: str
    residual: float | None
    """Scale-relative error that is left; None where the hypothesis does not apply."""
    covered: int
    """Elements that it says anything about."""
    note: str = ""


class Explanation(MessageValue):
    """Why a layer's output differs, or that nobody knows."""

    mechanism: str
    """A hypothesis that was proved, or `unexplained`."""
    side: Literal["ncnn", "model"]
    """`ncnn` (it computes something else than it defines), `model` (the .param or .bin says
    something else than the ONNX graph)."""
    error: float
    """Scale-relative error before."""
    residual: float
    """Scale-relative error that is left under the mechanism."""
    noise: float
    """What honest fp32 arithmetic costs here."""
    at_noise_floor: bool
    note: str = ""
    tried: tuple[HypothesisTrial, ...] = ()
    """All hypotheses, the best first."""

    @property
    def explained(self) -> bool:
        """Whether a mechanism was proved."""
        return self.mechanism != UNEXPLAINED

    @property
    def sentence(self) -> str:
        """The mechanism with its numbers."""
        if not self.explained:
            best = min(
                (t for t in self.tried if t.residual is not None),
                key=lambda trial: trial.residual or 0.0,
                default=None,
            )
            closest = f"; closest: {best.hypothesis}, {number(best.residual)}" if best else ""
            return f"unexplained: error {number(self.error)}, {len(self.tried)} hypotheses{closest}"
        reached = ", the noise floor" if self.at_noise_floor else ""
        note = f" ({self.note})" if self.note else ""
        return (
            f"{self.mechanism}: error {number(self.error)} → {number(self.residual)}{reached}{note}"
        )


def explain(case: LayerRun, *, floors: float, limit: float) -> Explanation:
    """Find the mechanism of a layer's error.

    First it is decided whose error it is: if ncnn's own definition of the layer, with the weights
    of the file, misses the reference, the model's files are wrong; else ncnn's arithmetic is.

    Args:
        case: the layer alone.
        floors: how many times the noise floor counts as reaching it.
        limit: scale-relative error from which on the model's files are suspected.
    """
    if case.has_formula and case.error(case.exact, case.expected) > max(limit, floors * case.noise):
        own = case.error(case.output, case.exact)
        found = _judge(case, case.exact, case.expected, about_file(case), floors)
        note = f"ncnn is within {number(own)} of what its own files define"
        notes = ", ".join(filter(None, (found.note, note)))
        return found.model_copy(update={"side": "model", "note": notes})
    return _judge(case, case.exact, case.output, about_computation(case), floors)


def explain_file(case: LayerRun, *, floors: float, limit: float) -> Explanation:
    """Find what in a model's files makes a layer's definition miss the reference.

    Both sides are exact, so that nothing counts as an explanation that leaves more than what
    single precision costs.

    Args:
        case: the layer; what it gave plays no part.
        floors: how many times the noise floor may be left.
        limit: scale-relative error that may be left in any case.
    """
    found = _judge(case, case.exact, case.expected, about_file(case), floors)
    if found.residual > max(limit, floors * case.noise):
        return found.model_copy(update={"mechanism": UNEXPLAINED, "side": "model"})
    return found.model_copy(update={"side": "model"})


def _judge(
    case: LayerRun, start: Array, target: Array, hypotheses: Iterable[Hypothesis], floors: float
) -> Explanation:
    """Test all hypotheses and take the simplest that is proved."""
    error = case.error(start, target)
    tested = [(hypothesis, _test(case, hypothesis, target)) for hypothesis in hypotheses]
    tested.sort(key=lambda pair: _order(pair[1]))
    floor = floors * case.noise
    allowed = max(error / GAIN, floor)
    proved = [
        (hypothesis, trial, trial.residual)
        for hypothesis, trial in tested
        if trial.residual is not None
        and trial.residual < INF
        and trial.residual <= min(allowed, error / 2)
    ]
    explanation = Explanation(
        mechanism=UNEXPLAINED,
        side="ncnn",
        error=error,
        residual=error,
        noise=case.noise,
        at_noise_floor=False,
        tried=tuple(trial for _, trial in tested),
    )
    if not proved:
        return explanation
    # Below the noise floor all are equally good, above it those close to the best.
    equal = max(floor, TIE * proved[0][2])
    _, best, residual = min(
        (item for item in proved if item[2] <= equal), key=lambda item: (item[0].weight, item[2])
    )
    return explanation.model_copy(
        update={
            "mechanism": best.hypothesis,
            "residual": residual,
            "at_noise_floor": residual <= floor,
            "note": best.note,
        }
    )


def _test(case: LayerRun, hypothesis: Hypothesis, target: Array) -> HypothesisTrial:
    try:
        prediction = hypothesis.predict()
    except (NoDefinitionError, KeyError, ValueError, IndexError):
        # The formula does not take the layer so changed.
        prediction = None
    if prediction is None:
        return HypothesisTrial(hypothesis=hypothesis.name, residual=None, covered=0)
    where = prediction.where if prediction.where is not None else np.ones(target.shape, bool)
    return HypothesisTrial(
        hypothesis=hypothesis.name,
        residual=case.error(prediction.output[where], target[where]),
        covered=int(where.sum()),
        note=prediction.note,
    )


def _order(trial: HypothesisTrial) -> float:
    return INF if trial.residual is None else trial.residual
