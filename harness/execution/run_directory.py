"""Run directories: where records go while a matrix runs, and the tables made from them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from harness.domain.base import StoredValue
from harness.domain.records import CellRecord, append_record, read_records
from harness.util.files import write_atomically
from harness.util.kept import kept_value
from harness.util.naming import file_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CELLS = "cells.jsonl"
STATE = "run.json"
LEFT_OUT = "left-out.json"
"""Why cells of the configuration were not run, by their ids."""


class RunState(StoredValue):
    """What a run is called, and how far it is."""

    name: str = ""
    key: str
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """One directory below `results/`."""

    path: Path
    name: str = ""
    """What it is called after."""
    key: str = ""
    """Equal for runs of the same cells with the same settings."""
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
        return read_records([self.cells])

    def discard(self) -> None:
        """Remove the directory of a run that did not begin."""
        shutil.rmtree(self.path)

    def close(self) -> None:
        """Mark the run as finished: the same command starts a new one."""
        _write_state(self.path, RunState(name=self.name, key=self.key, finished=True))


def open_run(
    results: Path, *, name: str, key: str, config: str, fresh: bool = False
) -> RunDirectory:
    """Continue the newest unfinished run of the same key, or start a new one.

    A run whose state cannot be read is not continued, and stays as it is.

    Args:
        results: the `results/` directory.
        name: what the directory is called after; `run.json` has it as it is.
        key: equal for runs of the same cells with the same settings.
        config: text of the configuration file, kept with the results.
        fresh: start a new run in any case.
    """
    for state_file in () if fresh else sorted(results.glob(f"*/{STATE}"), reverse=True):
        state = read_state(state_file.parent)
        if state and state.key == key and not state.finished:
            return RunDirectory(path=state_file.parent, name=name, key=key, resumed=True)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = results / f"{stamp}-{file_name(name)}"
    suffix = 1
    while path.exists():
        suffix += 1
        path = results / f"{stamp}-{file_name(name)}-{suffix}"
    write_atomically(path / "config.toml", config)
    _write_state(path, RunState(name=name, key=key))
    return RunDirectory(path=path, name=name, key=key)


def read_state(folder: Path) -> RunState | None:
    """Return how far the run of a directory is; None if there is none, or it cannot be read."""
    return kept_value(folder / STATE, RunState.model_validate_json)


def read_left_out(folder: Path) -> dict[str, str]:
    """Return why cells of the configuration were not run, by their ids."""
    return kept_value(folder / LEFT_OUT, _REASONS.validate_json) or {}


_REASONS = TypeAdapter(dict[str, str])


def _write_state(folder: Path, state: RunState) -> None:
    write_atomically(folder / STATE, state.model_dump_json(indent=1))
