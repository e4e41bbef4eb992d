"""Run these cells, give me records as they come.

`Engine` is the interface; `LocalEngine` builds and runs on this machine: one thread compiles
while others run cells of the builds that are finished. Nothing above knows which engine works.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from harness.build.builder import Build, Builder
from harness.build.glslang import shared_glslang
from harness.build.plan import BuildPlan, plan_build
from harness.build.runner import compiler_of, runner_command
from harness.build.toolchain import find_compiler, layer_arch, missing_features
from harness.build.vulkan import check_sdk
from harness.domain.records import BuildRecord, CellRecord, Verdict
from harness.domain.spec import BuildSpec, CellSpec, Revision
from harness.execution.launcher import Launcher
from harness.execution.progress import BuildFinished, BuildStarted, CellFinished, Event
from harness.model.prepared_model import PreparedModel
from harness.reference.prepared_input import PreparedInput
from harness.sources import SourceTree, obtain
from harness.util.build_store import Store
from harness.util.errors import BuildError, LacksLayerError, MachineError, SourceError
from harness.util.process import stop_everything


class Engine(Protocol):
    """Whatever can run cells."""

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        """Yield one record per cell, in the order in which they finish."""
        ...


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Builds and runs on this machine."""

    store: Store
    builder: Builder
    launcher: Launcher
    trees: dict[Revision, SourceTree]
    model: PreparedModel
    inputs: dict[str, PreparedInput]
    notify: Callable[[Event], None]
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
            stop_everything()
            raise

    def _produce(
        self,
        cells: Sequence[CellSpec],
        finished: queue.Queue[list[CellRecord] | BaseException | None],
    ) -> None:
        """Compile one build after the other, and hand its cells to the pool when it is done."""
        try:
            with ThreadPoolExecutor(self.workers) as pool:
                for spec in dict.fromkeys(cell.build for cell in cells):
                    own = [cell for cell in cells if cell.build == spec]
                    built = self._build(spec)
                    if not isinstance(built, Build):
                        verdict, reason, record = built
                        if not record.key and verdict != Verdict.BUILD_FAILED:
                            self.notify(BuildFinished(build=spec.id, left_out=reason))
                        finished.put([self._unrun(c, verdict, reason, record) for c in own])
                        continue
                    for run in dict.fromkeys(cell.run for cell in own):
                        group = [cell for cell in own if cell.run == run]
                        pool.submit(self._cells, group, built, finished)
            finished.put(None)
        except BaseException as error:
            finished.put(error)

    def _cells(
        self,
        cells: Sequence[CellSpec],
        build: Build,
        finished: queue.Queue[list[CellRecord] | BaseException | None],
    ) -> None:
        try:
            inputs = [self.inputs[cell.input.name] for cell in cells]
            finished.put(self.launcher.run(cells, build, self.model, inputs))
        except BaseException as error:
            finished.put(error)

    def _build(self, spec: BuildSpec) -> Build | tuple[Verdict, str, BuildRecord]:
        """Return a finished build, or the verdict that stands in for it."""
        blank = BuildRecord(id=spec.id, key="", version=spec.revision.label, flags=spec.flags.name)
        missing = missing_features(spec.flags.needs)
        unsupported = f"this CPU lacks {', '.join(missing)}" if missing else ""
        if unsupported and not self.build_unsupported:
            return Verdict.UNSUPPORTED, unsupported, blank
        try:
            plan = self._plan(spec)
            runner = runner_command(target, self.store) if (target := spec.flags.target) else ()
        except LacksLayerError as error:
            return Verdict.UNSUPPORTED, str(error), blank
        except (MachineError, SourceError) as error:
            return Verdict.SKIPPED, str(error), blank
        try:
            build = self._make(plan)
        except BuildError as error:
            self.notify(BuildFinished(build=spec.id, error=error.first_error))
            return Verdict.BUILD_FAILED, f"{error.first_error} (log: {error.log})", blank
        if unsupported:
            return Verdict.UNSUPPORTED, f"{unsupported}; compiled only", build.record
        return replace(build, runner=runner)

    def _plan(self, spec: BuildSpec) -> BuildPlan:
        """Find out what a build needs.

        Raises:
            MachineError: no compiler, no emulator, no headers of Vulkan.
            SourceError: no glslang for a Vulkan build.
            LacksLayerError: this version lacks a layer that the model needs.
        """
        target = spec.flags.target
        compiler = compiler_of(target) if target else find_compiler(spec.flags.compiler)
        arch = target.arch if target else layer_arch()
        tree = self.trees[spec.revision]
        if spec.flags.wants_vulkan:
            check_sdk(tree.path, compiler)
        if not spec.flags.wants_vulkan or spec.flags.names_glslang:
            return plan_build(spec, tree, compiler, arch=arch)
        log = self.store.logs / f"source-{spec.revision.label}.log"
        tree = obtain(spec.revision, store=self.store.sources, log=log, with_glslang=True)
        glslang = shared_glslang(tree, compiler, self.builder)
        return plan_build(spec, tree, compiler, arch=arch, glslang=glslang)

    def _make(self, plan: BuildPlan) -> Build:
        found = self.builder.find(plan)
        if found:
            self.notify(BuildFinished(build=plan.spec.id, cached=True))
            return found
        self.notify(BuildStarted(build=plan.spec.id))
        build = self.builder.build(plan)
        self.notify(BuildFinished(build=plan.spec.id, seconds=build.record.seconds))
        return build

    def _unrun(
        self, cell: CellSpec, verdict: Verdict, reason: str, build: BuildRecord
    ) -> CellRecord:
        return self.launcher.blank(cell, build).model_copy(
            update={"verdict": verdict, "reason": reason}
        )
