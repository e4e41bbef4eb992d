"""The driver of a search: measures what the search names until there is an answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.analysis.bisection.answers import Answer, AnswerKind, Probe, Purpose, TransitionChoice
from harness.analysis.bisection.criterion import (
    Criterion,
    Judgement,
    Metric,
    Observation,
    criterion_between,
)
from harness.analysis.bisection.foresight import upcoming
from harness.analysis.bisection.groups import Groups
from harness.analysis.bisection.point_outcomes import PointOutcome, settle
from harness.analysis.bisection.search import Search, default_scan, expected_steps, remaining
from harness.analysis.bisection.search_result import SearchResult
from harness.config.rules import Rules
from harness.domain.outcomes import Event, Outcome
from harness.domain.verdict import Tolerance
from harness.util.codes import Code
from harness.util.errors import NotReproducibleError, UsageError

if TYPE_CHECKING:
    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.revision_tester import RevisionTester
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
    beside: Sequence[Point] = ()
    """Revisions that are measured at the same time, since they may be asked for next."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A revision was measured."""

    point: Point
    outcome: Outcome | None
    """None for an end: what is good and what is bad is not known before both are measured."""
    reason: str
    seconds: float


END_TRIES = 5
"""Measurements of each end after which it is believed that they do not differ."""
WHOLE_TRIES = 3
"""Runs of the whole model and of the subject after which their contradiction is believed."""
Listener = Callable[[Starting | Finished], None]


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
        """Start with what is known already; of the whole model only what this bisection ran."""
        self._places = {point.id: place for place, point in enumerate(self.points)}
        ids = self._places.keys()
        recalled = self.tester.recall(self.subject, self.variant)
        self._known = {point: found for point, found in recalled.items() if point in ids}
        self._whole: dict[str, list[Measurement]] = {}
        if self.subject.alone:
            whole = self.tester.recall(self.tester.whole, self.variant, this_session=True)
            for name in ids & whole.keys():
                usable = [each for each in whole[name] if self._says_something(each)]
                self._whole |= {name: usable} if usable else {}
        self._durations: list[float] = []
        self._split: set[int] = set()
        self._whole_tried = set(self._whole)
        self._built = self._cached()
        self._groups = Groups.of(self.classes, len(self.points))
        self._judged: dict[int, tuple[list[PointOutcome], list[PointOutcome]]] = {}

    def run(self) -> SearchResult:
        """Search until there is an answer.

        Raises:
            NotReproducibleError: the two ends do not differ, or one of them cannot be tested.
            UsageError: the ends are swapped.
        """
        criterion = self._criterion()
        with ThreadPoolExecutor(1) as prefetch:
            while True:
                groups, search = self._search(criterion)
                step = search.step
                if isinstance(step, Answer):
                    side = self._unmeasured_side(search, groups, step)
                    if side is None:
                        break
                    target, purpose = side, Purpose.CONFIRM
                else:
                    target, purpose = self._target(search, groups, step), step.purpose
                    if purpose not in (Purpose.CONFIRM, Purpose.END) and self.tester.width == 1:
                        prefetch.submit(self._fetch_ahead, search, groups, step)
                self._announce(search, target, purpose, self._look_ahead(search, groups))
                self._step(target, purpose, search, groups, criterion)
        answer = groups.in_points(step, self._measured_points())
        self._refuse(answer)
        return SearchResult(
            points=self.points,
            subject=self.subject,
            criterion=criterion,
            standings={
                point: settle(outcomes)
                for point in sorted(self._measured_points())
                if (outcomes := self._outcomes(point, criterion))
            },
            groups=len(groups.members),
            answer=answer,
            measurements=self._known,
            whole={point: found[-1] for point, found in self._whole.items()},
            count=sum(map(len, self._known.values())) + sum(map(len, self._whole.values())),
        )

    def _search(self, criterion: Criterion) -> tuple[Groups, Search]:
        """Return the search with everything that is known by now.

        Points of a group that turn out to differ are told apart from then on: what they touch was
        misjudged, or measurements err.
        """
        seen = {point: self._outcomes(point, criterion) for point in self._measured_points()}
        differing = self._groups.disagreeing(
            {point: frozenset(each.outcome for each in found) for point, found in seen.items()}
        )
        if differing:
            self._split |= {self.classes[self._groups.members[each][0]] for each in differing}
            self._groups = Groups.of(self.classes, len(self.points), self._split)
            self._judged.clear()
            seen = {point: self._outcomes(point, criterion) for point in seen}
        outcomes = [each for found in seen.values() for each in found]
        return self._groups, self._asked().record(*outcomes)

    def _asked(self) -> Search:
        """Return the search as it is before anything is measured."""
        groups = self._groups
        return Search(
            last=len(groups.members) - 1,
            find_fix=self.terms.find_fix,
            target=self.terms.target,
            scan=self._scan(len(groups.members) - 1),
            cached=frozenset(groups.of_point[point] for point in self._built),
            weights=groups.weights(self.weights),
        )

    def _outcomes(self, point: int, criterion: Criterion) -> list[PointOutcome]:
        """Return what is known of a point, as outcomes of its group.

        If every run of the whole model contradicts every run of the subject alone, no repetition
        will settle it: that revision is unstable.
        """
        name, group = self.points[point].id, self._groups.of_point[point]
        alone, whole = self._judged.setdefault(point, ([], []))
        for known, judged in ((self._known, alone), (self._whole, whole)):
            new = known.get(name, [])[len(judged) :]
            judged += [self._point_outcome(group, each, criterion) for each in new]
        if whole and alone and not {e.outcome for e in alone} & {e.outcome for e in whole}:
            return [*alone, *whole, *[PointOutcome(group, Outcome.UNSTABLE)] * 2]
        return [*alone, *whole]

    def _measured_points(self) -> set[int]:
        return {self._places[name] for name in self._known.keys() | self._whole.keys()}

    def _target(self, search: Search, groups: Groups, step: Probe) -> int:
        """Return the point of a group that is best measured: what is there need not be built."""
        members = groups.members[step.index]
        if step.index in search.expected and step.purpose is Purpose.END:
            return 0 if step.index == 0 else len(self.points) - 1
        if step.purpose is Purpose.CONFIRM:
            side = groups.side(step.index, search.wanted) if search.transitions else None
            measured = [each for each in members if each in self._measured_points()]
            return side if side is not None else (measured or members)[0]
        return next((each for each in members if each in self._built), members[0])

    def _unmeasured_side(self, search: Search, groups: Groups, answer: Answer) -> int | None:
        """Return a neighbour of the change that was not measured, but only one of its group."""
        if not answer.transition:
            return None
        measured = self._measured_points()
        sides = (groups.side(s, search.wanted) for e in search.wanted for s in (e.before, e.after))
        return next((each for each in sides if each is not None and each not in measured), None)

    def _scan(self, steps: int) -> int:
        return default_scan(steps) if self.terms.scan is None else self.terms.scan

    def _cached(self) -> frozenset[int]:
        built = self.tester.built(self.points, self.variant)
        return frozenset(self._places[point] for point in built)

    def _criterion(self) -> Criterion:
        """Measure both ends, the bad one first, and ask what tells them apart."""
        order = (0, -1) if self.terms.find_fix else (-1, 0)
        terms, refusal = self.terms, ""
        if not self._known and self.tester.width > 1 and len(self._groups.members) > 1:
            self._look_ahead(self._asked(), self._groups)
        for tries in range(1, END_TRIES + 1):
            bad, good = (self._end(self.points[index], tries) for index in order)
            values = [self._extreme(good, min), self._extreme(bad, max)]
            criterion = criterion_between(
                *values,
                metric=terms.metric,
                rules=terms.rules,
                threshold=terms.threshold,
                limit=max(
                    (each.limit(self.subject.watched, terms.metric, terms.tolerance) or 0.0)
                    for each in bad
                )
                or None,
            )
            if not isinstance(criterion, str):
                if tries == END_TRIES or self._in_order(*values):
                    return criterion
            elif tries == END_TRIES:
                refusal = criterion
        names = [self.points[index].name for index in reversed(order)]
        raise NotReproducibleError(
            f"{self.subject.description}: {refusal}. (good: {names[0]}; bad: {names[1]})"
            + ("" if self.subject.alone else " A single --layer runs on older revisions, too.")
        )

    def _in_order(self, good: Observation, bad: Observation) -> bool:
        """Return whether the good end is the better one; what is not a number is in order."""
        if good.value is None or bad.value is None:
            return True
        return self.terms.metric.error(good.value) <= self.terms.metric.error(bad.value)

    def _extreme(
        self, found: Sequence[Measurement], choose: Callable[..., Observation]
    ) -> Observation:
        """Return the observation that tells the ends apart best, if measurements differ."""
        seen = [each.observation(self.subject.watched, self.terms.metric) for each in found]
        if any(each.value is None for each in seen):
            return seen[0]
        return choose(seen, key=lambda each: self.terms.metric.error(each.value or 0.0))

    def _end(self, point: Point, tries: int) -> Sequence[Measurement]:
        while len(self._known.get(point.id, ())) < tries:
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
        return self._known[point.id][:tries]

    def _tell(self, point: Point, outcome: Outcome | None, reason: str, started: float) -> None:
        seconds = time.monotonic() - started
        self.listener(Finished(point=point, outcome=outcome, reason=reason, seconds=seconds))

    def _measure(self, point: Point) -> Measurement:
        started = time.monotonic()
        found = self.tester.measure(point, self.subject, self.variant)
        self._known.setdefault(point.id, []).append(found)
        self._durations.append(time.monotonic() - started)
        return found

    def _point_outcome(self, index: int, found: Measurement, criterion: Criterion) -> PointOutcome:
        judgement = self._judgement(found, criterion)
        return PointOutcome(index, judgement.outcome, judgement.near)

    def _judgement(self, found: Measurement, criterion: Criterion) -> Judgement:
        return criterion.judge(found.observation(self.subject.watched, criterion.metric))

    def _step(
        self, target: int, purpose: Purpose, search: Search, groups: Groups, criterion: Criterion
    ) -> None:
        """Measure a point: at a side of the answer, the whole model once, else the subject."""
        point = self.points[target]
        started = time.monotonic()
        found = None
        expected = self._confirmed(target, purpose, search, groups)
        if expected:
            found = self._whole_model(point, expected, criterion)
        found = found or self._measure(point)
        judgement = self._judgement(found, criterion)
        self._tell(point, judgement.outcome, judgement.reason, started)

    def _confirmed(
        self, target: int, purpose: Purpose, search: Search, groups: Groups
    ) -> Outcome | None:
        """Return what the whole model should say of a point, if it is to be asked there."""
        if not (self.subject.alone and self.confirm_whole and purpose is Purpose.CONFIRM):
            return None
        group = groups.of_point[target]
        standing = search.standings.get(group)
        if not search.transitions or standing is None:
            return None
        settled = standing.outcome is search.expected.get(group, standing.outcome)
        side = groups.side(group, search.wanted) == target
        asked = side and settled and self.points[target].id not in self._whole_tried
        return standing.outcome if asked else None

    def _look_ahead(self, search: Search, groups: Groups) -> list[Point]:
        """Have what may be asked for next measured beside what is asked for now, and return it."""
        width = self.tester.width
        if width == 1:
            return []
        wanted = upcoming(
            search,
            lambda after, step: self._measured_next(after, groups, step),
            most=width,
        )
        places = [(self.points[target], whole) for target, whole in wanted]
        self.tester.look_ahead(
            [(p, self.tester.whole if whole else self.subject) for p, whole in places],
            self.variant,
        )
        return [point for point, _ in places[1:]]

    def _measured_next(self, search: Search, groups: Groups, step: Probe) -> tuple[int, bool]:
        """Return which point a step measures, and whether the whole model there."""
        target = self._target(search, groups, step)
        return target, bool(self._confirmed(target, step.purpose, search, groups))

    def _whole_model(
        self, point: Point, expected: Outcome, criterion: Criterion
    ) -> Measurement | None:
        """Run the whole model at a side of the answer; None where that was done or cannot be.

        Whatever keeps the whole model from running says nothing about the layers in question,
        which did run alone: the caller then measures these again. A contradiction is only believed
        when both were repeated.
        """
        found = None
        for _ in range(WHOLE_TRIES):
            found = self.tester.measure(point, self.tester.whole, self.variant)
            if not self._says_something(found):
                self._whole_tried.add(point.id)
                return None
            self._whole.setdefault(point.id, []).append(found)
            self._whole_tried.add(point.id)
            if self._judgement(found, criterion).outcome is expected:
                break
            alone = self._measure(point)
            if self._judgement(alone, criterion).outcome is not expected:
                break
        return found

    def _says_something(self, whole: Measurement) -> bool:
        observation = whole.observation(self.subject.watched, self.terms.metric)
        return observation.event in (Event.MEASURED, Event.NAN)

    def _announce(
        self, search: Search, target: int, purpose: Purpose, beside: Sequence[Point]
    ) -> None:
        steps = max(1, expected_steps(search))
        usual = sum(self._durations) / len(self._durations) if self._durations else None
        self.listener(
            Starting(
                point=self.points[target],
                purpose=purpose,
                left=remaining(search),
                steps=steps,
                seconds=usual * steps if usual is not None else None,
                beside=beside,
            )
        )

    def _fetch_ahead(self, search: Search, groups: Groups, step: Probe) -> None:
        """Obtain the sources of what may be tested after `step`, while that is being built."""
        for outcome in (Outcome.GOOD, Outcome.BAD):
            after = search.record(PointOutcome(step.index, outcome))
            if isinstance(after.step, Probe):
                target = self._target(after, groups, after.step)
                self.tester.resolver.source(self.points[target].revision)

    def _refuse(self, answer: Answer) -> None:
        if answer.kind in (AnswerKind.FOUND, AnswerKind.SUSPECTS):
            return
        seen = []
        for point in (self.points[0], self.points[-1]):
            last = self._known[point.id][-1].observation(self.subject.watched, self.terms.metric)
            seen.append(f"{point.name}: {self.terms.metric} {last}")
        numbers = "; ".join(seen)
        if answer.kind is AnswerKind.SWAPPED:
            raise UsageError(
                f"the ends are swapped: {answer.reason} ({numbers}). Exchange --good and --bad, or "
                "give --find-fix to look for what made it good again.",
                code=Code.ENDS_SWAPPED,
            )
        raise NotReproducibleError(
            f"{self.subject.description}: {answer.kind}: {answer.reason} ({numbers}). Name other "
            "ends, or another --threshold, --layer or --run."
        )
