"""Run directories: where records go while a matrix runs, and the tables made from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.domain.records import CellRecord, append_record, read_records
from harness.util.files import write_atomically
from harness.util.naming import file_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CELLS = "cells.jsonl"
STATE = "run.json"
LEFT_OUT = "left-out.json"
"""Why cells of the configuration were not run, by their ids."""


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """One directory below `results/`."""

    path: Path
    resumed: bool = False
    """Whether it holds records of an interrupted run that this one continues."""

    @property
    def cells(self) -> Path:
        """The records, one JSON object per line."""
        return self.path / CELLS

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """Keep why cells were not run, by their ids."""
        write_atomically(self.path / LEFT_OUT, json.dumps(dict(reasons), indent=1))

    def append(self, record: CellRecord) -> None:
        """Add the record of one cell."""
        append_record(self.cells, record)

    def records(self) -> list[CellRecord]:
        """Return the records so far."""
        return read_records([self.cells]) if self.cells.exists() else []

    def close(self) -> None:
        """Mark the run as finished: the same command starts a new one."""
        state = json.loads((self.path / STATE).read_text(encoding="utf-8"))
        write_atomically(self.path / STATE, json.dumps({**state, "finished": True}, indent=1))


def open_run(
    results: Path, *, name: str, key: str, config: str, fresh: bool = False
) -> RunDirectory:
    """Continue the newest unfinished run of the same key, or start a new one.

    Args:
        results: the `results/` directory.
        name: what the directory is called after; `run.json` has it as it is.
        key: equal for runs of the same cells with the same settings.
        config: text of the configuration file, kept with the results.
        fresh: start a new run in any case.
    """
    for state_file in () if fresh else sorted(results.glob(f"*/{STATE}"), reverse=True):
        state = json.loads(state_file.read_text(encoding="utf-8"))
        if state.get("key") == key and not state.get("finished"):
            return RunDirectory(path=state_file.parent, resumed=True)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = results / f"{stamp}-{file_name(name)}"
    suffix = 1
    while path.exists():
        suffix += 1
        path = results / f"{stamp}-{file_name(name)}-{suffix}"
    write_atomically(path / "config.toml", config)
    state = {"name": name, "key": key, "finished": False}
    write_atomically(path / STATE, json.dumps(state, indent=1))
    return RunDirectory(path=path)
