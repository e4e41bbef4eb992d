"""When a hypothesis is proved, and when it is not.

It has to predict every element to within the noise floor, and to account for more bits of the
error than are free for the asking: a number fitted to the output can make one element right, and
one wrong element out of many looks like a lot of things. Two hypotheses together have to do the
same, and each of them has to be needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.mechanisms.layer_run import distance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun
    from harness.analysis.mechanisms.prediction import Hypothesis, Prediction

    Array = NDArray[Any]

GAIN = 10.0
"""What does not reach the noise floor has to bring the error down by this much."""
MOST = 0.9
"""Share of the wrong elements in which it has to reach it all the same: where numbers are rounded
after sums in another order, a few of them fall to the other side."""
CLEAR = 4.0
"""What reaches it has to do so by this much: an error beside the floor explains itself."""
MIN_BITS = 30.0
"""Bits of the error that a hypothesis has to account for: more than choosing it among a hundred,
and than a single float32 number that happens to be right."""
MIN_FILE_BITS = 12.0
"""The same of what is found in the model's files: that is there to be seen in the ONNX graph, so
that it only has to be the reason."""
BITS_PER_NUMBER = 24.0
"""What each fitted number costs."""
TIE = 1.25
"""Explanations above the floor whose residuals differ by less are equally good."""
FIRST = 4
"""Hypotheses, those that account for most, on which a second one is tested."""
HELPFUL = 0.25
"""Bits per element that a hypothesis has to account for, to be one of these."""
INF = float("inf")


@dataclass(frozen=True)
class Question:
    """What is to be explained: why a target is not what a layer's formula gives."""

    case: LayerRun
    target: Array
    floor: float
    """Scale-relative error that may be left."""
    hypotheses: Callable[[LayerRun], Iterable[Hypothesis]]
    limit: float = 0.0
    """Scale-relative error that may be left in any case."""
    enough: float = MIN_BITS
    """Bits of the error that a hypothesis has to account for."""

    @property
    def slack(self) -> float:
        """The error that may be left, absolute."""
        return self.floor * self.case.scale

    @property
    def start(self) -> Array:
        """By how much each element is off."""
        return distance(self.target, self.case.exact)

    @property
    def error(self) -> float:
        """Scale-relative error that is to be explained."""
        return float(np.max(self.start, initial=0.0)) / self.case.scale

    def bits(self, before: Array, after: Array) -> float:
        """Return how many bits of the error went away, over all elements."""
        most, least = 1e3 * self.case.scale, self.slack
        gone = np.log2((np.minimum(before, most) + least) / (np.minimum(after, most) + least))
        return float(np.sum(gone))

    def test(self, steps: tuple[Hypothesis, ...]) -> Trial:
        """Apply hypotheses, each on top of the one before."""
        layer, prediction = self.case, None
        for step in steps:
            prediction = step.predict(layer, self.slack) if layer else None
            if prediction is None:
                return Trial(steps)
            layer = prediction.changed or layer
        return self.trial(steps, prediction)

    def trial(self, steps: tuple[Hypothesis, ...], prediction: Prediction | None) -> Trial:
        """Compare a prediction with the target."""
        if prediction is None:
            return Trial(steps)
        left = distance(self.target, prediction.output)
        # Within the bounds it is as near as single precision comes.
        outside = np.where(self._inside(prediction), np.minimum(left, self.slack), left)
        wrong = outside[self.start > self.slack]
        return Trial(
            steps,
            residual=float(np.max(outside, initial=0.0)) / self.case.scale,
            share=float(np.mean(wrong <= self.slack)) if wrong.size else 1.0,
            left=left,
            bits=self.bits(self.start, left) - BITS_PER_NUMBER * sum(s.fitted for s in steps),
            prediction=prediction,
        )

    def nearly(self, trial: Trial) -> bool:
        """Return whether a trial that fits nothing explains nearly all, and the rest to a tenth."""
        return not trial.fitted and trial.order <= self.error / GAIN and trial.share >= MOST

    def _inside(self, prediction: Prediction) -> Array:
        low = np.minimum(prediction.low, prediction.high)
        high = np.maximum(prediction.low, prediction.high)
        with np.errstate(invalid="ignore"):
            return np.asarray((self.target >= low) & (self.target <= high))


