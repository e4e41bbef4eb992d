"""What every command that builds and runs needs of this machine, put together in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.build.binding import binding_in_background
from harness.build.builder import Builder
from harness.build.resolver import BuildResolver
from harness.build.toolchain import find_compiler
from harness.execution.cell_runner import CellRunner
from harness.execution.launcher import Launcher
from harness.execution.memory import CellMemory
from harness.reference.isolated_evaluator import IsolatedEvaluator
from harness.util.scratch import remove_abandoned

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from harness.build.builder import BuildWatch
    from harness.config.tables import Config, Limits
    from harness.reference.evaluator import Evaluator
    from harness.util.build_store import Store


@dataclass(frozen=True, kw_only=True)
class LocalMachine:
    """A store, where builds come from, and what runs them."""

    store: Store
    resolver: BuildResolver
    cells: CellRunner
    """What runs cells; its launcher runs anything else."""
    limits: Limits
    evaluator: Evaluator
    """What evaluates models for their reference values."""
    binding: Future[Path]
    """The Python binding, which is compiled beside other work when it is new."""

    @classmethod
    def prepared(
        cls,
        config: Config,
        store: Store,
        *,
        jobs: int,
        retry_failed: bool = False,
        fresh: bool = False,
        watch: BuildWatch | None = None,
    ) -> LocalMachine:
        """Announce a user of the store and start what takes long.

        Args:
            config: a checked configuration; its limits hold.
            store: where finished things are and go.
            jobs: compilers at a time.
            fresh: whether to measure anew what is remembered.
            retry_failed: whether to compile builds again that failed before.
            watch: who is told how far a build is.

        Raises:
            MachineError: there is no compiler.
        """
        store.prepare()
        remove_abandoned()
        binding = binding_in_background(store, find_compiler(""))
        launcher = Launcher(binding=binding.result, limits=config.limits)
        launcher.processes.prepare()
        builder = Builder(
            store=store,
            jobs=jobs,
            timeout=config.limits.build_seconds,
            memory_bytes=config.limits.memory_bytes,
            retry_failed=retry_failed,
            processes=launcher.processes,
            watch=watch,
        )
        return cls(
            store=store,
            resolver=BuildResolver(builder=builder),
            cells=CellRunner(
                launcher=launcher,
                tolerance=config.tolerance,
                memory=CellMemory(store=store, recalls=not fresh),
            ),
            limits=config.limits,
            evaluator=IsolatedEvaluator(limits=config.limits),
            binding=binding,
        )

    def check(self) -> None:
        """Tell now, if it is known already, that the binding cannot be compiled.

        Raises:
            MachineError: as `harness.build.binding.build_binding`.
        """
        if self.binding.done():
            self.binding.result()
