"""The driver of a search: measures what the search names until there is an answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.analysis.bisection.criterion import Criterion, Judgement, Metric, criterion_between
from harness.analysis.bisection.point_outcomes import PointOutcome
from harness.analysis.bisection.relevance import neighbours
from harness.analysis.bisection.search import (
    SKIP_BUDGET,
    Answer,
    AnswerKind,
    Probe,
    Purpose,
    Search,
    TransitionChoice,
    default_scan,
    expected_steps,
    next_probe,
    remaining,
)
from harness.config.rules import Rules
from harness.domain.outcomes import Event, Outcome
from harness.domain.verdict import Tolerance
from harness.util.errors import NotReproducibleError, UsageError

if TYPE_CHECKING:
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.revision_tester import RevisionTester, Variant
    from harness.analysis.bisection.submodel import Subject


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is asked."""

    metric: Metric = Metric.SCALE_RELATIVE
    threshold: float | None = None
    rules: Rules = field(default_factory=Rules)
    tolerance: Tolerance = field(default_factory=Tolerance)
    """What is within it is never bad, unless `threshold` says so."""
    find_fix: bool = False
    target: TransitionChoice = TransitionChoice.LAST
    scan: int | None = None
    """Points to sample first; None leaves it to the length of the range."""


@dataclass(frozen=True, kw_only=True)
class Starting:
    """A revision is about to be measured."""

    point: Point
    purpose: str
    left: int
    """Revisions that may still be the one."""
    steps: int
    """Measurements expected, this one included."""
    seconds: float | None
    """Time these will take, if they go on as before."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A revision was measured."""

    point: Point
    outcome: Outcome | None
    """None for an end: what is good and what is bad is not known before both are measured."""
    reason: str
    seconds: float


