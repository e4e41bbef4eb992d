"""Which build flags and run options turn good to bad: delta debugging between configurations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from harness.analysis.bisection.bed import Variant
from harness.analysis.bisection.criterion import Criterion, Observation, criterion_between
from harness.analysis.bisection.point_outcomes import LEAD, PointOutcome, settle
from harness.analysis.delta_debugging import DeltaDebugger, MinimalSet, Progress, Result
from harness.domain.formatting import option_text
from harness.domain.outcomes import Outcome
from harness.domain.spec import THREADS, FlagSet, OptionValue, content_key
from harness.util.codes import Code
from harness.util.errors import NotReproducibleError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.inside.answer import InsideAnswer
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.revision_tester import RevisionTester
    from harness.analysis.bisection.search_driver import Terms
    from harness.analysis.bisection.submodel import Subject

V = TypeVar("V")
COMPILER = "compiler"
CXX_FLAGS = "cxx_flags"
_RESULTS = {Outcome.GOOD: Result.PASS, Outcome.BAD: Result.FAIL}
ALTERNATIVES = 4


@dataclass(frozen=True, order=True)
class Difference:
    """One setting in which two configurations differ."""

    kind: Literal["run", "build"]
    name: str
    good: str
    bad: str
    """As it is in force; empty where a configuration leaves it to ncnn."""

    def __str__(self) -> str:
        """Return the setting as the bad configuration has it."""
        return f"{self.name}={self.bad or '(default)'}"

    @property
    def fix(self) -> str:
        """The setting as the good configuration has it."""
        return f"{self.name}={self.good or '(default)'}"


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """What of the differences matters."""

    criterion: Criterion
    sets: tuple[MinimalSet[Difference], ...]
    """Minimal sets that turn good to bad; all of a set's items are needed."""
    reverts: tuple[MinimalSet[Difference], ...]
    """Minimal sets to take back so that bad turns to good."""
    values: Mapping[frozenset[Difference], Observation]
    """What was measured with each subset applied to the good configuration."""
    differences: tuple[Difference, ...]
    inside: InsideAnswer | None = None
    """Which part of what is compiled matters, if that was asked."""


def differences(
    good: Variant, bad: Variant, *, known: frozenset[str], defaults: Mapping[str, OptionValue]
) -> tuple[Difference, ...]:
    """Return all settings in which two configurations differ, run options first.

    Args:
        good: the good configuration.
        bad: the bad one.
        known: CMake options that the version declares; others change nothing.
        defaults: fields of `ncnn::Option` that the version has, with its own values.
    """
    found = []
    runs = dict(good.run.options), dict(bad.run.options)
    for name in sorted({*runs[0], *runs[1]}):
        values = [_text(run.get(name, defaults.get(name))) for run in runs]
        found.append(Difference("run", name, *values))
    found.append(Difference("run", THREADS, str(good.run.threads), str(bad.run.threads)))
    flags = dict(good.flags.options), dict(bad.flags.options)
    for name in sorted({*flags[0], *flags[1]} & known):
        variants = (each.get(name, "") for each in flags)
        found += [Difference("build", name, *variants)]
    for name in (COMPILER, CXX_FLAGS):
        texts: list[str] = [getattr(each.flags, name) for each in (good, bad)]
        found.append(Difference("build", name, *texts))
    return tuple(each for each in found if each.good != each.bad)


def _text(value: OptionValue | None) -> str:
    return "" if value is None else option_text(value)


def mixed(good: Variant, bad: Variant, applied: Iterable[Difference]) -> Variant:
    """Return the good configuration with some differences applied."""
    chosen = frozenset(applied)
    names = {kind: {each.name for each in chosen if each.kind == kind} for kind in ("run", "build")}
    run = _mixed(dict(good.run.options), dict(bad.run.options), names["run"])
    flags = _mixed(dict(good.flags.options), dict(bad.flags.options), names["build"])
    threads = (bad if THREADS in names["run"] else good).run.threads
    compiler = (bad if COMPILER in names["build"] else good).flags.compiler
    cxx_flags = (bad if CXX_FLAGS in names["build"] else good).flags.cxx_flags
    named = content_key([flags, compiler, cxx_flags])[:8]
    mixture = FlagSet(
        name=f"mix-{named}",
        options=tuple(sorted(flags.items())),
        # What a mixture executes is known for neither side alone.
        needs=good.flags.needs | bad.flags.needs,
        compiler=compiler,
        cxx_flags=cxx_flags,
        target=good.flags.target,
    )
    return Variant(
        # The builds of the two configurations themselves may be there already.
        flags=next((e.flags for e in (good, bad) if _same(e.flags, mixture)), mixture),
        run=replace(good.run, name="mix", options=tuple(sorted(run.items())), threads=threads),
    )


