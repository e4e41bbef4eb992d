"""A matrix of many cells that nobody measures: what it takes of memory and disk, as JSON.

A program of its own, since the memory of a process that did other things before tells nothing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from harness.commands.matrix import _run
from harness.config.cells import Matrix, expand
from harness.config.loading import load_config
from harness.domain.records import CellRecord
from harness.execution.run_directory import open_run
from harness.report.console import MatrixProgress
from tests.records import cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.domain.spec import BuildSpec, CellSpec

LAYERS = 20


class MadeUp:
    """An engine that reads each record from JSON, as those of workers and of memory are."""

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        text = cell({f"Type{number}": 1e-3 for number in range(LAYERS)}).model_dump_json()
        for spec in cells:
            # What is recalled is not flushed to the disk one by one.
            changes = {"cell": spec.id, "recalled": "2030-01-01T00:00:00+00:00"}
            yield CellRecord.model_validate_json(text).model_copy(update=changes)

    def has_build(self, spec: BuildSpec) -> bool:
        return False


def resident() -> int:
    """Return the memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main(count: int, results: Path) -> None:
    config = load_config(Path("configs/default.toml"))
    first = expand(config, base=Path("configs"), generate=lambda _: ()).cells[0]
    cells = tuple(replace(first, input=replace(first.input, name=f"i{i}")) for i in range(count))
    run = open_run(results, name="long", key="k", config="")
    reporter = MatrixProgress(Console(file=StringIO()), builds=1, cells=count)
    # What is made once, such as pydantic's validators, is none of the cells' business.
    [*MadeUp().run(cells[:10])]
    before = resident()
    matrix = Matrix(cells=cells, left_out=())
    records = _run(MadeUp(), matrix, run, reporter, "")
    grown = resident() - before
    written = sum(path.stat().st_size for path in run.path.rglob("*"))
    print(json.dumps({"records": len(records), "memory": grown / count, "disk": written / count}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
