"""`docs/reliability.md`: what was tried, what was expected and what happened."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from harness.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faults.fault import Fault
    from faults.trial import Outcome

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
TEMPLATES = Path(__file__).parent
HOSTILE = "\n## Hostile inputs\n"
"""Where the second part of the page begins, which comes from another suite."""
TITLES = {
    "killed": "Processes that are killed",
    "interrupted": "Signals, and outputs that go away",
    "full": "Full disks",
    "damaged": "Damaged files",
    "clock": "Clocks that jump",
    "compiler": "Compilers that misbehave",
    "module": "Builds of ncnn that misbehave",
    "rights": "Places that are not ours",
    "together": "Several harnesses at once",
    "network": "Networks that fail",
    "limits": "Limits of the shell",
}
"""Sections of the page by the kind of fault."""
HEAD = "| fault | where | how | expected | what happened | said |\n|---|---|---|---|---|---|"


def beginning(fault: Fault) -> str:
    """Return the part of a fault's line that does not depend on what happened."""
    return _row(f"`{fault.id}`", fault.where, fault.how, fault.expected)


def row(outcome: Outcome) -> str:
    """Return a fault's line of the table."""
    happened = f"not tried: {outcome.skipped}" if outcome.skipped else outcome.happened
    return f"{beginning(outcome.fault)} {_cell(happened)} | {_cell(outcome.said)} |"


def write_page(
    path: Path,
    *,
    outcomes: Sequence[Outcome] | None = None,
    hostile: Sequence[dict[str, str]] | None = None,
) -> None:
    """Write the parts of the page that are given, and leave the other as it is.

    It has no dates, so that the same events give the same page.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    first, mark, second = old.partition(HOSTILE)
    if outcomes is not None:
        first = _faults(outcomes)
    if hostile is not None:
        mark, second = HOSTILE, _hostile(hostile)
    write_atomically(path, first + mark + second)


def _faults(outcomes: Sequence[Outcome]) -> str:
    sections = [
        (title, [row(outcome) for outcome in outcomes if outcome.fault.kind == kind])
        for kind, title in TITLES.items()
    ]
    return _rendered(
        "faults.md.j2",
        head=HEAD,
        sections=[(title, rows) for title, rows in sections if rows],
        tried=sum(not outcome.skipped for outcome in outcomes),
        failed=sum(not outcome.holds for outcome in outcomes),
        skipped=sum(bool(outcome.skipped) for outcome in outcomes),
    )


def _hostile(cases: Sequence[dict[str, str]]) -> str:
    kinds = sorted(Counter(case["kind"] for case in cases).items())
    rows = [
        _row(f"`{case['id']}`", case["input"], case["expected"], case["happened"])
        for case in sorted(cases, key=lambda case: (case["kind"], case["id"]))
    ]
    return _rendered("hostile.md.j2", count=len(cases), kinds=kinds, rows=rows)


def _rendered(name: str, **values: object) -> str:
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(**values)


def hostile_cases(paths: Iterable[Path]) -> list[dict[str, str]]:
    """Return the cases in files of JSON lines: `id`, `kind`, `input`, `expected`, `happened`."""
    lines = (line for path in paths for line in path.read_text(encoding="utf-8").split("\n"))
    return [json.loads(line) for line in lines if line]


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return text as a cell of a Markdown table: on one line, without markup of its own."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
