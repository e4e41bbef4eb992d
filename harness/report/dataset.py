"""What a report is made of: run directories, merged by model and machine without losing a cell."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from dataclasses import dataclass
from filecmp import cmp
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.flags import resolve_flag_set
from harness.config.loading import load_config
from harness.domain.findings import FILE as FINDING
from harness.domain.findings import read_findings
from harness.domain.records import CellRecord, parse_record, read_records
from harness.domain.spec import THREADS
from harness.domain.versions import ordered_versions
from harness.execution.run_directory import CELLS, read_left_out, read_state
from harness.execution.shard_file import ShardState, read_shard
from harness.report.sweep_about import FILE as SWEEP
from harness.report.sweep_about import is_sweep
from harness.util.codes import Code
from harness.util.errors import UsageError
from harness.util.kept import says_anything

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.config.tables import Config


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run directory."""

    path: Path
    records: tuple[CellRecord, ...]
    config: Config
    left_out: Mapping[str, str]
    """Why cells of the configuration were not run, by their ids."""
    shard: ShardState | None
    """Which shard of a matrix it is; None if it is all of it."""
    finished: bool
    """Whether it came to its end; a finding without cells has none."""

    @property
    def config_path(self) -> Path:
        """Where to find the configuration that gives the same cells again.

        The copy in the run directory is exact, but paths in it refer to the original's folder:
        the original comes first while it is the same.
        """
        saved = self.path / "config.toml"
        name = re.sub(r"^\d{8}-\d{6}-|-\d+$", "", self.path.name)
        original = Path("configs") / f"{name}.toml"
        return original if original.is_file() and cmp(original, saved, shallow=False) else saved


def read_run(path: Path) -> Run:
    """Read a run directory; what of it cannot be read is left out, see `harness.util.kept`.

    Raises:
        UsageError: it holds neither records nor the finding of a diagnosis or bisection.
        ConfigError: its copy of the configuration is damaged: limits would be guessed without.
    """
    records = read_records([path / CELLS])
    if not records and not read_findings([path]):
        raise UsageError(
            f"{path}: no records ({CELLS}) in this directory. Give one that `nox -s matrix`, "
            "`diagnose` or `bisect` made, such as results/20260101-120000-default.",
            code=Code.NO_RESULTS,
        )
    config = load_config(path / "config.toml")
    return Run(
        path=path,
        records=_in_order(records, config),
        config=config,
        left_out=read_left_out(path),
        shard=read_shard(path),
        finished=state.finished if (state := read_state(path)) else True,
    )


def _in_order(records: Iterable[CellRecord], config: Config) -> tuple[CellRecord, ...]:
    """Sort records, which lie there as they finished, by the axes of the configuration."""
    axes = config.matrix
    converters = ("", *axes.converters)
    orders = (axes.versions, axes.flags, axes.runs, converters, tuple(config.inputs))

    def place(record: CellRecord) -> tuple[int, ...]:
        names = (record.version, record.flags, record.run, record.converter, record.input)
        return tuple(
            order.index(name) if name in order else len(order)
            for name, order in zip(names, orders, strict=True)
        )

    return tuple(sorted(records, key=place))


def newest_run(results: Path) -> Path:
    """Return the newest run directory with anything to report.

    Raises:
        UsageError: there is none.
    """
    found = {path.parent for file in (CELLS, FINDING, SWEEP) for path in results.glob(f"*/{file}")}
    newest = next((path for path in sorted(found, reverse=True) if _reports(path)), None)
    if newest is None:
        raise UsageError(
            f"{results}: no results yet. Run `nox -s matrix` first.", code=Code.NO_RESULTS
        )
    return newest


def _reports(path: Path) -> bool:
    """Return whether there is anything to report; a file of which nothing can be read is told."""
    return bool(
        is_sweep(path) or says_anything(path / CELLS, parse_record) or read_findings([path])
    )


def cmake_arguments(config: Config) -> dict[str, str]:
    """Return what each flag set of a configuration passes to CMake, by its name."""
    found = {}
    for name in config.flags:
        flags = resolve_flag_set(name, config.flags, config.targets)
        settings = dict(flags.options)
        settings |= {"CMAKE_CXX_COMPILER": flags.compiler} if flags.compiler else {}
        settings |= {"CMAKE_CXX_FLAGS": flags.cxx_flags} if flags.cxx_flags else {}
        found[name] = " ".join(f"-D{key}={shlex.quote(value)}" for key, value in settings.items())
    return found


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The cells of one model on one machine: what may be compared directly."""

    model: str
    machine: str
    records: tuple[CellRecord, ...]
    experiments: tuple[CellRecord, ...] = ()
    """Cells beside the table, measured to prove what causes something in it."""

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """Oldest first."""
        return ordered_versions(record.version for record in self.records)

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """Flag sets in the order of the configuration."""
        return tuple(dict.fromkeys(record.flags for record in self.records))

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """Run options in the order of the configuration, the default ones first.

        Where there are several converters, each run with each: `default@pnnx-20250530`.
        """
        names = dict.fromkeys(record.way for record in self.records)
        return tuple(sorted(names, key=lambda name: name != self.default_run))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Inputs in the order of the configuration."""
        return tuple(dict.fromkeys(record.input for record in self.records))

    @cached_property
    def default_run(self) -> str:
        """The run that changes no option and uses the fewest threads; the first if all do."""
        plain = [r for r in self.records if r.build.options and not changed_options(r)]
        best = min(plain or self.records[:1], key=lambda record: record.threads)
        return best.way

    @cached_property
    def configurations(self) -> dict[tuple[str, str, str], tuple[CellRecord, ...]]:
        """Records by version, flag set and run: one for each input."""
        groups: dict[tuple[str, str, str], list[CellRecord]] = defaultdict(list)
        for record in self.records:
            groups[record.version, record.flags, record.way].append(record)
        return {key: tuple(group) for key, group in groups.items()}


def changed_options(record: CellRecord) -> dict[str, bool | int]:
    """Return the run options that differ from the defaults of the cell's build."""
    defaults = record.build.options
    return {
        name: value
        for name, value in sorted(record.options.items())
        if name != THREADS and defaults.get(name) != value
    }


def scopes(records: Iterable[CellRecord]) -> tuple[Scope, ...]:
    """Group records by model and machine.

    Of the same cell there, the one finished last counts, but one of a table before experiments.
    """
    groups: dict[tuple[str, str], dict[str, CellRecord]] = defaultdict(dict)
    for record in records:
        cells = groups[record.model, record.machine_name]
        known = cells.get(record.cell)
        if known is None or _precedence(known) <= _precedence(record):
            cells[record.cell] = record
    return tuple(
        Scope(
            model=model,
            machine=machine,
            records=tuple(r for r in cells.values() if not r.experiment),
            experiments=tuple(r for r in cells.values() if r.experiment),
        )
        for (model, machine), cells in groups.items()
        if not all(record.experiment for record in cells.values())
    )


def _precedence(record: CellRecord) -> tuple[bool, str]:
    return (not record.experiment, record.finished)


def absent(scope: Scope) -> tuple[str, ...]:
    """Return the ids of cells within the axes of a scope that have no record at all."""
    present = {(r.version, r.flags, r.way, r.input) for r in scope.records}
    return tuple(
        f"{version}-{flags}/{run}/{item}"
        for version in scope.versions
        for flags in scope.flags
        for run in scope.runs
        for item in scope.inputs
        if (version, flags, run, item) not in present
    )


def merged(runs: Sequence[Run]) -> tuple[CellRecord, ...]:
    """Return the records of several runs, in their order, duplicates included."""
    return tuple(record for run in runs for record in run.records)
