"""Everything about one build and one set of run options, for whoever clicks on its tile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.attribution.settings import build_settings
from harness.domain.formatting import assignments
from harness.report.crash_text import frame_lines
from harness.report.dataset import changed_options
from harness.report.record_values import own_error

if TYPE_CHECKING:
    from harness.domain.records import BuildRecord, CellRecord, LayerRecord
    from harness.report.grid import Tile
    from harness.report.model import Report

WORST_LAYERS = 5

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Details:
    """What the window of a tile shows."""

    tile: Tile
    build: BuildRecord
    requested: str
    """What the flag set passes to CMake; empty where that is not known."""
    settings: str
    """All build settings, as they were in force."""
    changed: str
    """Run options that differ from the defaults."""
    options: str
    """All run options."""
    machine: str
    command: str
    """Shell command that measures just this build and run again."""
    worst: tuple[LayerRecord, ...]
    """The layers with the largest own errors on the least favourable input, worst first."""
    worst_input: str
    logs: tuple[tuple[str, str], ...]
    """Inputs and the last lines that the process printed there, where it did not end well."""


def details(tile: Tile, report: Report) -> Details:
    """Collect what the window of a tile shows."""
    first = next((r for r in tile.records if r.layers), tile.records[0])
    worst_record = max(tile.records, key=_own_worst)
    return Details(
        tile=tile,
        build=first.build,
        requested=report.requested.get(tile.flags, ""),
        settings=" ".join(f"-D{k}={v}" for k, v in sorted(build_settings(first.build).items())),
        changed=_words(changed_options(first)),
        options=_words(first.options),
        machine=", ".join(f"{name} {value}" for name, value in first.machine.items()),
        command=report.reproduce(first),
        worst=_worst_layers(worst_record),
        worst_input=worst_record.input,
        logs=tuple((r.input, log) for r in tile.records if (log := _log(r))),
    )


def plain(text: str) -> str:
    """Return text without terminal escapes and control characters."""
    return _ESCAPES.sub("", text)


def _log(record: CellRecord) -> str:
    """Return what a process said at its end, and which functions were running."""
    known = frame_lines(record.crash) if record.crash else []
    running = ["running, the innermost first:", *(f"  {words}" for words in known)] if known else []
    return "\n".join([*filter(None, [plain(record.stderr)]), *running])


def _own_worst(record: CellRecord) -> float:
    return max((own_error(layer) or 0.0 for layer in record.layers), default=-1.0)


def _worst_layers(record: CellRecord) -> tuple[LayerRecord, ...]:
    measured = [layer for layer in record.layers if own_error(layer)]
    measured.sort(key=lambda layer: own_error(layer) or 0.0, reverse=True)
    return tuple(measured[:WORST_LAYERS])


def _words(options: dict[str, bool | int]) -> str:
    return ", ".join(sorted(assignments(options)))
