"""Runs the experiments that a finished table suggests, until its causes are proved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.attribution.evidence import Table
from harness.analysis.attribution.experiments import (
    ROUNDS,
    affordable,
    changed_run,
    due,
    suggested,
)
from harness.commands.reproduction import cell_command
from harness.config.axes import with_flags
from harness.config.flags import resolve_flag_set
from harness.util.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.analysis.attribution.experiments import Experiment
    from harness.config.tables import Config
    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec, FlagSet
    from harness.execution.engine import Engine
    from harness.execution.run_directory import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Experiments on the cells of one matrix."""

    config: Config
    options: argparse.Namespace
    engine: Engine
    run: RunDirectory
    told: Callable[[int], None]
    """Called with how many cells are about to be measured."""
    elsewhere: Sequence[BuildSpec] = ()
    """Builds of other shards of the matrix, which measure them: nothing is proved with them here,
    but by the report that joins the shards."""

    def records(self, cells: Sequence[CellSpec], table: Sequence[CellRecord]) -> list[CellRecord]:
        """Measure what proves causes, and return it.

        Unless builds are asked for, only what needs none is measured, and at most half as many
        cells as the table has: what an experiment costs is then known beforehand.

        Args:
            cells: the cells of the table.
            table: their records.
        """
        builds: bool = self.options.prove
        # A small table gets more than its share only of what costs little.
        left = _Budget(cells=affordable(len(table)), emulated=len(table) // 2)
        kept = {record.cell: record for record in self.run.records() if record.experiment}
        specs = {cell.id: cell for cell in cells}
        found: dict[str, CellRecord] = {}
        for _ in range(ROUNDS):
            wanted = self._wanted([*table, *found.values()], specs, builds=builds)
            wanted = wanted if builds else left.spent(wanted)
            if not wanted:
                break
            specs |= {cell.id: cell for cell in wanted}
            found |= {cell.id: kept[cell.id] for cell in wanted if cell.id in kept}
            missing = [cell for cell in wanted if cell.id not in kept]
            self.told(len(missing))
            for record in self._measured(missing):
                found[record.cell] = record
        return list(found.values())

    def missing_builds(self, records: Sequence[CellRecord], cells: Sequence[CellSpec]) -> list[str]:
        """Return flag sets, with their versions, that would have to be compiled for a proof."""
        specs = {cell.id: cell for cell in cells}
        texts: dict[str, None] = {}
        for experiment in suggested(Table(records, self.config.tolerance)):
            base = specs.get(experiment.base)
            if not (base and experiment.needs_build and experiment.settles):
                continue
            cell = self._spec(base, experiment)
            if not (cell and self._is_elsewhere(cell.build)):
                text = f"{base.build.revision.label} {_flags_text(base, experiment)}"
                texts[text] = None
        return list(texts)

    def _wanted(
        self, records: Sequence[CellRecord], specs: Mapping[str, CellSpec], *, builds: bool
    ) -> list[CellSpec]:
        """Return the cells of the experiments to make now, the most telling first."""
        wanted: dict[str, tuple[CellSpec, Experiment]] = {}
        for experiment in suggested(Table(records, self.config.tolerance)):
            base = specs.get(experiment.base)
            cell = base and self._spec(base, experiment)
            if not cell or cell.id in specs or cell.id in wanted:
                continue
            if self._is_elsewhere(cell.build):
                continue
            if builds or not experiment.needs_build or self.engine.has_build(cell.build):
                wanted[cell.id] = (cell, experiment)
        now = due([experiment for _, experiment in wanted.values()])
        return [cell for cell, experiment in wanted.values() if experiment in now]

    def _spec(self, base: CellSpec, experiment: Experiment) -> CellSpec | None:
        """Return the cell of an experiment; None if no command line could ask for it."""
        if any(s.axis == "converter" or not s.after for s in experiment.change):
            return None
        build = base.build
        if experiment.needs_build:
            try:
                config, name = with_flags(self.config, _flags_text(base, experiment))
            except UsageError:
                return None
            flags = resolve_flag_set(name, config.flags, config.targets)
            build = replace(build, flags=flags)
        return replace(base, build=build, run=changed_run(base.run, experiment.change))

    def _is_elsewhere(self, spec: BuildSpec) -> bool:
        """Return whether another shard has a build that is compiled the same way."""
        return any(
            other.revision == spec.revision and _compiled(other.flags) == _compiled(spec.flags)
            for other in self.elsewhere
        )

    def _measured(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        by_id = {cell.id: cell for cell in cells}
        for record in self.engine.run(cells):
            cell = by_id[record.cell]
            repo = ["--repo", self.options.repo] if self.options.repo else []
            command = cell_command(
                self.options,
                *repo,
                version=cell.build.revision.label,
                flags=cell.build.flags.name,
                run=cell.run.name,
            )
            kept = record.model_copy(update={"experiment": True, "command": command})
            self.run.append(kept)
            yield kept


@dataclass(kw_only=True)
class _Budget:
    """How many cells may still be measured."""

    cells: int
    emulated: int
    """How many of them under an emulator, where a cell takes minutes."""

    def spent(self, wanted: Sequence[CellSpec]) -> list[CellSpec]:
        """Return the first cells that may be measured, and count them."""
        found = []
        for cell in wanted:
            emulated = cell.build.flags.target is not None
            if self.cells > 0 and (self.emulated > 0 or not emulated):
                found.append(cell)
                self.cells -= 1
                self.emulated -= emulated
        return found


def _flags_text(base: CellSpec, experiment: Experiment) -> str:
    """Return what `--flags` takes for the build of an experiment."""
    pairs = sorted((s.name, s.after) for s in experiment.change if s.axis == "build")
    return ",".join([base.build.flags.name, *(f"{name}={value}" for name, value in pairs)])


def _compiled(flags: FlagSet) -> FlagSet:
    """Return a flag set without what does not change what is compiled."""
    return replace(flags, name="", needs=frozenset())