Listener = Callable[[Starting | Finished], None]


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The end of a search, with all that was measured."""

    points: Sequence[Point]
    subject: Subject
    criterion: Criterion
    search: Search
    answer: Answer
    measurements: dict[str, list[Measurement]]
    """By point: those of the subject itself."""
    whole: dict[str, Measurement]
    """By point: the whole model, where it was run to confirm."""
    count: int
    """Measurements that were taken into account."""


@dataclass(kw_only=True)
class SearchDriver:
    """One search over one history."""

    tester: RevisionTester
    subject: Subject
    variant: Variant
    points: Sequence[Point]
    terms: Terms
    listener: Listener
    confirm_whole: bool = True
    """Whether the whole model is run at both sides of the answer; else the subject again."""
    classes: Sequence[int] = ()
    """A number per point; equal for neighbours that give the same library, of which one
    measurement stands for all. Empty if nothing is known about that."""
    weights: Sequence[float] = ()
    """How likely each point made the change, see `Search`."""

    def __post_init__(self) -> None:
        """Start with what is known already."""
        ids = {point.id for point in self.points}
        recalled = self.tester.recall(self.subject, self.variant)
        self._known = {point: found for point, found in recalled.items() if point in ids}
        self._whole: dict[str, Measurement] = {}
        self._durations: list[float] = []
        self._shared: dict[str, Measurement] = {}
        self._blocked_by_others = 0

    def run(self) -> SearchResult:
        """Search until there is an answer.

        Raises:
            NotReproducibleError: the two ends do not differ, or one of them cannot be tested.
            UsageError: the ends are swapped.
        """
        criterion = self._criterion()
        search = Search(
            last=len(self.points) - 1,
            find_fix=self.terms.find_fix,
            target=self.terms.target,
            scan=self._scan(),
            cached=self._cached(),
            weights=tuple(self.weights),
        )
        search = self._recalled(search, criterion)
        with ThreadPoolExecutor(1) as prefetch:
            while isinstance(step := next_probe(search), Probe):
                self._announce(search, step)
                prefetch.submit(self._fetch_ahead, search, step)
                search = self._measured(search, step, criterion)
        self._refuse(step, search)
        return SearchResult(
            points=self.points,
            subject=self.subject,
            criterion=criterion,
            search=search,
            answer=step,
            measurements={**{k: [v] for k, v in self._shared.items()}, **self._known},
            whole=self._whole,
            count=sum(map(len, self._known.values())) + len(self._whole),
        )

    def _scan(self) -> int:
        steps = len(self.points) - 1
        return default_scan(steps) if self.terms.scan is None else self.terms.scan

    def _cached(self) -> frozenset[int]:
        tester, variant = self.tester, self.variant
        return frozenset(
            i for i, point in enumerate(self.points) if tester.is_built(point, variant)
        )

    def _criterion(self) -> Criterion:
        """Measure both ends, the bad one first, and ask what tells them apart."""
        order = (0, -1) if self.terms.find_fix else (-1, 0)
        bad, good = (self._end(self.points[index]) for index in order)
        terms = self.terms
        observations = [
            each.observation(self.subject.watched, terms.metric) for each in (good, bad)
        ]
        criterion = criterion_between(
            *observations,
            metric=terms.metric,
            rules=terms.rules,
            threshold=terms.threshold,
            limit=bad.limit(self.subject.watched, terms.metric, terms.tolerance),
        )
        if isinstance(criterion, str):
            names = [self.points[index].name for index in reversed(order)]
            raise NotReproducibleError(
                f"{self.subject.description}: {criterion}. (good: {names[0]}; bad: {names[1]})"
                + ("" if self.subject.alone else " A single --layer runs on older revisions, too.")
            )
        return criterion

    def _end(self, point: Point) -> Measurement:
        if point.id not in self._known:
            steps = 2 + (len(self.points) - 1).bit_length() + 2
            self.listener(
                Starting(
                    point=point,
                    purpose=Purpose.END,
                    left=len(self.points) - 1,
                    steps=steps,
                    seconds=None,
                )
            )
            started = time.monotonic()
            found = self._measure(point)
            observation = found.observation(self.subject.watched, self.terms.metric)
            self._tell(point, None, f"{self.terms.metric} {observation}", started)
        return self._known[point.id][0]

    def _tell(self, point: Point, outcome: Outcome | None, reason: str, started: float) -> None:
        seconds = time.monotonic() - started
        self.listener(Finished(point=point, outcome=outcome, reason=reason, seconds=seconds))

    def _measure(self, point: Point) -> Measurement:
        started = time.monotonic()
        found = self.tester.measure(point, self.subject, self.variant)
        self._known.setdefault(point.id, []).append(found)
        self._durations.append(time.monotonic() - started)
        return found

    def _recalled(self, search: Search, criterion: Criterion) -> Search:
        """Add what is known; runs of the whole model only if they are of this very bisection."""
        whole = {}
        if self.subject.alone:
            whole = self.tester.recall(self.tester.whole, self.variant, this_session=True)
        for index, point in enumerate(self.points):
            for each in self._known.get(point.id, []):
                search = search.record(self._point_outcome(index, each, criterion))
        for index, point in enumerate(self.points):
            for each in self._known.get(point.id, []):
                search = self._shared_with(search, index, each, criterion)
        for index, point in enumerate(self.points):
            for each in whole.get(point.id, []):
                if each.event is Event.MEASURED:
                    self._whole[point.id] = each
                    search = search.record(self._point_outcome(index, each, criterion))
        return search

    def _point_outcome(self, index: int, found: Measurement, criterion: Criterion) -> PointOutcome:
        judgement = self._judgement(found, criterion)
        return PointOutcome(index, judgement.outcome, judgement.near)

    def _shared_with(
        self, search: Search, index: int, found: Measurement, criterion: Criterion
    ) -> Search:
        """Record a measurement of a point for all others that give the same library.

        They get no more observations than the point itself has, so that neighbours that were
        measured independently do not confirm each other.
        """
        point_outcome = self._point_outcome(index, found, criterion)
        counts = Counter(each.index for each in search.outcomes)
        for other in neighbours(index, self.classes):
            if counts[other] < counts[index]:
                search = search.record(replace(point_outcome, index=other))
                self._shared[self.points[other].id] = found
                self._blocked_by_others += not point_outcome.outcome.decides
        # One revision that cannot be tested must not use up the patience for many.
        return replace(search, skip_budget=SKIP_BUDGET + self._blocked_by_others)

    def _judgement(self, found: Measurement, criterion: Criterion) -> Judgement:
        return criterion.judge(found.observation(self.subject.watched, criterion.metric))

    def _measured(self, search: Search, step: Probe, criterion: Criterion) -> Search:
        """Measure a point as the search asks for, and record it."""
        point = self.points[step.index]
        started = time.monotonic()
        standing = search.standings.get(step.index)
        expected = search.expected.get(step.index)
        settled = standing is not None and standing.outcome is not None
        as_told = expected is None or (standing is not None and standing.outcome is expected)
        whole = None
        if step.purpose is Purpose.CONFIRM and settled and as_told:
            whole = self._whole_model(point)
        found = whole or self._measure(point)
        judgement = self._judgement(found, criterion)
        self._tell(point, judgement.outcome, judgement.reason, started)
        search = search.record(self._point_outcome(step.index, found, criterion))
        return search if whole else self._shared_with(search, step.index, found, criterion)

    def _whole_model(self, point: Point) -> Measurement | None:
        """Run the whole model at a side of the answer; None where it cannot be run.

        Whatever keeps the whole model from running says nothing about the layers in question,
        which did run alone: the caller then measures these again.
        """
        if not (self.subject.alone and self.confirm_whole):
            return None
        found = self.tester.measure(point, self.tester.whole, self.variant)
        observation = found.observation(self.subject.watched, self.terms.metric)
        if observation.event not in (Event.MEASURED, Event.NAN):
            return None
        self._whole[point.id] = found
        return found

    def _announce(self, search: Search, step: Probe) -> None:
        steps = expected_steps(search)
        usual = sum(self._durations) / len(self._durations) if self._durations else None
        self.listener(
            Starting(
                point=self.points[step.index],
                purpose=step.purpose,
                left=remaining(search),
                steps=steps,
                seconds=usual * steps if usual is not None else None,
            )
        )

    def _fetch_ahead(self, search: Search, step: Probe) -> None:
        """Obtain the sources of what may be tested after `step`, while that is being built."""
        for outcome in (Outcome.GOOD, Outcome.BAD):
            following = next_probe(search.record(PointOutcome(step.index, outcome)))
            if isinstance(following, Probe):
                self.tester.resolver.source(self.points[following.index].revision)

    def _refuse(self, answer: Answer, search: Search) -> None:
        if answer.kind in (AnswerKind.FOUND, AnswerKind.SUSPECTS):
            return
        seen = []
        for index in search.expected:
            point = self.points[index]
            found = self._known.get(point.id) or [self._shared[point.id]]
            last = found[-1].observation(self.subject.watched, self.terms.metric)
            seen.append(f"{point.name}: {self.terms.metric} {last}")
        numbers = "; ".join(seen)
        if answer.kind is AnswerKind.SWAPPED:
            raise UsageError(
                f"the ends are swapped: {answer.reason} ({numbers}). Exchange --good and --bad, or "
                "give --find-fix to look for what made it good again."
            )
        raise NotReproducibleError(
            f"{self.subject.description}: {answer.kind}: {answer.reason} ({numbers}). Name other "
            "ends, or another --threshold, --layer or --run."
        )
