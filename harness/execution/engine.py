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

from harness.execution.making import NotBuilt, blank
from harness.execution.progress import CellFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.build.builder import Build
    from harness.domain.records import CellRecord, Verdict
    from harness.domain.spec import BuildSpec, CellSpec, ModelSpec
    from harness.execution.cell_runner import CellRunner
    from harness.execution.making import Maker
    from harness.execution.progress import MatrixEvent
    from harness.model.prepared_model import PreparedModel
    from harness.reference.prepared_input import PreparedInput


class Engine(Protocol):
    """Whatever can run cells."""

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        """Yield one record per cell, in the order in which they finish."""
        ...

    def has_build(self, spec: BuildSpec) -> bool:
        """Return whether a build is there, so that its cells cost no compilation."""
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

    def build(self, spec: BuildSpec) -> NotBuilt:
        """Return what stands in for a build that nothing would run."""
        return NotBuilt(verdict=self.verdict, reason=self.reason, record=blank(spec))


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Builds and runs on this machine."""

    maker: Maker
    runner: CellRunner
    models: Mapping[ModelSpec, ModelAtHand | NoModel]
    notify: Callable[[MatrixEvent], None]
    workers: int = 1
    """How many cells run at the same time."""

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

    def has_build(self, spec: BuildSpec) -> bool:
        """Return whether a build is there, so that its cells cost no compilation."""
        return self.maker.is_made(spec)

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
                    built = self.maker.make(spec)
                    if isinstance(built, NotBuilt):
                        finished.put([self.runner.unrun(cell, built) for cell in own])
                        continue
                    for group in groups(own):
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
                finished.put([self.runner.unrun(cell, model.build(cell.build))])
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


def groups(cells: Sequence[CellSpec]) -> list[list[CellSpec]]:
    """Return cells of one build, those together that differ in their input only."""
    kinds = dict.fromkeys((cell.run, cell.model) for cell in cells)
    return [[cell for cell in cells if (cell.run, cell.model) == kind] for kind in kinds]
