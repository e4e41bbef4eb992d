"""Run directories whose files are damaged between two runs."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from faults.catalogue.changes import cut, delete, empty, folder, garbage, null, wrong
from faults.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.catalogue.changes import Change
    from faults.run import Ended
    from faults.stage import Stage


def unfinished(stage: Stage) -> Path:
    """Make the stage's finished run one that was interrupted half way, and return its directory."""
    run = sorted(stage.results.iterdir())[-1]
    state = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**state, "finished": False}), encoding="utf-8")
    lines = (run / "cells.jsonl").read_bytes().splitlines(keepends=True)
    (run / "cells.jsonl").write_bytes(b"".join(lines[:4]))
    for path in run.iterdir():
        if path.name.startswith(("report", "layers")):
            delete(path)
    return run


def _line(line: bytes) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        cells = unfinished(stage) / "cells.jsonl"
        first, _, rest = cells.read_bytes().partition(b"\n")
        cells.write_bytes(first + b"\n" + line + rest)
        return stage.run()

    return strike


def _torn(stage: Stage) -> Ended:
    cells = unfinished(stage) / "cells.jsonl"
    os.truncate(cells, cells.stat().st_size - 700)
    return stage.run()


def _state(change: Change) -> Callable[[Stage], Ended]:
    """Damage what says how far a run is, beside an interrupted run that is to be continued."""

    def strike(stage: Stage) -> Ended:
        run = unfinished(stage)
        other = run.with_name("20990101-000000-one")
        shutil.copytree(run, other)
        change(other / "run.json")
        return stage.run()

    return strike


def _state_fault(change: Change) -> Fault:
    how = (change.__doc__ or "").strip()
    return Fault(
        id=f"damaged-state-{change.__name__.replace('_', '-')}",
        kind="damaged",
        where="`run.json` of another run, before an interrupted one is continued",
        how=how,
        expected="that run is passed over, and the interrupted one is continued",
        strike=_state(change),
        start="measured",
    )


def _line_fault(name: str, how: str, line: bytes) -> Fault:
    return Fault(
        id=f"damaged-records-{name}",
        kind="damaged",
        where="`cells.jsonl` of an interrupted run, between whole lines",
        how=how,
        expected="that line is counted, kept and left out; the others hold",
        strike=_line(line),
        start="measured",
    )


FAULTS = (
    *(_state_fault(change) for change in (cut, empty, null, wrong, garbage, delete, folder)),
    Fault(
        id="damaged-records-torn",
        kind="damaged",
        where="`cells.jsonl` of an interrupted run",
        how="its last line cut off",
        expected="that cell is measured again, and no other",
        strike=_torn,
        start="measured",
        loses=True,
    ),
    _line_fault("latin-1", "a line that is not UTF-8", b'{"cell": "caf\xe9"}\n'),
    _line_fault("null", "a line that is `null`", b"null\n"),
    _line_fault("nul-bytes", "zeros, as after a loss of power", b"\0" * 5000 + b"\n"),
    _line_fault("deep", "JSON that is nested 100 000 deep", b"[" * 100_000 + b"\n"),
    _line_fault("number", "a number of 5000 digits", b'{"threads": ' + b"9" * 5000 + b"}\n"),
)