def _same(one: FlagSet, other: FlagSet) -> bool:
    return replace(one, name="", needs=frozenset()) == replace(other, name="", needs=frozenset())


def _mixed(good: dict[str, V], bad: dict[str, V], changed: Iterable[str]) -> dict[str, V]:
    result = dict(good)
    for name in changed:
        result.pop(name, None)
        if name in bad:
            result[name] = bad[name]
    return result


class _ContradictionError(Exception):
    """Measurements of one configuration contradict each other: none is to be trusted alone."""


@dataclass(kw_only=True)
class Comparison:
    """One search for the differences that matter, at one revision."""

    tester: RevisionTester
    subject: Subject
    point: Point
    good: Variant
    bad: Variant
    terms: Terms
    listener: Callable[[Progress[Difference]], None]
    alternatives: int = ALTERNATIVES
    """How many minimal sets to look for."""
    lead: int = 1
    """By how many measurements a verdict must lead, see `settle`."""
    seen: dict[frozenset[Difference], list[Measurement]] = field(default_factory=dict)
    """What was measured with each subset applied to the good configuration."""

    def run(
        self, items: Sequence[Difference], criterion: Criterion | None = None
    ) -> ComparisonResult:
        """Return the minimal sets among `items`; those of the run come first: no rebuild.

        Args:
            items: the differences to search.
            question: what is good and bad; if None, what tells the two configurations apart.

        Raises:
            NotReproducibleError: the configurations do not differ in their result.
            UsageError: they differ in no setting, or are for different machines.
        """
        if self.good.flags.target != self.bad.flags.target:
            raise UsageError(
                "the two configurations are for different machines, so that they cannot be mixed. "
                "Name flag sets of one target with --good-flags and --bad-flags.",
                code=Code.ENDS_ALIKE,
            )
        if not items:
            raise UsageError(
                "the two configurations have the same settings in this version. Name others with "
                "--good-flags, --good-run, --bad-flags, --bad-run.",
                code=Code.ENDS_ALIKE,
            )
        try:
            return self._run(items, criterion)
        except _ContradictionError:
            self.lead = LEAD
            return self._run(items, criterion)

    def _run(self, items: Sequence[Difference], criterion: Criterion | None) -> ComparisonResult:
        asked = criterion or self._criterion(items)
        debugger = self.debugger(items, asked)
        self._check_order(items, asked)
        sets = debugger.minimal_sets(self.alternatives)
        reverts = debugger.minimal_reverts(self.alternatives)
        everything = frozenset(items)
        for each in sets:
            whole = frozenset(each.items)
            for claim in (whole, *(whole - {item} for item in each.items)):
                self.confirm(claim, asked)
        for each in reverts:
            self.confirm(everything - frozenset(each.items), asked)
        return ComparisonResult(
            criterion=asked,
            sets=sets,
            reverts=reverts,
            values=self.values,
            differences=tuple(items),
        )

    def conditions(self, items: Sequence[Difference], criterion: Criterion) -> ComparisonResult:
        """Return what the bad configuration needs, and what makes it good, each as measured.

        Like `run`, but it asks no more than can be told: if the good configuration is bad, too,
        no set of differences is said to turn good to bad, and only single ones are taken back.

        Raises:
            NotReproducibleError: the bad configuration is not bad.
        """
        try:
            return self._conditions(items, criterion)
        except _ContradictionError:
            self.lead = LEAD
            return self._conditions(items, criterion)

    def _conditions(self, items: Sequence[Difference], criterion: Criterion) -> ComparisonResult:
        nothing, everything = frozenset[Difference](), frozenset(items)
        if self.result(everything, criterion, least=LEAD) is not Result.FAIL:
            raise NotReproducibleError(f"{self.values[everything]} is not bad")
        if self.result(nothing, criterion, least=LEAD) is Result.PASS:
            return self._run(items, criterion)
        taken_back = [
            MinimalSet((item,), (Result.FAIL,))
            for item in items
            if self.result(everything - {item}, criterion) is Result.PASS
        ]
        for each in taken_back:
            self.confirm(everything - frozenset(each.items), criterion)
        return ComparisonResult(
            criterion=criterion,
            sets=(),
            reverts=tuple(taken_back),
            values=self.values,
            differences=tuple(items),
        )

    def debugger(
        self, items: Sequence[Difference], criterion: Criterion
    ) -> DeltaDebugger[Difference]:
        """Return what searches the differences; those of the run come first: no rebuild."""
        return DeltaDebugger(
            items=items,
            test=lambda applied: self.result(applied, criterion),
            cheap=frozenset(each for each in items if each.kind == "run"),
            progress=self.listener,
        )

    @property
    def values(self) -> dict[frozenset[Difference], Observation]:
        """The last observation with each subset applied."""
        return {
            applied: found[-1].observation(self.subject.watched, self.terms.metric)
            for applied, found in self.seen.items()
        }

    def result(
        self, applied: frozenset[Difference], criterion: Criterion, least: int = 1
    ) -> Result:
        """Return what a subset does, measured until that stands, and at least so many times."""
        found = self._known(applied)
        while True:
            outcomes = [self._outcome(each, criterion) for each in found]
            standing = settle(outcomes, self.lead) if outcomes else None
            if standing and standing.contradicts and self.lead < LEAD:
                raise _ContradictionError
            if standing and standing.outcome and len(found) >= least:
                return _RESULTS.get(standing.outcome, Result.UNRESOLVED)
            found.append(self._measured(applied))

    def confirm(self, applied: frozenset[Difference], criterion: Criterion) -> None:
        """Measure what is going to be stated as often as where measurements err."""
        self.result(applied, criterion, least=LEAD)

    def _outcome(self, found: Measurement, criterion: Criterion) -> PointOutcome:
        judged = criterion.judge(found.observation(self.subject.watched, self.terms.metric))
        return PointOutcome(0, judged.outcome, judged.near)

    def _known(self, applied: frozenset[Difference]) -> list[Measurement]:
        if applied not in self.seen:
            variant = mixed(self.good, self.bad, applied)
            known = self.tester.recall(self.subject, variant).get(self.point.id, [])
            self.seen[applied] = list(known)
        return self.seen[applied]

    def _measured(self, applied: frozenset[Difference]) -> Measurement:
        return self.tester.measure(self.point, self.subject, mixed(self.good, self.bad, applied))

    def _end(self, applied: frozenset[Difference]) -> Measurement:
        found = self._known(applied)
        if not found:
            found.append(self._measured(applied))
        return found[-1]

    def _criterion(self, items: Sequence[Difference]) -> Criterion:
        terms, watched = self.terms, self.subject.watched
        ends = [self._end(applied) for applied in (frozenset[Difference](), frozenset(items))]
        criterion = criterion_between(
            *(each.observation(watched, terms.metric) for each in ends),
            metric=terms.metric,
            rules=terms.rules,
            threshold=terms.threshold,
            limit=ends[1].limit(watched, terms.metric, terms.tolerance),
        )
        if isinstance(criterion, str):
            raise NotReproducibleError(f"{self.subject.description}: {criterion}")
        return criterion

    def _check_order(self, items: Sequence[Difference], criterion: Criterion) -> None:
        nothing, everything = frozenset[Difference](), frozenset(items)
        results = self.result(nothing, criterion), self.result(everything, criterion)
        numbers = f"{self.terms.metric} {self.values[nothing]} and {self.values[everything]}"
        if results == (Result.FAIL, Result.PASS):
            raise UsageError(
                f"the good configuration is worse than the bad one ({numbers}): exchange the "
                "--good- and --bad- arguments.",
                code=Code.ENDS_SWAPPED,
            )
        if results != (Result.PASS, Result.FAIL):
            raise NotReproducibleError(
                f"the two configurations do not differ as told ({numbers}). Name others, or "
                "another --threshold."
            )


def evidence(compared: ComparisonResult) -> list[str]:
    """Return one line per counter-test: each setting of each minimal set left out by itself."""
    lines = []
    for each in compared.sets:
        whole = frozenset(each.items)
        together = compared.values.get(whole)
        lines.append(f"{{{', '.join(map(str, each.items))}}} applied: {together}")
        for item, result in zip(each.items, each.without, strict=True):
            value = compared.values.get(whole - {item})
            lines.append(f"without {item} ({item.fix}): {value}, {_WORDS[result]}")
    return lines


_WORDS = {Result.PASS: "good", Result.FAIL: "still bad", Result.UNRESOLVED: "not testable"}
