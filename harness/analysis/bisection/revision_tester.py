"""Measures revisions, and remembers what came of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import harness
from harness.analysis.bisection.bed import Bed, Trial
from harness.analysis.bisection.measurement import Measurement, Memory
from harness.build.plan import core_digest, has_folder
from harness.domain.spec import BuildSpec, content_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.submodel import Subject
    from harness.build.resolver import BuildResolver
    from harness.domain.records import CellRecord


@dataclass(frozen=True, kw_only=True)
class RevisionTester:
    """What measuring takes."""

    bed: Bed
    resolver: BuildResolver
    """Where sources come from, to be read here."""
    whole: Subject
    """The whole model: a build that has all its layers serves for each of them too."""
    session: Memory
    """The measurements of this bisection, in the order in which they were made."""
    remember: bool = True
    """Whether measurements of earlier bisections may be used."""

    @property
    def width(self) -> int:
        """How many revisions are measured at the same time."""
        return self.bed.width

    def memory(self, subject: Subject, variant: Variant) -> Memory:
        """Return the memory of everything that was measured under the same conditions."""
        flags = {k: v for k, v in asdict(variant.flags).items() if k != "name"}
        run = {k: v for k, v in asdict(variant.run).items() if k != "name"}
        key = content_key(
            {
                "harness": harness.__version__,
                "core": core_digest(),
                "subject": subject.key,
                "flags": flags,
                "run": run,
                **self.bed.conditions(variant.flags),
            }
        )
        return Memory(path=self.resolver.store.bisections / f"{key}.jsonl")

    def recall(
        self, subject: Subject, variant: Variant, *, this_session: bool = False
    ) -> dict[str, list[Measurement]]:
        """Return by point what is known: all of this bisection, else one earlier measurement.

        Args:
            subject: what was run.
            variant: how it was compiled and run.
            this_session: leave out what earlier bisections measured.
        """
        mine = {each.finished for found in self.session.by_point().values() for each in found}
        known = {}
        for point, found in self.memory(subject, variant).by_point().items():
            own = [each for each in found if each.finished in mine]
            earlier = found[-1:] if self.remember and not this_session else []
            known[point] = own or earlier
        return {point: found for point, found in known.items() if found}

    def measure(self, point: Point, subject: Subject, variant: Variant) -> Measurement:
        """Build a revision if need be, run the subject on it and remember what came of it.

        Raises:
            MachineError: something that has nothing to do with the revision.
            SourceError: its source cannot be had.
        """
        found, lasting = self.bed.measure(self._trial(point, subject, variant))
        if lasting:
            self.memory(subject, variant).append(found)
        self.session.append(found)
        return found

    def look_ahead(self, wanted: Iterable[tuple[Point, Subject]], variant: Variant) -> None:
        """Take note of what will be measured soon, the most probable first.

        What is measured at the same time costs no time; nobody need ask for it in the end.
        """
        self.bed.look_ahead([self._trial(point, subject, variant) for point, subject in wanted])

    def cell(self, point: Point, variant: Variant) -> CellRecord | None:
        """Run the whole model once more and return all of it, or None if no build has it all.

        Raises:
            SourceError: the revision's source cannot be had.
        """
        return self.bed.record(self._trial(point, self.whole, variant))

    def built(self, points: Sequence[Point], variant: Variant) -> frozenset[str]:
        """Return the ids of the revisions of which some build with these flags is there.

        It may lack the layers asked for: this is for choosing among points, not for use.
        """
        names = self.bed.builds()
        found = set()
        for point in points:
            spec = BuildSpec(revision=point.revision, flags=variant.flags, layers=None)
            if has_folder(names, spec):
                found.add(point.id)
        return frozenset(found)

    def _trial(self, point: Point, subject: Subject, variant: Variant) -> Trial:
        return Trial(
            point=point.id,
            revision=point.revision,
            variant=variant,
            subject=subject,
            every_layer=self.whole.model.graph.layer_types(),
        )
