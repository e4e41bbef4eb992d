"""Which point of an interval to test next."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

CACHED_SHARE = 0.9
"""A point that is already built is taken if its score reaches this share of the best score."""


def choose(
    before: int,
    after: int,
    *,
    blocked: Sequence[int],
    cached: Collection[int],
    weights: Sequence[float] = (),
) -> int:
    """Return the point strictly between `before` and `after` that is best tested next.

    The score of a point is what a verdict there is worth times the chance to get one:

    - worth: 4·x·(1 - x), x being the share of the interval on one side (the quadratic entropy of
      the split; 1 in the middle, and where nothing is blocked the middle is taken). With weights,
      it is the share of what may have made the change;
    - chance: d / (d + s), where d is the distance to the nearest blocked point and s the span
      from the first to the last blocked point of the interval. Revisions that cannot be tested
      come in blocks of unknown size, and this is the chance that a block of which s points are
      known ends within d more, if no size is more likely than another on a logarithmic scale.
      So the distance jumped grows with every further failure, where a walk along the block would
      visit all of it, and the same history gives the same steps, where `git bisect` (`skip_away`
      in its bisect.c) jumps pseudo-randomly. Between two blocked points a verdict needs a hole in
      the block, and each of the m blocked points known speaks against holes: the chance is
      divided by m². (Tried on simulated histories: with m⁰ and m¹ a search spends its time inside
      a block before it has found the edges; m² costs little where blocked points are scattered.)

    A point in `cached` costs no build. It replaces the best one if its score is at least
    `CACHED_SHARE` of it: then at most two thirds of the interval remain. The number of points to
    be built never grows by that beyond the ceil(log2(width)) of plain bisection; of k cached
    points taken, at most ceil(k / 2) are steps more than plain bisection would need.

    Args:
        before: the point known on the left, itself no candidate.
        after: the point known on the right, itself no candidate.
        blocked: points between the two that cannot be tested, in ascending order.
        cached: points that are already built, anywhere.
        weights: how likely each point of the history made the change, in any unit; empty if all
            are equally likely.

    Raises:
        ValueError: every point between the two is blocked.
    """
    known = set(blocked)
    width = after - before
    sums = list(accumulate(weights[before + 1 : after + 1])) if weights else []
    if not sums or not sums[-1]:
        sums = list(range(1, width + 1))
    scores = {
        before + 1 + place: _worth(mass / sums[-1]) * _chance(before + 1 + place, blocked)
        for place, mass in enumerate(sums[:-1])
        if before + 1 + place not in known
    }
    best = max(scores.values())
    built = [p for p in scores if p in cached and scores[p] >= CACHED_SHARE * best]
    # Of equals the first: the choice must not depend on anything but the arguments.
    return max(built or scores, key=scores.__getitem__)


def _worth(share: float) -> float:
    return 4 * share * (1 - share)


def _chance(point: int, blocked: Sequence[int]) -> float:
    if not blocked:
        return 1.0
    place = bisect_left(blocked, point)
    distance = min(abs(point - near) for near in blocked[max(place - 1, 0) : place + 1])
    chance = distance / (distance + blocked[-1] - blocked[0] + 1)
    return chance if place in (0, len(blocked)) else chance / len(blocked) ** 2
