"""Builds a revision, runs something on it, and says what came of it as a measurement."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import harness
from harness.analysis.bisection.measurement import Measurement, Memory
from harness.build.plan import core_digest
from harness.domain.outcomes import Event
from harness.domain.records import CellRecord, Failure, Verdict
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    Revision,
    RunSpec,
    content_key,
)
from harness.execution.cell_runner import CellRunner, machine
from harness.util.errors import BuildError, LacksLayerError

if TYPE_CHECKING:
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.submodel import Subject
    from harness.build.builder import Build
    from harness.build.resolver import BuildResolver

_EVENTS = {
    Failure.TIMEOUT: Event.TIMEOUT,
    Failure.LACKS_LAYER: Event.LACKS_LAYER,
    Failure.LOAD: Event.LOAD_FAILED,
    Failure.RUN: Event.RUN_FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How a revision is compiled and run."""

    flags: FlagSet
    run: RunSpec


@dataclass(frozen=True, kw_only=True)
class RevisionTester:
    """What measuring takes."""

    resolver: BuildResolver
    runner: CellRunner
    whole: Subject
    """The whole model: a build that has all its layers serves for each of them too."""
    session: Memory
    """The measurements of this bisection, in the order in which they were made."""
    remember: bool = True
    """Whether measurements of earlier bisections may be used."""

    def memory(self, subject: Subject, variant: Variant) -> Memory:
        """Return the memory of everything that was measured under the same conditions."""
        compiler = self.resolver.compiler(variant.flags)
        flags = {k: v for k, v in asdict(variant.flags).items() if k != "name"}
        run = {k: v for k, v in asdict(variant.run).items() if k != "name"}
        key = content_key(
            {
                "harness": harness.__version__,
                "core": core_digest(),
                "subject": subject.key,
                "flags": flags,
                "compiler": [str(compiler.path), compiler.version],
                "run": run,
                "cpu": machine()["cpu"],
            }
        )
        return Memory(path=self.resolver.store.bisections / f"{key}.jsonl")

    def recall(
        self, subject: Subject, variant: Variant, *, this_session: bool = False
    ) -> dict[str, list[Measurement]]:
        """Return by point what is known: all of this bisection, else one earlier measurement.

        Args:
            subject: what was run.
            setting: how it was compiled and run.
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
        started = time.monotonic()
        lasting = True
        blank = Measurement(point=point.id, event=Event.RUN_FAILED, alone=subject.alone)
        try:
            build = self.build(point.revision, subject, variant)
        except LacksLayerError as error:
            found = blank.model_copy(update={"event": Event.LACKS_LAYER, "detail": str(error)})
        except BuildError as error:
            lasting = error.lasting
            found = blank.model_copy(update=_failed(error))
        else:
            found = _measurement(blank, self._launched(point.revision, build, subject, variant))
        found = found.model_copy(
            update={
                "seconds": round(time.monotonic() - started, 2),
                "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
            }
        )
        if lasting and found.event is not Event.MACHINE:
            self.memory(subject, variant).append(found)
        self.session.append(found)
        return found

    def cell(self, point: Point, variant: Variant) -> CellRecord | None:
        """Run the whole model once more and return all of it, or None if no build has it all.

        Raises:
            SourceError: the revision's source cannot be had.
        """
        build = self._find_whole(point.revision, variant)
        return self._launched(point.revision, build, self.whole, variant) if build else None

    def build(self, revision: Revision, subject: Subject, variant: Variant) -> Build:
        """Return the build for a subject: one with all layers if it is there, else its own.

        Raises:
            BuildError: it does not configure or compile, or lacks a layer.
            MachineError: something is missing here, such as a feature of the CPU.
        """
        if subject.alone:
            whole = self._find_whole(revision, variant)
            if whole:
                return whole
        return self.resolver.build(_spec(revision, subject, variant))

    def is_built(self, point: Point, variant: Variant) -> bool:
        """Return whether some build of this revision and these flags is there.

        It may lack the layers asked for: this is for choosing among points, not for use.
        """
        pattern = f"{point.revision.label}-{variant.flags.name}-*"
        return any(self.resolver.store.modules.glob(pattern))

    def _find_whole(self, revision: Revision, variant: Variant) -> Build | None:
        if self.resolver.lacking(variant.flags):
            return None
        try:
            return self.resolver.find(self.resolver.plan(_spec(revision, self.whole, variant)))
        except BuildError:
            return None

    def _launched(
        self, revision: Revision, build: Build, subject: Subject, variant: Variant
    ) -> CellRecord:
        cell = CellSpec(
            build=BuildSpec(revision=revision, flags=variant.flags, layers=None),
            run=variant.run,
            model=subject.model.spec,
            input=InputSpec(name=subject.input.name),
        )
        # What was measured before is in this tester's own memory, by revision.
        return self.runner.run(
            [cell],
            build,
            subject.model,
            [subject.input],
            alone=not subject.alone,
            recall=False,
            # A search measures again what it doubts, and may be after a crash that comes and goes.
            again=False,
        )[0]


def _spec(revision: Revision, subject: Subject, variant: Variant) -> BuildSpec:
    layers = subject.model.graph.layer_types()
    return BuildSpec(revision=revision, flags=variant.flags, layers=layers)


def _measurement(blank: Measurement, record: CellRecord) -> Measurement:
    event, detail = _what_happened(record)
    return blank.model_copy(
        update={
            "event": event,
            "detail": detail,
            "output": record.output,
            "output_blob": record.output_blob,
            "layers": record.layers,
            "options": record.options,
            "latency_ms": record.latency_ms,
            "build": f"{record.build.id}-{record.build.key}",
        }
    )


def _failed(error: BuildError) -> dict[str, object]:
    """Tell a failed configure step from a failed compile step and from one that hung."""
    step, _, _ = error.first_error.partition(":")
    event = Event.CONFIGURE_FAILED if step == "configure" else Event.BUILD_FAILED
    if ": no result after" in error.first_error:
        event = Event.TIMEOUT
    return {"event": event, "detail": f"{error.first_error} (log: {error.log})"}


def _what_happened(record: CellRecord) -> tuple[Event, str]:
    if record.output is not None:
        return Event.MEASURED, ""
    if record.failure is Failure.MACHINE:
        return Event.MACHINE, record.reason
    if record.verdict in (Verdict.UNSUPPORTED, Verdict.SKIPPED):
        return Event.LOAD_FAILED, record.reason
    return _EVENTS[record.failure or Failure.RUN], record.reason
