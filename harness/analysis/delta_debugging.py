"""Delta debugging: which of many differences are needed for a failure, or for its fix.

The differences between a good and a bad configuration are a set of hashable items; a test applies
a subset of them to the good configuration. The algorithm is ddmin of A. Zeller and R. Hildebrandt,
"Simplifying and Isolating Failure-Inducing Input", IEEE Transactions on Software Engineering 28
(2), 2002; alternatives are enumerated by the hitting-set tree of R. Reiter, "A Theory of Diagnosis
from First Principles", Artificial Intelligence 32, 1987.

Every result goes into a memo, a mutable mapping from the subset applied to its result. Nothing
else is kept: called again with the same memo, a search goes on where it was interrupted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Generic, TypeVar

from harness.util.codes import Code
from harness.util.errors import UsageError

T = TypeVar("T", bound=Hashable)


class Result(StrEnum):
    """What a subset of the differences does."""

    PASS = "pass"
    FAIL = "fail"
    UNRESOLVED = "unresolved"
    """It cannot be built or run, or the verdict is unstable."""


@dataclass(frozen=True)
class Progress(Generic[T]):
    """Where a search stands, told before every test that is not in the memo."""

    tested: int
    """Tests made so far, those found in the memo not counted."""
    candidate: int
    """Items that are still under suspicion."""
    subset: frozenset[T]
    """The differences that are tested now."""


@dataclass(frozen=True)
class MinimalSet(Generic[T]):
    """A set of which no item can be left out: without any one of them the effect is gone."""

    items: tuple[T, ...]
    """In the order of the universe."""
    without: tuple[Result, ...]
    """The result of leaving out each item, in the same order: the evidence that it is needed."""


Oracle = Callable[[frozenset[T]], Result]
_OPPOSITE = {Result.PASS: Result.FAIL, Result.FAIL: Result.PASS}


@dataclass
class DeltaDebugger(Generic[T]):
    """One universe of differences, the test of its subsets, and what is known so far."""

    items: Sequence[T]
    """All differences; of equals, earlier ones are preferred."""
    test: Oracle[T]
    cheap: Collection[T] = frozenset()
    """Items that vary without a rebuild: they are minimised first, the others held fixed."""
    memo: MutableMapping[frozenset[T], Result] | None = None
    progress: Callable[[Progress[T]], None] | None = None

    def __post_init__(self) -> None:
        """Start from the memo, or from nothing."""
        self._memo = {} if self.memo is None else self.memo
        self._tested = 0
        self._everything = frozenset(self.items)

    def minimal_failing(self) -> MinimalSet[T]:
        """Return a minimal set of differences that turns good to bad.

        For n items at most 2·n² + 4·n + 4 tests are made, and usually about 2·k·log2(n) for the
        k items of the result.

        Raises:
            UsageError: no difference fails already, or all of them together do not fail.
        """
        self._check_ends()
        return self._described(self._minimise(self.items, self._fails), self._fails)

    def minimal_sets(self, limit: int = 8) -> tuple[MinimalSet[T], ...]:
        """Return all minimal sets that turn good to bad, at most `limit`, smallest first.

        Complete, below the limit, if adding differences never fixes a failure; else every set
        returned is minimal, but there may be others.

        Raises:
            UsageError: as `minimal_failing`.
        """
        self._check_ends()
        return self._enumerate(self._fails, limit)

    def minimal_reverts(self, limit: int = 8) -> tuple[MinimalSet[T], ...]:
        """Return the minimal sets of differences to take back so that bad turns to good.

        The same search with the roles exchanged; at most `limit` sets, smallest first, so that
        the first is the smallest of those found. `without` tells what the test gave when all of
        the set but that item was taken back.

        Raises:
            UsageError: as `minimal_failing`.
        """
        self._check_ends()
        return tuple(
            MinimalSet(each.items, tuple(_OPPOSITE.get(r, r) for r in each.without))
            for each in self._enumerate(self._fixed, limit)
        )

    def _fails(self, applied: frozenset[T], candidate: int) -> Result:
        if applied not in self._memo:
            if self.progress:
                self.progress(Progress(self._tested, candidate, applied))
            self._memo[applied] = self.test(applied)
            self._tested += 1
        return self._memo[applied]

    def _fixed(self, reverted: frozenset[T], candidate: int) -> Result:
        """The dual test: it "fails" where taking these items back makes the whole set pass."""
        result = self._fails(self._everything - reverted, candidate)
        return _OPPOSITE.get(result, result)

    def _check_ends(self) -> None:
        size = len(self._everything)
        for subset, expected in ((frozenset[T](), Result.PASS), (self._everything, Result.FAIL)):
            result = self._fails(subset, size)
            if result is not expected:
                raise UsageError(
                    f"with {len(subset)} of {size} differences applied the result is {result}, "
                    f"not {expected}: name a configuration that is good and one that is bad",
                    code=Code.ENDS_ALIKE,
                )

    def _enumerate(self, test: _Sized[T], limit: int) -> tuple[MinimalSet[T], ...]:
        """Walk Reiter's hitting-set tree breadth first.

        Below a minimal set, each branch forbids one of its items and looks for another set in
        what is left. A set that avoids all forbidden items is reused and not searched again, and
        where forbidding some items left no failure, forbidding more is not tried.
        """
        found: list[frozenset[T]] = []
        closed: list[frozenset[T]] = []
        waiting = deque([frozenset[T]()])
        seen: set[frozenset[T]] = set(waiting)
        while waiting and len(found) < limit:
            forbidden = waiting.popleft()
            if any(each <= forbidden for each in closed):
                continue
            known = next((each for each in found if not each & forbidden), None)
            if known is None:
                allowed = [item for item in self.items if item not in forbidden]
                if test(frozenset(allowed), len(allowed)) is not Result.FAIL:
                    closed.append(forbidden)
                    continue
                known = self._minimise(allowed, test)
                found.append(known)
            branches = [forbidden | {item} for item in self._ordered(known)]
            waiting.extend(branch for branch in branches if branch not in seen)
            seen.update(branches)
        found.sort(key=lambda each: (len(each), [self.items.index(i) for i in self._ordered(each)]))
        return tuple(self._described(each, test) for each in found)

    def _minimise(self, universe: Sequence[T], test: _Sized[T]) -> frozenset[T]:
        """Return a 1-minimal subset of a failing universe; cheap items are varied first.

        If the cheap items fail alone, the others are dropped; else the cheap items are minimised
        with all others applied (one build), then the others with what is left of the cheap ones.
        That is 1-minimal if adding differences never fixes a failure; since it may, one item at
        a time is left out at last until nothing goes.
        """
        cheap = frozenset(universe) & frozenset(self.cheap)
        costly = frozenset(universe) - cheap
        if cheap and costly and test(cheap, len(universe)) is Result.FAIL:
            costly = frozenset()
        kept = self._ddmin(self._ordered(cheap), costly, test)
        kept |= self._ddmin(self._ordered(costly), kept, test)
        smaller: frozenset[T] | None = kept
        while smaller is not None:
            kept = smaller
            one_less = (kept - {item} for item in self._ordered(kept))
            smaller = next((s for s in one_less if test(s, len(kept)) is Result.FAIL), None)
        return kept

    def _ddmin(self, items: Sequence[T], fixed: frozenset[T], test: _Sized[T]) -> frozenset[T]:
        """ddmin over `items` with `fixed` always applied; all together must fail.

        Returns a subset, without `fixed`, of which no single item can be left out.
        """
        if items and test(fixed, len(items)) is Result.FAIL:
            return frozenset()
        current, parts = list(items), 2
        while len(current) > 1:
            chunks = _split(current, parts)
            rests = [[i for i in current if i not in chunk] for chunk in map(frozenset, chunks)]
            # With two parts the complements are the parts themselves.
            choices = [(chunk, 2) for chunk in chunks]
            choices += [(rest, parts - 1) for rest in rests if parts > 2]
            for subset, granularity in choices:
                if test(fixed | frozenset(subset), len(current)) is Result.FAIL:
                    current, parts = subset, granularity
                    break
            else:
                if parts == len(current):
                    break
                parts = min(2 * parts, len(current))
        return frozenset(current)

    def _described(self, found: frozenset[T], test: _Sized[T]) -> MinimalSet[T]:
        items = self._ordered(found)
        return MinimalSet(items, tuple(test(found - {item}, len(found)) for item in items))

    def _ordered(self, items: Iterable[T]) -> tuple[T, ...]:
        chosen = frozenset(items)
        return tuple(item for item in self.items if item in chosen)


_Sized = Callable[[frozenset[T], int], Result]


def _split(items: Sequence[T], parts: int) -> list[list[T]]:
    """Cut into `parts` consecutive pieces whose sizes differ by one at most."""
    bounds = [len(items) * number // parts for number in range(parts + 1)]
    return [list(items[a:b]) for a, b in pairwise(bounds)]
