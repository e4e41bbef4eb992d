"""Builds a revision and runs something on it, on this machine; says what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from harness.analysis.bisection.measurement import Measurement
from harness.domain.outcomes import Event
from harness.domain.records import CellRecord, Failure, Verdict
from harness.domain.spec import BuildSpec, CellSpec, FlagSet, InputSpec, Revision, RunSpec
from harness.execution.cell_runner import machine
from harness.util.errors import BuildError, LacksLayerError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from harness.analysis.bisection.submodel import Subject
    from harness.build.builder import Build
    from harness.build.resolver import BuildResolver
    from harness.execution.cell_runner import CellRunner

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
class Trial:
    """A revision, compiled and run in one way."""

    point: str
    """Its id."""
    revision: Revision
    variant: Variant
    subject: Subject
    every_layer: frozenset[str]
    """Layer types of the whole model: a build that has all of them serves for each part too."""


class Tried(NamedTuple):
    """What came of a trial."""

    found: Measurement
    lasting: bool
    """Whether it would come of it again; a compiler that crashed need not."""


class Bed(Protocol):
    """Where trials are made."""

    @property
    def width(self) -> int:
        """How many are made at the same time."""
        ...

    def conditions(self, flags: FlagSet) -> dict[str, object]:
        """Return what numbers depend on besides the trial: compiler and CPU."""
        ...

    def builds(self) -> Collection[str]:
        """Return the names of the finished builds that are there."""
        ...

    def measure(self, trial: Trial) -> Tried:
        """Build the revision if need be and run the subject on it.

        Raises:
            MachineError: something that has nothing to do with the revision.
            SourceError: its source cannot be had.
        """
        ...

    def look_ahead(self, trials: Sequence[Trial]) -> None:
        """Take note of what will be measured soon, the most probable first."""
        ...

    def record(self, trial: Trial) -> CellRecord | None:
        """Run the subject once more and return all of it, or None if it is not built.

        Raises:
            SourceError: the revision's source cannot be had.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LocalBed:
    """This machine, which makes one trial at a time with all of its cores."""

    resolver: BuildResolver
    runner: CellRunner
    width: int = 1

    def conditions(self, flags: FlagSet) -> dict[str, object]:
        """Return what numbers depend on besides the trial: compiler and CPU.

        Raises:
            MachineError: there is no such compiler.
        """
        compiler = self.resolver.compiler(flags)
        return {"compiler": [str(compiler.path), compiler.version], "cpu": machine()["cpu"]}

    def builds(self) -> Collection[str]:
        """Return the names of the finished builds that are there."""
        return self.resolver.store.module_names()

    def measure(self, trial: Trial) -> Tried:
        """Build the revision if need be and run the subject on it.

        Raises:
            MachineError: something that has nothing to do with the revision.
            SourceError: its source cannot be had.
        """
        return self._tried(trial, lambda: self._built(trial), self.runner)

    def measure_in(self, trial: Trial, make: Callable[[], Build]) -> Measurement:
        """Run the subject in a build of whatever kind; nothing of it is remembered.

        Args:
            trial: what is run; its variant says with which options.
            make: makes the build; what it raises is what came of the trial.

        Raises:
            MachineError: something that has nothing to do with the build.
        """
        return self._tried(trial, make, replace(self.runner, memory=None)).found

    def _tried(self, trial: Trial, make: Callable[[], Build], runner: CellRunner) -> Tried:
        started = time.monotonic()
        lasting = True
        blank = failed(trial)
        try:
            build = make()
        except LacksLayerError as error:
            found = blank.model_copy(update={"event": Event.LACKS_LAYER, "detail": str(error)})
        except BuildError as error:
            lasting = error.lasting
            found = blank.model_copy(update=_failed(error))
        else:
            found = _measurement(blank, _launched(trial, build, runner))
        return Tried(stamped(found, started), lasting and found.event is not Event.MACHINE)

    def look_ahead(self, trials: Sequence[Trial]) -> None:
        """Do nothing: all cores are busy."""

    def record(self, trial: Trial) -> CellRecord | None:
        """Run the subject once more and return all of it, or None if it is not built.

        Raises:
            SourceError: the revision's source cannot be had.
        """
        build = self._found(trial)
        return _launched(trial, build, self.runner) if build else None

    def _built(self, trial: Trial) -> Build:
        """Return the build for a subject: one with all layers if it is there, else its own.

        Raises:
            BuildError: it does not configure or compile, or lacks a layer.
            MachineError: something is missing here, such as a feature of the CPU.
        """
        if trial.subject.alone:
            whole = self._found(trial)
            if whole:
                return whole
        return self.resolver.build(_spec(trial, trial.subject.model.graph.layer_types()))

    def _found(self, trial: Trial) -> Build | None:
        if self.resolver.lacking(trial.variant.flags):
            return None
        try:
            return self.resolver.find(self.resolver.plan(_spec(trial, trial.every_layer)))
        except BuildError:
            return None


def _launched(trial: Trial, build: Build, runner: CellRunner) -> CellRecord:
    subject = trial.subject
    cell = CellSpec(
        build=_spec(trial, None),
        run=trial.variant.run,
        model=subject.model.spec,
        input=InputSpec(name=subject.input.name),
    )
    # What was measured before is remembered by revision.
    return runner.run(
        [cell],
        build,
        subject.model,
        [subject.input],
        alone=not subject.alone,
        recall=False,
        # A search measures again what it doubts, and may be after a crash that comes and goes.
        again=False,
    )[0]


def failed(trial: Trial, detail: str = "") -> Measurement:
    """Return the measurement of a trial of which nothing came."""
    return Measurement(
        point=trial.point, event=Event.RUN_FAILED, detail=detail, alone=trial.subject.alone
    )


def stamped(found: Measurement, started: float) -> Measurement:
    """Return a measurement that says when it was made and what it took, since `started`."""
    return found.model_copy(
        update={
            "seconds": round(time.monotonic() - started, 2),
            "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
        }
    )


def _spec(trial: Trial, layers: frozenset[str] | None) -> BuildSpec:
    return BuildSpec(revision=trial.revision, flags=trial.variant.flags, layers=layers)


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
    log = f" (log: {error.log})" if error.log else ""
    if ": no result after" in error.first_error:
        event = Event.TIMEOUT
    return {"event": event, "detail": f"{error.first_error}{log}"}


def _what_happened(record: CellRecord) -> tuple[Event, str]:
    if record.output is not None:
        return Event.MEASURED, ""
    if record.failure is Failure.MACHINE:
        return Event.MACHINE, record.reason
    if record.verdict in (Verdict.UNSUPPORTED, Verdict.SKIPPED):
        return Event.LOAD_FAILED, record.reason
    return _EVENTS[record.failure or Failure.RUN], record.reason
