"""The numbers of a run: what must be the same, to the last bit, however it came about."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.domain.records import CellRecord, Verdict, read_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

CELLS = "cells.jsonl"
PASSING = {
    "latency_ms",
    "slowest_ms",
    "finished",
    "recalled",
    "machine",
    "command",
    "build",
    "harness_version",
    "stderr",
}
"""Fields of a record that may differ between two runs of the same cell."""

Table = dict[str, dict[str, Any]]
"""By cell: all that was measured and judged."""


def records_of(run: Path) -> list[CellRecord]:
    """Return the records of a run directory; none if it has none."""
    return read_records([run / CELLS])


def table_of(records: Iterable[CellRecord]) -> Table:
    """Return what must not differ of some records."""
    return {record.cell: _row(record) for record in records}


def _row(record: CellRecord) -> dict[str, Any]:
    build = {"id": record.build.id, "layers": sorted(record.build.layers)}
    if record.verdict is Verdict.UNSTABLE:
        # It gives other numbers each time: that is what the verdict says.
        return {"verdict": record.verdict.value, "build": build}
    return {**json.loads(record.model_dump_json(exclude=PASSING)), "build": build}


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Return, one line each, how a table differs from what it should be."""
    lines = [f"{cell}: missing" for cell in expected if cell not in found]
    lines += [f"{cell}: not expected" for cell in found if cell not in expected]
    for cell in expected:
        if cell in found and found[cell] != expected[cell]:
            lines += _cell_differences(cell, found[cell], expected[cell])
    return lines


def _cell_differences(cell: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    names = [name for name in other if one.get(name) != other[name]]
    first = ("verdict", "reason")
    shown = [name for name in first if name in names] or names[:1]
    words = (f"{name} is {one.get(name)!r:.200}, not {other[name]!r:.200}" for name in shown)
    return [f"{cell}: {', '.join(words)}"]


def wrong_numbers(records: Iterable[CellRecord], expected: Table) -> list[str]:
    """Return what is wrong among the cells of an unfinished run that claim to have numbers."""
    # Which experiments are made depends on what is wrong.
    judged = [r for r in records if r.verdict.has_numbers and r.cell in expected]
    return differences(table_of(judged), {r.cell: expected[r.cell] for r in judged})


def accusations(records: Iterable[CellRecord], expected: Table) -> list[str]:
    """Return the cells that say something bad of ncnn which an undisturbed run does not say."""
    return [
        f"{record.cell}: {record.verdict}: {record.reason}"
        for record in records
        if record.verdict.is_finding
        and record.cell in expected
        and expected[record.cell]["verdict"] != record.verdict
    ]


def measured_when(results: Path) -> dict[str, set[str]]:
    """Return when each finished cell below a results directory was measured, by cell.

    Two harnesses at once may both measure one. Read as text, since some of it may be damaged: only
    whole lines that hold numbers count.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(results.glob(f"*/{CELLS}")) if results.is_dir() else ():
        with suppress(OSError):
            for record in records_of(path.parent):
                if record.verdict.has_numbers:
                    found.setdefault(record.cell, set()).add(record.finished)
    return found
