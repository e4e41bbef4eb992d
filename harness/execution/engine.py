"""Run these cells, give me records as they come.

`Engine` is the interface; `LocalEngine` builds and runs on this machine: one thread compiles
while others run cells of the builds that are finished. Nothing above knows which engine works.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.build.builder import Build
from harness.domain.records import BuildRecord, CellRecord, Verdict
from harness.execution.progress import BuildFinished, BuildStarted, CellFinished, MatrixEvent
from harness.util.errors import (
    BuildError,
    LacksLayerError,
    MachineError,
    SourceError,
    UnbuildableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.build.plan import BuildPlan
    from harness.build.resolver import BuildResolver
    from harness.domain.spec import BuildSpec, CellSpec, ModelSpec
    from harness.execution.cell_runner import CellRunner
    from harness.model.prepared_model import PreparedModel
    from harness.reference.prepared_input import PreparedInput


class Engine(Protocol):
    """Whatever can run cells."""

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        """Yield one record per cell, in the order in which they finish."""
        ...


@dataclass(frozen=True, kw_only=True)
class ModelAtHand:
    """A model with its inputs by name: what a build is to run."""

    model: PreparedModel
    inputs: Mapping[str, PreparedInput]


@dataclass(frozen=True, kw_only=True)
class NoModel:
    """What stands in for a model that could not be made: the verdict of its cells."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Builds and runs on this machine."""

    resolver: BuildResolver
    runner: CellRunner
    models: Mapping[ModelSpec, ModelAtHand | NoModel]
    notify: Callable[[MatrixEvent], None]
    workers: int = 1
    """How many cells run at the same time."""
    build_unsupported: bool = False

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        """Yield one record per cell, in the order in which they finish.

        Raises:
            MachineError: something stops all builds, such as a full disk.
        """
        finished: queue.Queue[list[CellRecord] | BaseException | None] = queue.Queue()
        thread = threading.Thread(target=self._produce, args=(cells, finished), daemon=True)
        thread.start()
        try:
            while (item := finished.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                for record in item:
                    self.notify(CellFinished(record=record))
                    yield record
        except BaseException:
            self.runner.launcher.processes.stop()
            raise

    def _produce(
        self,
        cells: Sequence[CellSpec],
        finished: queue.Queue[list[CellRecord] | BaseException | None],
    ) -> None:
        """Compile one build after the other, and hand its cells to the pool when it is done."""
        try:
            with ThreadPoolExecutor(self.workers) as pool:
                cells = self._with_model(cells, finished)
                for spec in dict.fromkeys(cell.build for cell in cells):
                    own = [cell for cell in cells if cell.build == spec]
                    built = self._build(spec)
                    if not isinstance(built, Build):
                        verdict, reason, record = built
                        if not record.key and verdict != Verdict.BUILD_FAILED:
                            self.notify(BuildFinished(build=spec.id, left_out=reason))
                        finished.put([self._unrun(c, verdict, reason, record) for c in own])
                        continue
                    for same in dict.fromkeys((cell.run, cell.model) for cell in own):
                        group = [cell for cell in own if (cell.run, cell.model) == same]
                        pool.submit(self._cells, group, built, finished)
            finished.put(None)
        except BaseException as error:
            finished.put(error)

    def _with_model(
        self,
        cells: Sequence[CellSpec],
        finished: queue.Queue[list[CellRecord] | BaseException | None],
    ) -> list[CellSpec]:
        """Return the cells whose model is there; the others are finished."""
        left = []
        for cell in cells:
            model = self.models[cell.model]
            if isinstance(model, NoModel):
                unrun = self._unrun(cell, model.verdict, model.reason, _blank(cell.build))
                finished.put([unrun])
            else:
                left.append(cell)
        return left

    def _cells(
        self,
        cells: Sequence[CellSpec],
        build: Build,
        finished: queue.Queue[list[CellRecord] | BaseException | None],
    ) -> None:
        try:
            at_hand = self.models[cells[0].model]
            assert isinstance(at_hand, ModelAtHand)
            inputs = [at_hand.inputs[cell.input.name] for cell in cells]
            finished.put(self.runner.run(cells, build, at_hand.model, inputs))
        except BaseException as error:
            finished.put(error)

    def _build(self, spec: BuildSpec) -> Build | tuple[Verdict, str, BuildRecord]:
        """Return a finished build, or the verdict that stands in for it."""
        blank = _blank(spec)
        unsupported = self.resolver.lacking(spec.flags)
        if unsupported and not self.build_unsupported:
            return Verdict.UNSUPPORTED, unsupported, blank
        try:
            plan = self.resolver.plan(spec)
        except LacksLayerError as error:
            return Verdict.UNSUPPORTED, str(error), blank
        except (MachineError, SourceError) as error:
            return Verdict.SKIPPED, str(error), blank
        try:
            build = self._make(plan)
        except UnbuildableError as error:
            return Verdict.SKIPPED, str(error), blank
        except BuildError as error:
            self.notify(BuildFinished(build=spec.id, error=error.first_error))
            return Verdict.BUILD_FAILED, f"{error.first_error} (log: {error.log})", blank
        if unsupported:
            return Verdict.UNSUPPORTED, f"{unsupported}; compiled only", build.record
        return build

    def _make(self, plan: BuildPlan) -> Build:
        found = self.resolver.find(plan)
        if found:
            untrimmed = found.record.untrimmed
            self.notify(BuildFinished(build=plan.spec.id, cached=True, untrimmed=untrimmed))
            return found
        self.notify(BuildStarted(build=plan.spec.id))
        build = self.resolver.make(plan)
        self.notify(
            BuildFinished(
                build=plan.spec.id,
                seconds=build.record.seconds,
                untrimmed=build.record.untrimmed,
            )
        )
        return build

    def _unrun(
        self, cell: CellSpec, verdict: Verdict, reason: str, build: BuildRecord
    ) -> CellRecord:
        return self.runner.blank(cell, build).model_copy(
            update={"verdict": verdict, "reason": reason}
        )


def _blank(spec: BuildSpec) -> BuildRecord:
    """Return the record of a build that was not made."""
    return BuildRecord(id=spec.id, key="", version=spec.revision.label, flags=spec.flags.name)
