"""Which cell is diagnosed: the one that was asked for, or the worst of the newest run."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from harness.domain.findings import FILE as FINDING
from harness.domain.records import CellRecord, Verdict, read_records
from harness.domain.spec import CellSpec
from harness.execution.run_directory import CELLS
from harness.util.errors import SelectorError, UsageError


def chosen_cell(
    cells: Sequence[CellSpec], *, cell: str, version: str, flags: str, run: str, results: Path
) -> CellSpec:
    """Return a cell of the matrix, with any of its inputs.

    Args:
        cells: the matrix of the configuration.
        cell: id as `build/run` or `build/run/input`; comes before the three parts.
        version: its version; empty for any, as the other parts.
        flags: its flag set.
        run: its run options.
        results: where run directories are; with nothing asked for, the cell with the worst
            output of the newest run that knows one of these cells.

    Raises:
        SelectorError: no cell of the matrix is like that.
        UsageError: both a cell and parts of it were given.
    """
    parts = {"version": version, "flags": flags, "run": run}
    if cell and any(parts.values()):
        raise UsageError("--cell names everything: leave out --version, --flags and --run.")
    if cell:
        matching = [c for c in cells if cell in (c.id, f"{c.build.id}/{c.run.name}")]
    elif any(parts.values()):
        matching = [
            c
            for c in cells
            if version in ("", c.build.revision.label)
            and flags in ("", c.build.flags.name)
            and run in ("", c.run.name)
        ]
    else:
        return _worst(cells, results) or cells[0]
    if not matching:
        asked = cell or ", ".join(f"{name} {value}" for name, value in parts.items() if value)
        known = list(dict.fromkeys(f"{c.build.id}/{c.run.name}" for c in cells))
        near = get_close_matches(asked, known, 1) or known[:1]
        raise SelectorError(
            f"no cell of the configuration is {asked}. Did you mean {near[0]}? "
            "`nox -s matrix -- --list` shows all; add others to the configuration."
        )
    return matching[0]


def _worst(cells: Sequence[CellSpec], results: Path) -> CellSpec | None:
    known = {cell.id: cell for cell in cells}
    for path in sorted(results.glob(f"*/{CELLS}"), reverse=True):
        if (path.parent / FINDING).exists():
            continue  # a diagnosis or a bisection: it looked at few cells, not for the worst
        drops = [
            record
            for record in read_records([path])
            if record.verdict is Verdict.DROP and record.cell in known
        ]
        if drops:
            return known[max(drops, key=_output_error).cell]
    return None


def _output_error(record: CellRecord) -> float:
    return record.output.scale_relative if record.output else 0.0
