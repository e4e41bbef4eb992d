"""One bisection from beginning to end: history, subject, search, confirmation, explanation."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.analysis.bisection.answers import AnswerKind
from harness.analysis.bisection.bed import LocalBed
from harness.analysis.bisection.conditions import conditions, everything_off
from harness.analysis.bisection.configurations import (
    Comparison,
    ComparisonResult,
    Difference,
    differences,
    mixed,
)
from harness.analysis.bisection.criterion import Metric, Observation
from harness.analysis.bisection.inside.answer import InsideAnswer
from harness.analysis.bisection.inside.build_search import TwoBuilds
from harness.analysis.bisection.inside.search import InsideSearch
from harness.analysis.bisection.layer_selection import grown_layer, worst_beyond
from harness.analysis.bisection.point_outcomes import LEAD
from harness.analysis.bisection.release_ends import ends_among
from harness.analysis.bisection.relevance import CommitClasses, Relevance, classes_of
from harness.analysis.bisection.result import BisectionResult, bisection_result
from harness.analysis.bisection.search_driver import Listener, SearchDriver, Terms
from harness.analysis.bisection.submodel import Shapes, Subject, layers_called, part_of
from harness.domain.outcomes import Event
from harness.sources.options import known_options
from harness.util.errors import LacksLayerError, NotReproducibleError, UsageError
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.criterion import Criterion
    from harness.analysis.bisection.history import Clone, Point
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.revision_tester import RevisionTester
    from harness.analysis.bisection.search_result import SearchResult
    from harness.analysis.delta_debugging import Progress


@dataclass(kw_only=True)
class Bisection:
    """What is common to all steps of one bisection."""

    tester: RevisionTester
    variant: Variant
    terms: Terms
    layer: str
    """Name or type as the user gave it; empty to let the bad end tell."""
    whole_model: bool
    explain: bool
    """Whether to find out which build options it takes as well: some builds more."""
    inside: bool = False
    """Whether to find out which part of the change matters: more builds still."""
    clone: Clone | None
    listener: Listener
    say: Callable[[str], None]
    compared: Callable[[Progress[Difference]], None]
    started: float = field(default_factory=time.monotonic)

    def among(self, points: Sequence[Point], subject: Subject | None = None) -> BisectionResult:
        """Return the answer for a range of revisions, opened if it is a merge.

        Args:
            points: the range, oldest first.
            subject: what to run, if that is known already.

        Raises:
            NotReproducibleError: the ends do not differ.
            UsageError: the ends are swapped.
        """
        result, merge = self.opened(self._search(points, subject))
        found = bisection_result(
            result,
            variant=self.variant,
            clone=self.clone,
            merge=merge,
            seconds=time.monotonic() - self.started,
        )
        found = self._with_needs(found, result, points[0 if self.terms.find_fix else -1])
        return self._with_inside(found, result) if self.inside else found

    def releases(self, releases: Sequence[Point]) -> BisectionResult:
        """Return the answer where no range is given: releases first, then commits in between."""
        bad = releases[-1]
        subject = self._subject(bad)

        def observation(point: Point) -> Observation:
            found = self._measured(point, subject).observation(subject.watched, self.terms.metric)
            self.say(f"{point.name}: {self.terms.metric} {found}")
            return found

        first, last = ends_among(
            releases,
            observation,
            metric=self.terms.metric,
            rules=self.terms.rules,
            threshold=self.terms.threshold,
            limit=self._measured(bad, subject).limit(
                subject.watched, self.terms.metric, self.terms.tolerance
            ),
        )
        points = releases[first : last + 1]
        if self.clone is None:
            return self.among(points, subject)
        result = self._driven(points, subject, confirm_whole=False)
        transition = result.answer.transition
        assert transition is not None
        ends = points[transition.before], points[transition.after]
        self.say(f"the change is between {ends[0].name} and {ends[1].name}")
        # The threshold that told the releases apart holds for the commits between them.
        self.terms = replace(self.terms, threshold=result.criterion.threshold)
        commits = self.clone.commits(*(end.revision.name for end in ends))
        return self.among(commits, result.subject)

    def compare(self, point: Point, good: Variant) -> tuple[Subject, ComparisonResult]:
        """Return which differences between `good` and the case's own setting matter.

        Raises:
            NotReproducibleError: the configurations do not differ in their result.
            UsageError: they do not differ at all, or the good one is worse.
        """
        subject = self._subject(point)
        bad = self._measured(point, subject)
        known = self._known_options(point)
        items = differences(good, self.variant, known=known, defaults=bad.options)
        comparison = Comparison(
            tester=self.tester,
            subject=subject,
            point=point,
            good=good,
            bad=self.variant,
            terms=self.terms,
            listener=self.compared,
        )
        found = comparison.run(items)
        if self.inside:
            found = replace(found, inside=self._between_builds(found, comparison))
        return subject, found

    def _search(self, points: Sequence[Point], subject: Subject | None = None) -> SearchResult:
        """Search with the layer that was asked for, or that the bad end shows to be at fault."""
        bad, good = (points[0], points[-1]) if self.terms.find_fix else (points[-1], points[0])
        chosen = subject or self._subject(bad)
        try:
            return self._driven(points, chosen)
        except NotReproducibleError:
            if self.layer or self.whole_model or subject is not None or not chosen.alone:
                raise
        # The worst layer is as bad at the good end: look for the one that differs most.
        self.say(f"{chosen.description} is alike at both ends; comparing the whole model")
        before, after = (self._measured(point, self.tester.whole) for point in (good, bad))
        grown = grown_layer(
            before,
            after,
            metric=self.terms.metric,
            rules=self.terms.rules,
            tolerance=self.terms.tolerance,
        )
        return self._driven(points, self._part((grown,), after) if grown else self.tester.whole)

    def _driven(
        self, points: Sequence[Point], subject: Subject, *, confirm_whole: bool = True
    ) -> SearchResult:
        classes = self._classes(points, subject)
        kinds = f", of which {classes.numbers[-1]} touch what is built" if classes.numbers else ""
        self.say(f"looking at {subject.description}, {len(points) - 1} revisions{kinds}")
        return SearchDriver(
            tester=self.tester,
            subject=subject,
            variant=self.variant,
            points=points,
            terms=self.terms,
            listener=self.listener,
            classes=classes.numbers,
            weights=classes.weights,
            confirm_whole=confirm_whole,
        ).run()

    def _classes(self, points: Sequence[Point], subject: Subject) -> CommitClasses:
        """Return what commits touch of a subject's build; nothing for releases."""
        if self.clone is None or not all(point.title for point in points):
            return CommitClasses()
        resolver, flags = self.tester.resolver, self.variant.flags
        trees = [resolver.source(points[index].revision) for index in (0, -1)]
        relevance = Relevance(
            trees=tuple(tree.path for tree in trees),
            wanted=subject.model.graph.layer_types(),
            arch=resolver.arch(flags),
            vulkan=flags.wants_vulkan,
            learned=frozenset().union(*(resolver.needs(tree, flags).layers for tree in trees)),
        )
        with contextlib.suppress(LacksLayerError):
            types = {subject.model.graph.layer(name).type for name in subject.watched}
            return classes_of(points, relevance, self.clone, types)
        return CommitClasses()

    def _subject(self, bad: Point) -> Subject:
        """Return what to run: as the user says, else the layer that is worst at the bad end."""
        if self.whole_model or (self.terms.metric is Metric.LATENCY and not self.layer):
            return self.tester.whole
        if self.layer:
            return part_of(
                self.tester.whole,
                layers_called(self.tester.whole.model.graph, self.layer),
                self.tester.resolver.store,
            )
        self.say(f"running the whole model on {bad.name} to find the layer at fault")
        found = self._measured(bad, self.tester.whole)
        if found.event is not Event.MEASURED:
            self.say(f"no layer can be told there ({found.event}: {found.detail})")
            return self.tester.whole
        worst = worst_beyond(found, self.terms.tolerance)
        if worst is None:
            self.say("no layer is beyond tolerance there: the output is what is measured")
            return self.tester.whole
        return self._part((worst,), found)

    def _part(self, layers: Sequence[str], run: Measurement) -> Subject:
        shapes: Shapes = {layer.blob: layer.shape for layer in run.layers if layer.shape}
        return part_of(self.tester.whole, layers, self.tester.resolver.store, shapes)

    def _measured(self, point: Point, subject: Subject) -> Measurement:
        """Return what is known of a revision, measured now if nothing is."""
        known = self.tester.recall(subject, self.variant).get(point.id)
        return known[0] if known else self.tester.measure(point, subject, self.variant)

    def opened(self, result: SearchResult) -> tuple[SearchResult, str]:
        """Look inside the answer if it is a merge; keep it if its branch shows nothing."""
        transition = result.answer.transition
        if self.clone is None or result.answer.kind is not AnswerKind.FOUND or not transition:
            return result, ""
        at_fault = result.points[transition.after]
        inside = self.clone.opened(at_fault.id)
        if at_fault.revision.kind != "git" or len(inside) < 2:
            return result, ""
        self.say(f"{at_fault.name} is a merge: looking at the {len(inside) - 1} commits in it")
        classes = self._classes(inside, result.subject)
        driver = SearchDriver(
            tester=self.tester,
            subject=result.subject,
            variant=self.variant,
            points=inside,
            terms=replace(self.terms, threshold=result.criterion.threshold, scan=0),
            listener=self.listener,
            classes=classes.numbers,
            weights=classes.weights,
        )
        try:
            return driver.run(), at_fault.id
        except (NotReproducibleError, UsageError):
            self.say("its branch alone does not show it: the merge itself is the answer")
            return result, ""

    def _with_needs(
        self, found: BisectionResult, result: SearchResult, bad_end: Point
    ) -> BisectionResult:
        """Add which run options it takes, which needs no rebuild, and which build options."""
        transition = result.answer.transition
        assert transition is not None
        worse = transition.after if found.becomes == "bad" else transition.before
        point = result.points[worse]
        seen = result.measurements.get(point.id) or [result.whole[point.id]]
        options = seen[-1].options
        good = everything_off(self.variant, options, builds_too=self.explain)
        known = self._known_options(point) if self.explain else frozenset[str]()
        items = differences(good, self.variant, known=known, defaults=options)
        if not items:
            return found
        self.say(f"looking for the {'flags and ' if self.explain else ''}run options that it takes")
        errs = any(each.contradicts for each in result.standings.values())
        comparison = Comparison(
            tester=self.tester,
            subject=result.subject,
            point=point,
            good=good,
            bad=self.variant,
            terms=self.terms,
            listener=self.compared,
            lead=LEAD if errs else 1,
        )
        try:
            told = conditions(comparison, items, result.criterion, bad_end=bad_end)
        except NotReproducibleError as error:
            return found.model_copy(update={"evidence": (f"not asked: {error}",)})
        return found.model_copy(update=vars(told))

    def _with_inside(self, found: BisectionResult, result: SearchResult) -> BisectionResult:
        """Add which part of the change matters, if it is one change."""
        transition = result.answer.transition
        if not (found.found and transition):
            answer = InsideAnswer(note="not looked inside: there are several suspects")
            return found.model_copy(update={"inside": answer})
        after = result.points[transition.after]
        before = result.points[transition.before]
        if self.clone is not None and found.commit:
            # What is between touches nothing that is built, as far as its files tell.
            before = self.clone.parent(after)
        self.say(f"looking inside {after.name}")
        lead = LEAD if any(s.contradicts for s in result.standings.values()) else 1
        source = self.tester.resolver.source
        with scratch_directory("inside-") as scratch:
            search = InsideSearch(
                tester=self.tester,
                subject=result.subject,
                variant=self.variant,
                criterion=result.criterion,
                trees=(source(before.revision).path, source(after.revision).path),
                after=after,
                becomes=transition.becomes,
                scratch=scratch,
                say=self.say,
                lead=lead,
            )
            if search.is_of_lines:
                answer = search.run()
            else:
                both = [before, after] if found.becomes == "bad" else [after, before]
                good, bad = ((point, self.variant) for point in both)
                functions = self._functions(result.subject, (good, bad), result.criterion, lead)
                answer = search.with_size(functions)
        return found.model_copy(update={"inside": answer})

    def _between_builds(self, found: ComparisonResult, comparison: Comparison) -> InsideAnswer:
        """Return which part of what is compiled matters, where flags or the compiler do."""
        sets = (each.items for each in found.sets if any(i.kind == "build" for i in each.items))
        items = next(sets, None)
        if items is None:
            return InsideAnswer(note="not looked inside: run options alone turn it bad")
        options = [item for item in items if item.kind == "run"]
        good, bad = (mixed(comparison.good, comparison.bad, some) for some in (options, items))
        self.say(f"looking inside the builds {good.flags.name} and {bad.flags.name}")
        point = comparison.point
        return self._functions(
            comparison.subject, ((point, good), (point, bad)), found.criterion, comparison.lead
        )

    def _functions(
        self,
        subject: Subject,
        sides: tuple[tuple[Point, Variant], tuple[Point, Variant]],
        criterion: Criterion,
        lead: int,
    ) -> InsideAnswer:
        """Return which functions tell a good build from a bad one."""
        bed = self.tester.bed
        assert isinstance(bed, LocalBed)  # the command sees to that
        builds = TwoBuilds(
            bed=bed,
            subject=subject,
            sides=sides,
            every_layer=self.tester.whole.model.graph.layer_types(),
            criterion=criterion,
            say=self.say,
            lead=lead,
        )
        with scratch_directory("inside-") as scratch:
            return builds.searched(scratch)

    def _known_options(self, point: Point) -> frozenset[str]:
        return known_options(self.tester.resolver.source(point.revision).path)
