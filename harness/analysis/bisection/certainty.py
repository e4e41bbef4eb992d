"""How sure it is that two points have the verdicts that their measurements suggest.

Measurements may err, and a search goes where they lead: of ten steps, one that erred once ends at
the wrong place, and its two neighbours then look like an answer. So a point's own measurements are
not enough to judge by. The model is a hidden Markov chain: a point is good or bad, from one point
to the next that changes rarely, and each measurement errs with the same unknown probability, which
is integrated over. The probability of the states of two points comes from the forward-backward
algorithm (L. R. Rabiner, "A Tutorial on Hidden Markov Models", Proceedings of the IEEE 77 (2),
1989). Bisection by such posteriors: M. Ben-Or and A. Hassidim, "The Bayesian Learner is Optimal for
Noisy Binary Search", FOCS 2008; for commits: T. A. D. Henderson et al., "Flake Aware Culprit
Finding", ICST 2023. Unlike theirs, a chain allows for changes that come and go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ERROR_RATES = (0.003, 0.02, 0.05, 0.1, 0.17, 0.25)
"""Probabilities that a measurement errs; each is held to be as likely as the others."""
NEAR_ERROR = 0.4
"""The same of measurements near the threshold: noise of any size may turn them."""

State = tuple[float, float]
"""A number for good and one for bad."""


@dataclass(frozen=True)
class Tally:
    """The measurements of one point."""

    index: int
    good: int
    bad: int
    near: bool = False


def certainty(tallies: Sequence[Tally], before: int, after: int, *, becomes_bad: bool) -> float:
    """Return the probability that one point is as it should be before a change, the other as after.

    Args:
        tallies: points in ascending order, `before` and `after` next to each other among them.
        before: index of the point before the change.
        after: index of the point after it.
        becomes_bad: whether the change is from good to bad; else from bad to good.
    """
    change = 1 / (1 + tallies[-1].index - tallies[0].index)
    old, new = (0, 1) if becomes_bad else (1, 0)
    split = next(place for place, each in enumerate(tallies) if each.index == after)
    total = sought = 0.0
    for rate in ERROR_RATES:
        left = _forward(tallies[:split], rate, change)
        right = _forward(tallies[split:][::-1], rate, change)
        same = _same(after - before, change)
        joint = [
            [left[a] * right[b] * (same if a == b else 1 - same) for b in (0, 1)] for a in (0, 1)
        ]
        total += sum(map(sum, joint))
        sought += joint[old][new]
    return sought / total if total else 0.0


def _forward(tallies: Sequence[Tally], rate: float, change: float) -> State:
    """Return how likely all measurements are with the last point good, and with it bad."""
    good = bad = 0.5
    last = tallies[0].index
    for each in tallies:
        if each.index != last:
            same = _same(abs(each.index - last), change)
            good, bad = good * same + bad * (1 - same), bad * same + good * (1 - same)
            last = each.index
        error = NEAR_ERROR if each.near else rate
        good *= (1 - error) ** each.good * error**each.bad
        bad *= (1 - error) ** each.bad * error**each.good
    return good, bad


def _same(steps: int, change: float) -> float:
    """Return the probability that two points so many steps apart are alike."""
    return float(1 + (1 - 2 * change) ** steps) / 2
