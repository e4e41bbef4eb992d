"""The search between two builds, one good, one bad: which files and functions make it bad.

Files of either build are linked together, and then functions of either build of the files that
matter, see `harness.build.mixing`. What is looked for is the smallest part that, compiled as in the
good build, makes the bad one good. Then the other side is asked: the good build with nothing but
that part as in the bad one. What does not hold on both sides is no answer: then the larger part is.

The builds may be of one source, compiled in two ways, or of a revision and its parent.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from harness.analysis.bisection.bed import Trial
from harness.analysis.bisection.inside.answer import InsideAnswer
from harness.analysis.bisection.inside.function_source import function_diff, function_source
from harness.analysis.bisection.inside.mixtures import Mixtures, first_of, telling
from harness.analysis.delta_debugging import DeltaDebugger, Result
from harness.build.mixing.mixer import Function, Mixer
from harness.build.mixing.names import demangled
from harness.build.mixing.objects import object_build
from harness.domain.outcomes import Outcome
from harness.domain.spec import BuildSpec
from harness.util.errors import BuildError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.analysis.bisection.bed import LocalBed, Variant
    from harness.analysis.bisection.criterion import Criterion, Observation
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.submodel import Subject
    from harness.build.builder import Build
    from harness.build.mixing.assembly import Symbol, TwoTexts
    from harness.build.mixing.objects import ObjectBuild

_Part = TypeVar("_Part", bound="str | Function")
_PARAMETERS = re.compile(r"\([^()]*\)(?: const)?$")
MOST_FILES = 8
"""Files that are looked into; more are the answer themselves."""


@dataclass(frozen=True, kw_only=True)
class TwoBuilds:
    """What tells a good build from a bad one: flags, the compiler, or a change of source."""

    bed: LocalBed
    subject: Subject
    sides: tuple[tuple[Point, Variant], tuple[Point, Variant]]
    """The good one and the bad one, with the same run options."""
    every_layer: frozenset[str]
    criterion: Criterion
    say: Callable[[str], None]
    lead: int = 1

    def searched(self, scratch: Path) -> InsideAnswer:
        """Compile both once more, keep their object files, and return the part that matters.

        Args:
            scratch: an empty directory.

        Raises:
            MachineError: something that has nothing to do with the builds.
        """
        started = time.monotonic()
        resolver = self.bed.resolver
        layers = self.subject.model.graph.layer_types()
        sides = []
        for word, (point, variant) in zip(("good", "bad"), self.sides, strict=True):
            self.say(f"inside: compiling {point.name} {variant.flags.name}, to keep its parts")
            spec = BuildSpec(revision=point.revision, flags=variant.flags, layers=layers)
            try:
                plan = resolver.plan(spec)
                sides.append(object_build(resolver.builder, plan, scratch / word))
            except BuildError as error:
                return InsideAnswer(note=f"not looked inside: {error}")
        first, second = sides
        search = BuildSearch(
            mixer=Mixer(builder=resolver.builder, sides=(first, second), folder=scratch / "mixed"),
            measure=self._observed,
            criterion=self.criterion,
            say=self.say,
            lead=self.lead,
        )
        seconds = round(time.monotonic() - started, 1)
        answer = search.run()
        return answer.model_copy(update={"seconds": round(answer.seconds + seconds, 1)})

    def _observed(self, make: Callable[[], Build]) -> Observation:
        point, bad = self.sides[1]
        trial = Trial(
            point=point.id,
            revision=point.revision,
            variant=bad,
            subject=self.subject,
            every_layer=self.every_layer,
        )
        found = self.bed.measure_in(trial, lambda: self.bed.resolver.runnable(make(), bad.flags))
        return found.observation(self.subject.watched, self.criterion.metric)


@dataclass(frozen=True, kw_only=True)
class _Found(Generic[_Part]):
    """What a search at one level found."""

    part: tuple[_Part, ...]
    holds: bool
    """Whether both sides were as they are to be."""
    lines: tuple[str, ...]


@dataclass(kw_only=True)
class BuildSearch:
    """Two builds, with what measures mixtures of them."""

    mixer: Mixer
    measure: Callable[[Callable[[], Build]], Observation]
    """Runs what a function builds; a `BuildError` of that function is a result as well."""
    criterion: Criterion
    say: Callable[[str], None]
    lead: int = 1
    """By how many measurements a verdict must lead: more than one where measurements err."""
    _measurements: int = 0

    def run(self) -> InsideAnswer:
        """Return the part that matters.

        Raises:
            MachineError: something that has nothing to do with the builds.
        """
        started = time.monotonic()
        answer = self._answer()
        return answer.model_copy(
            update={
                "measurements": self._measurements,
                "seconds": round(time.monotonic() - started, 1),
            }
        )

    def _answer(self) -> InsideAnswer:
        units = self.mixer.units()
        if not units:
            return InsideAnswer(note="not looked inside: both builds are of the same object files")
        mixtures: Mixtures[str] = self._mixtures(lambda some: self._measured(some, {}, frozenset()))
        try:
            files = self._narrowed("file", units, (), mixtures, str)
        except UsageError:
            return InsideAnswer(
                note=f"not looked inside: linked once more, {_ends(mixtures, units)}"
            )
        answer = InsideAnswer(
            parts=files.part,
            level="files",
            of_files=len(units),
            evidence=files.lines,
        )
        if not files.holds:
            return answer.model_copy(update={"parts": units, "level": "change"})
        if len(files.part) > MOST_FILES:
            more = f"not looked into: more than {MOST_FILES} files"
            return answer.model_copy(update={"evidence": (*answer.evidence, more)})
        for inlining in (True, False):
            answer = self._with_functions(answer, files.part, units, inlining=inlining)
        return answer

    def _with_functions(
        self, answer: InsideAnswer, files: Sequence[str], units: Sequence[str], *, inlining: bool
    ) -> InsideAnswer:
        """Add which functions of some files matter, if that can be told."""
        how = "" if inlining else "with nothing inlined, "

        def without(why: str) -> InsideAnswer:
            lines = (*answer.evidence, f"{how}functions cannot be told apart: {why}")
            return answer.model_copy(update={"evidence": lines})

        try:
            found = {unit: self.mixer.split(unit, inlining=inlining) for unit in files}
            split = {unit: texts for unit, texts in found.items() if texts}
        except BuildError as error:
            return without(str(error))
        functions = [
            Function(unit, symbol) for unit, texts in split.items() for symbol in texts.functions()
        ]
        if not functions:
            return answer
        own: list[str | Function] = [*(unit for unit in files if unit not in split), *functions]
        rest = [unit for unit in units if unit not in files]
        mixtures: Mixtures[str | Function] = self._mixtures(
            lambda some: self._measured(
                frozenset(each for each in some if isinstance(each, str)),
                split,
                frozenset(each for each in some if isinstance(each, Function)),
            )
        )
        try:
            narrowed = self._narrowed("function", own, rest, mixtures, _in_short)
        except UsageError:
            return without(_ends(mixtures, own, rest))
        if not narrowed.holds:
            lines = (f"{how}no function holds on both sides:", *narrowed.lines)
            return answer.model_copy(update={"evidence": (*answer.evidence, *lines)})
        source = self._source(narrowed.part, split, with_company=not inlining)
        parts = tuple(map(_in_full, narrowed.part))
        if answer.level == "functions" and set(answer.parts) == set(parts):
            return answer.model_copy(update=source)
        lines = tuple(f"{how}{line}" for line in narrowed.lines)
        return answer.model_copy(
            update={
                "parts": parts,
                "level": "functions",
                "of_functions": max(answer.of_functions, len(functions)),
                **source,
                "evidence": (*answer.evidence, *lines),
            }
        )

    def _narrowed(
        self,
        what: str,
        own: Sequence[_Part],
        rest: Sequence[_Part],
        mixtures: Mixtures[_Part],
        name: Callable[[_Part], str],
    ) -> _Found[_Part]:
        """Return the smallest part that matters.

        Args:
            what: what the items are called.
            own: what is searched.
            rest: all else that differs.
            mixtures: measures them.
            name: returns the name of an item.

        Raises:
            UsageError: the two ends are not as they are to be.
        """
        everything, others = frozenset([*own, *rest]), frozenset(rest)

        progress = telling(self.say, what, own, "as in the bad build")

        def named(part: frozenset[_Part]) -> str:
            return first_of([name(each) for each in [*own, *rest] if each in part])

        reverts = DeltaDebugger(
            items=own, test=lambda some: mixtures.result(others | some), progress=progress
        ).minimal_reverts(limit=1)
        part = frozenset(reverts[0].items)
        lines = [
            f"all but {named(part)} as in the bad build: {mixtures.described(everything - part)}"
        ]
        unknown = frozenset(
            item
            for item, result in zip(reverts[0].items, reverts[0].without, strict=True)
            if result is Result.UNRESOLVED
        )
        if unknown and len(part) > 1:
            lines.append(
                f"whether each of them matters is not known, since it cannot be tested to take "
                f"back all of these but one: {named(unknown)}"
            )

        def nothing_but(part: frozenset[_Part], base: frozenset[_Part]) -> Outcome:
            """Measure the other side: nothing but a part, and what is below it, is bad."""
            outcome = mixtures.outcome(base | part)
            besides = " and all other files" if base else ""
            seen = mixtures.described(base | part)
            lines.append(f"nothing but {named(part)}{besides} as in the bad build: {seen}")
            return outcome

        base: frozenset[_Part] = frozenset()
        alone = nothing_but(part, base)
        if alone is not Outcome.BAD and others:
            nothing = mixtures.outcome(base)
            if nothing is Outcome.BAD:
                lines.append(f"nothing as in the bad build: {mixtures.described(base)}")
                return _Found(part=tuple(own), holds=False, lines=tuple(lines))
            if not nothing.decides:
                # What is kept of the bad build's text may refer to a file only that build has.
                base = others
                alone = nothing_but(part, base)
        if alone is Outcome.BAD:
            return _Found(part=self._ordered(part, own), holds=True, lines=tuple(lines))
        enough = DeltaDebugger(
            items=own if base else [*own, *rest],
            test=lambda some: mixtures.result(base | some),
            progress=progress,
        ).minimal_failing()
        together = frozenset(enough.items)
        nothing_but(together, base)
        if alone.decides:
            without = mixtures.outcome(everything - together)
            lines.append(
                f"all but these as in the bad build: {mixtures.described(everything - together)}"
            )
            holds = without is Outcome.GOOD
            return _Found(
                part=enough.items if holds else tuple(own), holds=holds, lines=tuple(lines)
            )
        # It does not link without what it refers to: that says nothing against it.
        return _Found(part=self._ordered(part, own), holds=part <= together, lines=tuple(lines))

    @staticmethod
    def _ordered(part: frozenset[_Part], items: Sequence[_Part]) -> tuple[_Part, ...]:
        return tuple(item for item in items if item in part)

    def _mixtures(self, measure: Callable[[frozenset[_Part]], Observation]) -> Mixtures[_Part]:
        return Mixtures(
            measure=lambda some, _: measure(some),
            criterion=self.criterion,
            becomes=Outcome.BAD,
            lead=self.lead,
        )

    def _measured(
        self,
        bad: frozenset[str],
        split: Mapping[str, TwoTexts],
        functions: frozenset[Function],
    ) -> Observation:
        """Link a mixture and run it."""
        self._measurements += 1
        try:
            return self.measure(lambda: self.mixer.made(bad, split, functions))
        finally:
            self.mixer.tidy()

    def _source(
        self,
        parts: Sequence[str | Function],
        split: Mapping[str, TwoTexts],
        *,
        with_company: bool,
    ) -> dict[str, object]:
        """Return the source of functions, how it was changed, and what came with them.

        What was inlined in one of two builds of the same source is nothing that came.
        """
        first, second = self.mixer.sides
        is_one_source = first.source == second.source
        with_company = with_company and not is_one_source
        texts: list[str] = []
        diffs: list[str] = []
        company: list[str] = []
        for part in parts:
            if isinstance(part, str):
                continue
            both = split[part.unit]
            called = both.company(part.symbol) if with_company else ()
            added = [
                name
                for name in called
                if name not in company and _is_within(both.texts[1].symbols.get(name), second)
            ]
            company += added
            for symbol in (part.symbol, *added):
                older, newer = (
                    function_source(text.symbols[symbol].place, side.source)
                    if symbol in text.symbols
                    else None
                    for text, side in zip(both.texts, self.mixer.sides, strict=True)
                )
                texts.append(str(newer or older or ""))
                if not is_one_source:
                    # Else what one compiler does not tell the place of would be new.
                    diffs.append(function_diff(older, newer))
        return {
            "company": tuple(map(_plain, company)),
            "code": "\n\n".join(filter(None, texts)),
            "diff": "\n".join(filter(None, diffs)),
        }


def _is_within(symbol: Symbol | None, build: ObjectBuild) -> bool:
    """Return whether a function is of the source that was built, and not of a library."""
    place = symbol.place.rpartition(":")[0] if symbol else ""
    return bool(place) and Path(place).resolve().is_relative_to(build.source.resolve())


def _ends(mixtures: Mixtures[_Part], own: Sequence[_Part], rest: Sequence[_Part] = ()) -> str:
    """Return what the two builds are if they are not the good one and the bad one any more."""
    others = frozenset(rest)
    good, bad = (mixtures.described(others | frozenset(some)) for some in ((), own))
    return f"the good build is {good}, the bad one is {bad}"


def _in_full(part: str | Function) -> str:
    """Return a function as its file and its name with parameters, or a file."""
    if isinstance(part, str):
        return part
    return f"{part.unit}: {_plain(part.symbol)}"


def _in_short(part: str | Function) -> str:
    """Return a function's name alone, or a file."""
    if isinstance(part, str):
        return part
    return _PARAMETERS.sub("", _plain(part.symbol).replace("(anonymous namespace)::", ""))


def _plain(symbol: str) -> str:
    """Return a function's name in C++, without the namespace that nearly all are in."""
    return demangled(symbol).replace("ncnn::", "")