@dataclass(frozen=True)
class Trial:
    """Hypotheses that were tested together, and what they leave."""

    steps: tuple[Hypothesis, ...]
    residual: float | None = None
    """Scale-relative error that is left; None where they do not apply."""
    share: float = 0.0
    """Share of the wrong elements in which the noise floor is reached."""
    left: Array | None = None
    """Error that is left in each element, absolute, without allowing for roundings."""
    bits: float = 0.0
    """What they account for, less what was fitted."""
    prediction: Prediction | None = None

    @property
    def name(self) -> str:
        """The hypotheses in words."""
        return " and ".join(step.name for step in self.steps)

    @property
    def assumed(self) -> frozenset[str]:
        """All that they assume."""
        return frozenset().union(*(step.assumed for step in self.steps))

    @property
    def fitted(self) -> int:
        """Numbers that were fitted."""
        return sum(step.fitted for step in self.steps)

    @property
    def order(self) -> float:
        """What trials are sorted by: the best first."""
        return INF if self.residual is None else self.residual


def singles(question: Question) -> list[Trial]:
    """Return each hypothesis by itself, the best first."""
    tested = [question.test((each,)) for each in question.hypotheses(question.case)]
    return sorted(tested, key=lambda trial: trial.order)


def proved(question: Question, trials: Iterable[Trial]) -> list[Trial]:
    """Return the hypotheses that explain all, none of which assumes more than another."""
    allowed = min(max(question.floor, question.limit), question.error / CLEAR)
    reached = [t for t in trials if t.order <= allowed and t.bits >= question.enough]
    best = min((trial.order for trial in reached), default=0.0)
    return simplest([t for t in reached if t.order <= max(question.floor, TIE * best)])


def simplest(trials: list[Trial]) -> list[Trial]:
    """Return those of equally good explanations that fit and assume least."""
    fewest = min((t.fitted for t in trials), default=0)
    least = [t for t in trials if t.fitted == fewest]
    return [t for t in least if not any(o.assumed < t.assumed for o in least)]


def mostly(question: Question, trials: list[Trial]) -> list[Trial]:
    """Return the hypotheses that explain nearly all elements, where nothing explains all."""
    good = [t for t in trials if question.nearly(t) and t.bits >= question.enough and not t.fitted]
    return simplest([t for t in good if t.order <= TIE * good[0].order])


def pairs(question: Question, trials: list[Trial]) -> list[Trial]:
    """Return two hypotheses that explain all, of which each is needed."""
    alone = {trial.name: trial for trial in trials}
    found: dict[frozenset[str], Trial] = {}
    for first in _helpful(question, trials):
        layer = first.prediction.changed if first.prediction else None
        if layer is None:
            continue
        (step,) = first.steps
        for second in question.hypotheses(layer):
            if step.touched & second.touched:
                continue
            both = question.trial((step, second), second.predict(layer, question.slack))
            if both.order <= question.floor and _is_needed(
                question, both, (first, alone.get(second.name))
            ):
                found.setdefault(frozenset(s.name for s in both.steps), both)
    return proved(question, found.values())


def _helpful(question: Question, trials: list[Trial]) -> list[Trial]:
    enough = HELPFUL * question.target.size
    better = [t for t in trials if t.bits >= max(enough, question.enough) and not t.fitted]
    return sorted(better, key=lambda trial: -trial.bits)[:FIRST]


def _is_needed(question: Question, both: Trial, alone: tuple[Trial | None, ...]) -> bool:
    """Return whether each of two accounts for enough of what the other leaves."""
    assert both.left is not None
    for other, without in zip(reversed(both.steps), alone, strict=True):
        before = question.start if without is None or without.left is None else without.left
        gone = question.bits(before, both.left) - BITS_PER_NUMBER * other.fitted
        if gone < question.enough:
            return False
    return True
