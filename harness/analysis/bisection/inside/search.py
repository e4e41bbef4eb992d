"""The search inside a change of source: which files, and which hunks of them, make it bad.

What is looked for is the smallest part of the change that, taken back, undoes its effect: that
compiles nearly always, where the same part alone need not, for want of what it calls. It is looked
for by delta debugging, first among files, then among the hunks of those. Then the other side is
asked: the older source with nothing but that part. Where that has not the effect, others are needed
too, and the smallest part that has it is looked for. What does not hold on both sides is no answer:
then the files are, or the whole change.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from harness.analysis.bisection.history import Point
from harness.analysis.bisection.inside.answer import InsideAnswer
from harness.analysis.bisection.inside.hunks import Hunk, applied, diff_text, hunks_between
from harness.analysis.bisection.inside.mixtures import Mixtures, first_of, telling
from harness.analysis.bisection.inside.trees import differing_files, lay_mixture
from harness.analysis.delta_debugging import DeltaDebugger
from harness.domain.spec import Revision, content_key
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.criterion import Criterion, Observation
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.revision_tester import RevisionTester
    from harness.analysis.bisection.submodel import Subject
    from harness.domain.outcomes import Outcome


_Item = TypeVar("_Item", str, Hunk)


MOST_HUNKS = 40
"""Of a change whose hunks are told apart; one that has more is told apart by functions."""


@dataclass(kw_only=True)
class InsideSearch:
    """One change of source, with what measures mixtures of before and after."""

    tester: RevisionTester
    subject: Subject
    variant: Variant
    criterion: Criterion
    trees: tuple[Path, Path]
    """The older and the newer source."""
    after: Point
    """The newer one."""
    becomes: Outcome
    """What the change made it: `BAD`, or `GOOD`."""
    scratch: Path
    say: Callable[[str], None]
    lead: int = 1
    """By how many measurements a verdict must lead: more than one where measurements err."""
    _remembered: dict[str, list[Measurement]] = field(default_factory=dict)
    """What was known of each mixture before."""
    _measurements: int = 0

    def __post_init__(self) -> None:
        """Compare the trees."""
        self._older, newer = differing_files(*self.trees)
        self._hunks = hunks_between(self._older, newer)
        self._all = frozenset(self._hunks)
        self._files = _paths(self._hunks)
        self._mixtures = Mixtures(
            measure=self._measured,
            criterion=self.criterion,
            becomes=self.becomes,
            lead=self.lead,
        )

    @property
    def is_of_lines(self) -> bool:
        """Whether hunks can be told apart: those of a file that was rewritten need each other."""
        return len(self._hunks) <= MOST_HUNKS

    def with_size(self, answer: InsideAnswer) -> InsideAnswer:
        """Return an answer that was found in another way, with the size of the change."""
        return answer.model_copy(
            update={"of_hunks": len(self._hunks), "of_files": len(self._files)}
        )

    def run(self) -> InsideAnswer:
        """Return the part that matters.

        Raises:
            MachineError: something that has nothing to do with the source.
        """
        started = time.monotonic()
        try:
            answer = self._answer()
        except UsageError:
            older, newer = (self._mixtures.described(part) for part in (frozenset(), self._all))
            answer = InsideAnswer(
                note=f"not looked inside: in what is built, before is {older} and after is {newer}"
            )
        return self.with_size(answer).model_copy(
            update={
                "measurements": self._measurements,
                "seconds": round(time.monotonic() - started, 1),
            }
        )

    def _answer(self) -> InsideAnswer:
        files = self._smallest("file", self._files, self._of_files)
        own = [hunk for hunk in self._hunks if hunk.path in files]
        rest = self._all - frozenset(own)
        hunks = self._smallest("hunk", own, lambda some: rest | some)
        part = frozenset(hunks)
        lines = [f"without {first_of(_names(hunks))}: {self._mixtures.described(self._all - part)}"]
        alone = self._mixtures.outcome(part)
        lines.append(f"with nothing else of the change: {self._mixtures.described(part)}")
        if alone is self.becomes:
            return self._told("hunks", part, lines)
        whole = self._of_files(frozenset(files))
        if alone.decides and self._mixtures.outcome(whole) is not self.becomes:
            whole = self._of_files(frozenset(self._enough()))
        if whole not in (part, self._all):
            self._mixtures.outcome(whole)
            lines.append(self._with(_paths(self._ordered(whole)), whole))
        if not alone.decides:
            # It does not compile without what it calls: that says nothing against it.
            return self._told("hunks", part, lines)
        # Several that only have the effect together: each of them, taken back, undoes it.
        within = self._ordered(whole)
        together = frozenset(
            self._debugger("hunk", within, lambda some: some).minimal_failing().items
        )
        lines.append(self._with(_names(self._ordered(together)), together))
        without = self._mixtures.outcome(self._all - together)
        lines.append(f"without any of these: {self._mixtures.described(self._all - together)}")
        if without.decides and without is not self.becomes:
            return self._told("hunks", together, lines)
        return self._told("files" if whole != self._all else "change", whole, lines)

    def _enough(self) -> tuple[str, ...]:
        """Return the fewest files that have the effect without any other."""
        return self._debugger("file", self._files, self._of_files).minimal_failing().items

    def _told(self, level: str, part: frozenset[Hunk], lines: Sequence[str]) -> InsideAnswer:
        ordered = self._ordered(part)
        without, everything = (self._mixed(some) for some in (self._all - part, self._all))
        return InsideAnswer(
            parts=tuple(_names(ordered) if level == "hunks" else _paths(ordered)),
            level=level,
            diff=diff_text(without, everything),
            evidence=tuple(lines),
        )

    def _smallest(
        self,
        what: str,
        items: Sequence[_Item],
        hunks: Callable[[frozenset[_Item]], frozenset[Hunk]],
    ) -> tuple[_Item, ...]:
        """Return the fewest items that, taken back, undo the effect."""
        return self._debugger(what, items, hunks).minimal_reverts(limit=1)[0].items

    def _debugger(
        self,
        what: str,
        items: Sequence[_Item],
        hunks: Callable[[frozenset[_Item]], frozenset[Hunk]],
    ) -> DeltaDebugger[_Item]:
        progress = telling(self.say, what, items, "applied")
        return DeltaDebugger(
            items=items, test=lambda some: self._mixtures.result(hunks(some)), progress=progress
        )

    def _ordered(self, hunks: frozenset[Hunk]) -> list[Hunk]:
        return [hunk for hunk in self._hunks if hunk in hunks]

    def _of_files(self, files: frozenset[str]) -> frozenset[Hunk]:
        return frozenset(hunk for hunk in self._hunks if hunk.path in files)

    def _measured(self, hunks: frozenset[Hunk], times: int) -> Observation:
        """Build the older source with some hunks applied, and measure it once more."""
        files = self._mixed(hunks)
        key = content_key({name: content and content.hex() for name, content in files.items()})
        folder = self.scratch / key
        point = Point(
            id=f"{self.after.id}+{key}",
            revision=Revision(
                label=f"{self.after.revision.label}-part-{key[:8]}",
                kind="directory",
                name=str(folder),
            ),
        )
        if times == 0:
            recalled = self.tester.recall(self.subject, self.variant)
            self._remembered[point.id] = list(recalled.get(point.id, ()))
        known = self._remembered[point.id]
        if times < len(known):
            found = known[times]
        else:
            self._measurements += 1
            lay_mixture(self.trees[1], files, folder)
            try:
                found = self.tester.measure(point, self.subject, self.variant)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return found.observation(self.subject.watched, self.criterion.metric)

    def _mixed(self, hunks: frozenset[Hunk]) -> dict[str, bytes | None]:
        """Return all files that differ, with some hunks applied to the older ones."""
        return {path: self._older.get(path) for path in self._files} | applied(self._older, hunks)

    def _with(self, names: Sequence[str], hunks: frozenset[Hunk]) -> str:
        return f"with {first_of(names)} and nothing else: {self._mixtures.described(hunks)}"


def _paths(hunks: Sequence[Hunk]) -> list[str]:
    """Return the files that hunks are of, each once."""
    return list(dict.fromkeys(hunk.path for hunk in hunks))


def _names(hunks: Sequence[Hunk]) -> list[str]:
    return [hunk.name for hunk in hunks]
