"""The mechanism behind a layer's error: named only when a prediction proves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from harness.analysis.mechanisms.hypotheses import about_computation
from harness.analysis.mechanisms.model_files import about_file
from harness.analysis.mechanisms.proof import (
    GAIN,
    MIN_FILE_BITS,
    Question,
    Trial,
    mostly,
    pairs,
    proved,
    singles,
)
from harness.domain.base import MessageValue
from harness.domain.formatting import number

if TYPE_CHECKING:
    from harness.analysis.mechanisms.layer_run import LayerRun
    from harness.analysis.mechanisms.prediction import Hypothesis

UNEXPLAINED = "unexplained"
MOST_NAMED = 4
"""Explanations that are equally good up to which all are named; more say nothing."""

Side = Literal["ncnn", "model"]


class HypothesisTrial(MessageValue):
    """One hypothesis, or two together, and how much of the error is left."""

    hypothesis: str
    residual: float | None
    """Scale-relative error that is left; None where the hypothesis does not apply."""
    bits: float = 0.0
    """Bits of the error that it accounts for, less 24 for each number that was fitted."""


class Explanation(MessageValue):
    """Why a layer's output differs, or that nobody knows."""

    mechanism: str
    """What was proved: a hypothesis, two that are both needed (`and`), or those that cannot be
    told apart here (`or`); or `unexplained`."""
    side: Side
    """`ncnn` (it computes something else than it defines), `model` (the .param or .bin says
    something else than the ONNX graph)."""
    error: float
    """Scale-relative error before."""
    residual: float
    """Scale-relative error that is left under the mechanism."""
    noise: float
    """What honest fp32 arithmetic costs here."""
    at_noise_floor: bool
    inputs: int = 1
    """Inputs on which it was tested."""
    note: str = ""
    tried: tuple[HypothesisTrial, ...] = ()
    """All hypotheses, the best first."""
    further: tuple[Explanation, ...] = ()
    """What else is wrong with the layer: what ncnn does to files that are wrong as well."""

    @property
    def explained(self) -> bool:
        """Whether a mechanism was proved."""
        return self.mechanism != UNEXPLAINED

    @property
    def each(self) -> tuple[Explanation, ...]:
        """This and all that is wrong besides."""
        return (self, *self.further)

    @property
    def words(self) -> str:
        """All mechanisms, whose they are where there are several."""
        if not self.further:
            return self.mechanism
        whose = {"model": "in the model's files", "ncnn": "in ncnn"}
        return "; ".join(f"{whose[each.side]}: {each.mechanism}" for each in self.each)


@dataclass(frozen=True)
class Examined:
    """An explanation, and the hypotheses behind it, to be tested on other inputs."""

    explanation: Explanation
    found: tuple[tuple[Hypothesis, ...], ...] = ()
    """Sets of hypotheses; where there are several they cannot be told apart."""
    further: tuple[Examined, ...] = ()

    @property
    def complete(self) -> Explanation:
        """The explanation with all that is wrong besides."""
        return self.explanation.model_copy(
            update={"further": tuple(each.complete for each in self.further)}
        )

    def on(self, case: LayerRun, *, floors: float, limit: float) -> Examined:
        """Return what is left of an explanation, tested on another input of the same layer.

        An explanation that this input refutes is withdrawn; of several that could not be told
        apart, those remain that hold.

        Args:
            case: the layer on another input.
            floors: how many times the noise floor counts as reaching it.
            limit: scale-relative error that may be left where it is a tenth of the error or less.
        """
        further = tuple(each.on(case, floors=floors, limit=limit) for each in self.further)
        if not self.found:
            return replace(self, further=further)
        question = _question(case, self.explanation.side, floors)
        allowed = max(question.floor, min(limit, question.error / GAIN))
        trials = [question.test(steps) for steps in self.found]
        held = [
            trial
            for trial in trials
            if trial.residual is None or trial.residual <= allowed or question.nearly(trial)
        ]
        return replace(self, explanation=self._after(held, question), further=further).only(held)

    def only(self, held: list[Trial]) -> Examined:
        """Return this with those hypotheses that held."""
        return replace(self, found=tuple(trial.steps for trial in held))

    def _after(self, held: list[Trial], question: Question) -> Explanation:
        before = self.explanation
        if not held:
            return before.model_copy(
                update={
                    "mechanism": UNEXPLAINED,
                    "residual": before.error,
                    "at_noise_floor": False,
                    "inputs": before.inputs + 1,
                    "note": f"on another input it is not: {before.mechanism}",
                }
            )
        if all(trial.residual is None for trial in held):
            return before
        left = max(trial.residual or 0.0 for trial in held)
        return before.model_copy(
            update={
                "mechanism": _either(held),
                "error": max(before.error, question.error),
                "residual": max(before.residual, left),
                "at_noise_floor": before.at_noise_floor and left <= question.floor,
                "inputs": before.inputs + 1,
            }
        )


