"""Neighbouring revisions that give the same library: to a search they are one point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from harness.analysis.bisection.answers import Answer, Transition
    from harness.domain.outcomes import Outcome


@dataclass(frozen=True)
class Groups:
    """The points of a history, each in one group of neighbours."""

    members: tuple[tuple[int, ...], ...]
    """Points of each group, ascending; the first one may have changed something."""

    @classmethod
    def of(cls, classes: Sequence[int], count: int, split: Collection[int] = ()) -> Groups:
        """Return the groups of so many points.

        Args:
            classes: a number per point, equal for neighbours that give the same library; empty if
                nothing is known about that.
            count: number of points.
            split: classes whose points are told apart all the same.
        """
        keys = [
            (classes[i], i if classes[i] in split else -1) if classes else (i, -1)
            for i in range(count)
        ]
        found = groupby(range(count), key=keys.__getitem__)
        return cls(tuple(tuple(points) for _, points in found))

    def weights(self, weights: Sequence[float]) -> tuple[float, ...]:
        """Return how likely each group made a change, from how likely each point did."""
        return tuple(weights[points[0]] for points in self.members) if weights else ()

    def side(self, group: int, transitions: Sequence[Transition]) -> int | None:
        """Return the point of a group that is next to one of these changes, if any is."""
        for each in transitions:
            if group == each.before:
                return self.members[group][-1]
            if group == each.after:
                return self.members[group][0]
        return None

    @cached_property
    def of_point(self) -> tuple[int, ...]:
        """The group of every point."""
        return tuple(group for group, points in enumerate(self.members) for _ in points)

    def disagreeing(self, outcomes: Mapping[int, frozenset[Outcome]]) -> frozenset[int]:
        """Return the groups whose points do not all give the same: they may not be alike.

        Args:
            outcomes: what was seen at each point that was measured.
        """
        seen: dict[int, frozenset[Outcome]] = {}
        for point, found in outcomes.items():
            seen.setdefault(self.of_point[point], found)
        return frozenset(
            self.of_point[point]
            for point, found in outcomes.items()
            if found != seen[self.of_point[point]]
        )

    def in_points(self, answer: Answer, measured: Collection[int]) -> Answer:
        """Return an answer about groups as one about points.

        A change is between the last point before it and the first one after it, or between
        measured ones if those were not. Of each group only the first point is a suspect: the
        others change nothing.
        """

        def known(group: int) -> list[int]:
            return [each for each in self.members[group] if each in measured]

        def transition(each: Transition) -> Transition:
            return replace(
                each,
                before=(known(each.before) or self.members[each.before])[-1],
                after=(known(each.after) or self.members[each.after])[0],
                suspects=tuple(self.members[group][0] for group in each.suspects),
            )

        def first(groups: Sequence[int]) -> tuple[int, ...]:
            return tuple((known(group) or self.members[group])[0] for group in groups)

        return replace(
            answer,
            transition=transition(answer.transition) if answer.transition else None,
            transitions=tuple(map(transition, answer.transitions)),
            doubtful=first(answer.doubtful),
            unstable=first(answer.unstable),
            untested=first(answer.untested),
            checked=first(answer.checked),
        )
