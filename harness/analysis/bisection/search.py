"""The search for the change: a pure function from a range and what was measured to the next step.

A driver loops: `next_probe` names a point, the driver measures it and records the observation,
until an `Answer` comes instead. Nothing else is kept, so a search is resumed by replaying its
observations, and observations made for another search of the same question can be added freely.

Every point of history has one place in a list, from `first` (the older end) to `last`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.bisection.answers import (
    Answer,
    AnswerKind,
    Probe,
    Purpose,
    Transition,
    TransitionChoice,
)
from harness.analysis.bisection.certainty import Tally, certainty
from harness.analysis.bisection.point_choice import choose
from harness.analysis.bisection.point_outcomes import (
    LEAD,
    MOST,
    PointOutcome,
    Standing,
    settle,
)
from harness.domain.outcomes import Outcome
from harness.util.codes import Code
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SKIP_BUDGET = 24
"""Points that cannot be tested, within what is left, after which the search gives up."""
LONG_RANGE = 1000
"""From so many steps on, a range is sampled before it is bisected."""
DEFAULT_SCAN = 7
CHECKS = 4
"""Points, evenly spaced between the answer and the last one, that are asked whether what was found
was taken back and came again."""
SURE = 0.999
"""Both sides of an answer are measured until it is so certain."""
_SLOT_TRIES = 2


@dataclass(frozen=True, kw_only=True)
class Search:
    """A question about a range, with everything that was measured so far.

    Raises:
        UsageError: the range is empty.
    """

    last: int
    first: int = 0
    find_fix: bool = False
    """Look for the first good point; `first` is the bad end then, `last` the good one."""
    target: TransitionChoice = TransitionChoice.LAST
    scan: int = 0
    """Points to sample, evenly spaced, before bisecting."""
    skip_budget: int = SKIP_BUDGET
    cached: frozenset[int] = frozenset()
    """Points that are already built, see `choose`."""
    weights: tuple[float, ...] = ()
    """How likely each point made the change, 0 for never; empty if all are equally likely."""
    outcomes: tuple[PointOutcome, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if self.first >= self.last:
            raise UsageError(
                f"the range from {self.first} to {self.last} is empty: name an older revision as "
                "the one end and a newer one as the other",
                code=Code.ENDS_ALIKE,
            )

    def record(self, *outcomes: PointOutcome) -> Search:
        """Return this search with further measurements."""
        return replace(self, outcomes=self.outcomes + outcomes)

    @property
    def expected(self) -> dict[int, Outcome]:
        """The verdicts that the two ends are said to have."""
        ends = (Outcome.BAD, Outcome.GOOD) if self.find_fix else (Outcome.GOOD, Outcome.BAD)
        return {self.first: ends[0], self.last: ends[1]}

    @cached_property
    def standings(self) -> dict[int, Standing]:
        """The standing of every point measured, in ascending order of the points."""
        seen: defaultdict[int, list[PointOutcome]] = defaultdict(list)
        for each in self.outcomes:
            if self.first <= each.index <= self.last:
                seen[each.index].append(each)
        found = {index: settle(seen[index]) for index in sorted(seen)}
        if any(each.contradicts for each in found.values()):
            # Measurements err here: no single one is to be trusted, whatever point it is of.
            found = {index: settle(seen[index], LEAD) for index in found}
        return found

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """All changes of the verdict between points tested one after the other, oldest first."""
        found: list[Transition] = []
        known: tuple[int, Outcome] | None = None
        for index, standing in self.standings.items():
            if standing.outcome is None or not standing.outcome.decides:
                continue
            if known and known[1] != standing.outcome:
                between = tuple(range(known[0] + 1, index + 1))
                found.append(Transition(known[0], index, standing.outcome, between))
            known = (index, standing.outcome)
        return tuple(found)

    @property
    def wanted(self) -> tuple[Transition, ...]:
        """The transitions to bisect, the most wanted one first."""
        asked = [each for each in self.transitions if each.becomes is self.expected[self.last]]
        if self.target is TransitionChoice.FIRST:
            return tuple(asked[:1])
        if self.target is TransitionChoice.LAST or not asked:
            return tuple(asked[-1:])
        rest = [each for each in self.transitions if each != asked[-1]]
        return (asked[-1], *reversed(rest))

    @cached_property
    def step(self) -> Probe | Answer:
        """What to measure next, or the answer; see `next_probe`."""
        return (
            _unmeasured(self)
            or _refused(self)
            or _sample(self)
            or _narrow(self)
            or _check(self)
            or _confirm(self)
            or _answer(self)
        )

    def certainty(self, transition: Transition) -> float:
        """Return the probability that both sides of a transition are as measured."""
        decided = [
            Tally(index, each.good, each.bad, each.near)
            for index, each in self.standings.items()
            if each.outcome and each.outcome.decides
        ]
        return certainty(
            decided,
            transition.before,
            transition.after,
            becomes_bad=transition.becomes is Outcome.BAD,
        )

    def blocked(self, before: int, after: int) -> list[int]:
        """Return the points strictly between two others that cannot be tested, ascending."""
        return [
            index
            for index, standing in self.standings.items()
            if before < index < after and standing.outcome and not standing.outcome.decides
        ]

    def untested(self, before: int, after: int) -> list[int]:
        """Return the points strictly between two others that were never measured, ascending."""
        return [index for index in range(before + 1, after) if index not in self.standings]

    def choose(self, before: int, after: int) -> int:
        """Return the point strictly between two others that is best tested next."""
        return choose(
            before,
            after,
            blocked=self.blocked(before, after),
            cached=self.cached,
            weights=self.weights,
        )


def default_scan(steps: int) -> int:
    """Return how many points to sample in a range of that many steps if nobody says."""
    return DEFAULT_SCAN if steps >= LONG_RANGE else 0


def next_probe(search: Search) -> Probe | Answer:
    """Return what to measure next, or the answer.

    Order: both ends; whatever must be measured again; the samples of the scan; bisection of the
    transition asked for; a few points behind it, since a change that was taken back and came again
    is explained by the later one; both of its sides until the answer is certain. Once clear
    measurements of a point contradict each other, every point is measured until its verdict leads,
    see `settle`; what stays contradictory counts as not testable.

    Without weights, blocked points, noise and scan at most 2 + ceil(log2(last - first)) + `CHECKS`
    different points are measured, those at both sides a few times; with weights fewer where the
    likely made the change, and more where the unlikely did. A block of b points that cannot be
    tested costs at most 2 + b more, and usually 2 to 6 unless the change is within it. The search
    gives up with `skip_budget` blocked points inside the interval that is left.
    """
    return search.step


def expected_steps(search: Search) -> int:
    """Return about how many probes the search will still take if every point can be tested."""
    if isinstance(search.step, Answer):
        return 0
    again = sum(each.outcome is None for each in search.standings.values())
    ends = sum(index not in search.standings for index in search.expected)
    samples = sum(1 for _ in _scan_slots(search))
    if again or ends or samples:
        length = -(-(search.last - search.first) // (search.scan + 1))
        return (
            again
            + ends
            + samples
            + (length - 1).bit_length()
            + min(CHECKS, length - 1)
            + 2 * _USUAL
        )
    checks = sum(1 for _ in _check_slots(search))
    return checks + sum(_steps_left(search, each) for each in search.wanted) or 1


def remaining(search: Search) -> int:
    """Return how many points may still have made a change asked for."""
    if not all(index in search.standings for index in search.expected) or not search.wanted:
        return search.last - search.first
    return sum(len(each.suspects) for each in search.wanted)


_USUAL = 4
"""Measurements that each side of an answer usually takes."""


def _steps_left(search: Search, transition: Transition) -> int:
    places = search.untested(transition.before, transition.after)
    untested = sum(not search.weights or search.weights[place] > 0 for place in places)
    sides = (search.standings[side] for side in (transition.before, transition.after))
    confirmations = sum(max(0, _USUAL - each.lead) for each in sides)
    return untested.bit_length() + max(confirmations, not untested)


def _unmeasured(search: Search) -> Probe | None:
    for index in search.expected:
        if index not in search.standings:
            return Probe(index, Purpose.END)
    for index, standing in search.standings.items():
        if standing.outcome is None:
            return Probe(index, Purpose.CONFIRM)
    return None


def _refused(search: Search) -> Probe | Answer | None:
    """Check the ends: an unexpected verdict is believed only when it was repeated."""
    standings = {index: search.standings[index] for index in search.expected}
    seen = {index: standing.outcome for index, standing in standings.items()}
    if seen == search.expected:
        return None
    for index, standing in standings.items():
        opposite = search.expected[search.first + search.last - index]
        if standing.outcome is opposite and standing.lead < LEAD:
            return Probe(index, Purpose.CONFIRM)
    older, newer = seen.values()
    if not all(outcome and outcome.decides for outcome in (older, newer)):
        kind = AnswerKind.UNTESTABLE
    else:
        kind = AnswerKind.NOT_REPRODUCIBLE if older == newer else AnswerKind.SWAPPED
    said = " and ".join(
        f"the {search.expected[index]} end is {outcome}" for index, outcome in seen.items()
    )
    return Answer(
        kind=kind, reason=said, transitions=search.transitions, unstable=_unstable(search)
    )


def _sample(search: Search) -> Probe | None:
    for before, after in _scan_slots(search):
        return Probe(search.choose(before, after), Purpose.SCAN)
    return None


def _scan_slots(search: Search) -> Iterator[tuple[int, int]]:
    return _open_slots(search, search.first, search.last, search.scan)


def _open_slots(search: Search, first: int, last: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Yield the slots of a part of the range (all bounds exclusive) that need a measurement.

    The part is cut into equal slots, each around one of the evenly spaced sampling points. A
    slot is done with one verdict in it, or after two points that could not be tested.
    """
    steps = last - first
    count = min(wanted, steps - 1)
    for number in range(1, count + 1):
        before = first + (2 * number - 1) * steps // (2 * (count + 1))
        after = first - (-(2 * number + 1) * steps // (2 * (count + 1)))
        inside = [search.standings[i] for i in range(before + 1, after) if i in search.standings]
        decided = any(each.outcome and each.outcome.decides for each in inside)
        if not decided and len(inside) < min(_SLOT_TRIES, after - before - 1):
            yield before, after


def _narrow(search: Search) -> Probe | None:
    for each in search.wanted:
        blocked = search.blocked(each.before, each.after)
        if search.untested(each.before, each.after) and len(blocked) < search.skip_budget:
            return Probe(search.choose(each.before, each.after), Purpose.SEARCH)
    return None


def _check(search: Search) -> Probe | None:
    for before, after in _check_slots(search):
        return Probe(search.choose(before, after), Purpose.CHECK)
    return None


def _check_slots(search: Search) -> Iterator[tuple[int, int]]:
    """Yield where the last transition must be looked behind; the first one is asked for as such."""
    if search.wanted and search.target is not TransitionChoice.FIRST:
        yield from _open_slots(search, search.wanted[0].after, search.last, CHECKS)


def _confirm(search: Search) -> Probe | None:
    """Name the side of an answer with the fewest measurements for it, until that is certain."""
    for each in search.wanted:
        sides = [(search.standings[side], side) for side in (each.before, each.after)]
        open_sides = [(s.lead, side) for s, side in sides if s.good + s.bad < MOST]
        lead, side = min(open_sides, default=(0, -1))
        if open_sides and (lead < 2 or search.certainty(each) < SURE):
            return Probe(side, Purpose.CONFIRM)
    return None


def _answer(search: Search) -> Answer:
    wanted = search.wanted
    main = wanted[0]
    sides = sorted({side for each in wanted for side in (each.before, each.after)})
    alone = len(main.suspects) == 1
    return Answer(
        kind=AnswerKind.FOUND if alone else AnswerKind.SUSPECTS,
        reason=f"one point makes it {main.becomes}"
        if alone
        else f"one of {len(main.suspects)} points makes it {main.becomes}; "
        "those between could not be tested",
        transition=main,
        certainty=search.certainty(main),
        checked=tuple(
            index
            for index, each in search.standings.items()
            if index > main.after and each.outcome is main.becomes and not each.doubtful
        )
        if search.target is not TransitionChoice.FIRST
        else (),
        transitions=search.transitions,
        doubtful=tuple(side for side in sides if search.standings[side].doubtful),
        unstable=_unstable(search),
        untested=tuple(search.untested(main.before, main.after)),
    )


def _unstable(search: Search) -> tuple[int, ...]:
    return tuple(i for i, each in search.standings.items() if each.outcome is Outcome.UNSTABLE)