def explain(case: LayerRun, *, floors: float, limit: float) -> Examined:
    """Find the mechanism of a layer's error.

    First it is decided whose error it is: if ncnn's own definition of the layer, with the weights
    of the file, misses the reference, the model's files are wrong; and if ncnn misses what its own
    files define, its arithmetic is. Both may be.

    Args:
        case: the layer alone.
        floors: how many times the noise floor counts as reaching it.
        limit: scale-relative error from which on the model's files, or ncnn besides, are suspected.
    """
    suspicious = max(limit, floors * case.noise)
    if not case.has_formula or case.error(case.exact, case.expected) <= suspicious:
        return _examined(_question(case, "ncnn", floors), "ncnn")
    own = case.error(case.output, case.exact)
    found = _examined(_question(case, "model", floors), "model")
    if own > suspicious:
        return replace(found, further=(_examined(_question(case, "ncnn", floors), "ncnn"),))
    note = f"ncnn is within {number(own)} of what its own files define"
    notes = ", ".join(filter(None, (found.explanation.note, note)))
    return replace(found, explanation=found.explanation.model_copy(update={"note": notes}))


def explain_file(case: LayerRun, *, floors: float, limit: float) -> Explanation:
    """Find what in a model's files makes a layer's definition miss the reference.

    Both sides are exact, so that nothing counts as an explanation that leaves more than what
    single precision costs; and a single change has to do it.

    Args:
        case: the layer; what it gave plays no part.
        floors: how many times the noise floor may be left.
        limit: scale-relative error that may be left in any case.
    """
    question = replace(_question(case, "model", floors), limit=limit)
    trials = singles(question)
    return _explained(question, "model", trials, proved(question, trials)).explanation


def _question(case: LayerRun, side: Side, floors: float) -> Question:
    if side == "model":
        floor = floors * case.noise
        return Question(case, case.expected, floor, about_file, enough=MIN_FILE_BITS)
    return Question(case, case.output, floors * case.noise, about_computation)


def _examined(question: Question, side: Side) -> Examined:
    """Take one hypothesis that explains all; else two; else one that explains nearly all."""
    trials = singles(question)
    found = proved(question, trials) or pairs(question, trials) or mostly(question, trials)
    return _explained(question, side, trials, found)


def _explained(question: Question, side: Side, trials: list[Trial], found: list[Trial]) -> Examined:
    named = found if len(found) <= MOST_NAMED else []
    residual = max((trial.residual or 0.0 for trial in named), default=question.error)
    notes = [trial.prediction.note for trial in named if trial.prediction]
    if len(found) > MOST_NAMED:
        notes = [f"{len(found)} explanations are equally good"]
    tried = [*(trial for trial in found if len(trial.steps) > 1), *trials]
    return Examined(
        Explanation(
            mechanism=_either(named) or UNEXPLAINED,
            side=side,
            error=question.error,
            residual=residual,
            noise=question.case.noise,
            at_noise_floor=bool(named) and residual <= question.floor,
            note=", ".join(dict.fromkeys(filter(None, notes))),
            tried=tuple(
                HypothesisTrial(hypothesis=t.name, residual=t.residual, bits=t.bits) for t in tried
            ),
        ),
        tuple(trial.steps for trial in named),
    )


def _either(trials: list[Trial]) -> str:
    return " or ".join(dict.fromkeys(trial.name for trial in trials))
