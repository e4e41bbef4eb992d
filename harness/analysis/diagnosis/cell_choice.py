"""Which cell is diagnosed: the one that was asked for, or the worst of the newest run."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from harness.domain.findings import FILE as FINDING
from harness.domain.records import CellRecord, Verdict, read_records
from harness.execution.run_directory import CELLS
from harness.util.errors import SelectorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.domain.spec import CellSpec


def chosen_cell(cells: Sequence[CellSpec], *, cell: str, results: Path) -> CellSpec:
    """Return a cell of the matrix, with any of its inputs.

    Args:
        cells: the matrix of the configuration.
        cell: id as `build/run` or `build/run/input`; empty for the cell with the worst output of
            the newest run that knows one of these cells.
        results: where run directories are.

    Raises:
        SelectorError: no cell of the matrix is like that.
    """
    if not cell:
        return _worst(cells, results) or cells[0]
    matching = [c for c in cells if cell in (c.id, c.place)]
    if not matching:
        known = list(dict.fromkeys(c.place for c in cells))
        near = get_close_matches(cell, known, 1) or known[:1]
        raise SelectorError(
            f"no cell of the configuration is {cell}. Did you mean {near[0]}? "
            "`nox -s matrix -- --list` shows all; others take --version, --flags and --run."
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
