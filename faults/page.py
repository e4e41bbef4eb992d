"""`docs/reliability.md`: what was tried, what was expected and what happened."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, BeforeValidator

from faults.run import untimed
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
FINE, FAILED, NOT_TRIED = "as expected: ", "**not as expected**: ", "not tried"
"""How the words begin that say what happened."""
LONGEST = 160
"""Characters of a hostile input, and of what is said of it, that are shown."""
HEAD = "| fault | where | how | expected | what happened | said |\n|---|---|---|---|---|---|"


def beginning(fault: Fault) -> str:
    """Return the part of a fault's line that does not depend on what happened."""
    return _row(f"`{fault.id}`", fault.where, fault.how, fault.expected)


def row(outcome: Outcome) -> str:
    """Return a fault's line of the table."""
    happened = f"{FINE}{outcome.happened}"
    if outcome.skipped:
        happened = f"{NOT_TRIED}: {outcome.skipped}"
    elif not outcome.holds:
        happened = f"{FAILED}{outcome.happened}"
    return f"{beginning(outcome.fault)} {_cell(happened)} | {_cell(outcome.said)} |"


def write_page(
    path: Path,
    *,
    faults: Sequence[Fault] = (),
    outcomes: Sequence[Outcome] = (),
    hostile: Sequence[HostileCase] | None = None,
) -> None:
    """Bring what is given up to date in the page, and leave the rest as it is.

    It has no dates, so that the same events give the same page.

    Args:
        path: the page.
        faults: all that there are; none to leave them as they are.
        outcomes: what happened now; what happened to other faults is told as before.
        hostile: what hostile inputs did, all of them; None to leave them as they are.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    first, mark, second = old.partition(HOSTILE)
    if faults:
        first = _faults(faults, [*first.splitlines(), *map(row, outcomes)])
    if hostile is not None:
        mark, second = HOSTILE, _hostile(hostile)
    write_atomically(path, first + mark + second)


def _faults(faults: Sequence[Fault], lines: Sequence[str]) -> str:
    """Return the first part of the page with the last line of each fault that begins as it does."""
    rows = {}
    for fault in faults:
        own = [line for line in lines if line.startswith(beginning(fault))]
        rows[fault.id] = own[-1] if own else f"{beginning(fault)} {NOT_TRIED} | |"
    sections = [
        (title, [rows[fault.id] for fault in faults if fault.kind == kind])
        for kind, title in TITLES.items()
    ]
    return _rendered(
        "faults.md.j2",
        head=HEAD,
        sections=[(title, own) for title, own in sections if own],
        **{
            name: sum(f" | {mark}" in line for line in rows.values())
            for name, mark in (("fine", FINE), ("failed", FAILED), ("skipped", NOT_TRIED))
        },
    )


def _hostile(cases: Sequence[HostileCase]) -> str:
    kinds = sorted(Counter(case.kind for case in cases).items())
    rows = [
        _row(f"`{case.id}`", _shortened(case.input), case.expected.words, case.happened.words)
        for case in sorted(cases, key=lambda case: (case.kind, case.id))
    ]
    wrong = sum(bool(case.happened.faults) for case in cases)
    return _rendered("hostile.md.j2", count=len(cases), wrong=wrong, kinds=kinds, rows=rows)


def _rendered(name: str, **values: object) -> str:
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(**values)


def _encodable(text: str) -> str:
    """Return a text in which halves of surrogate pairs are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


Text = Annotated[str, BeforeValidator(_encodable)]


class _Ends(BaseModel):
    """What an input may do."""

    exit: list[int]
    names: list[str] = []
    """Regular expressions, each of which something that is said has to match."""

    @property
    def words(self) -> str:
        """In words."""
        codes = f"exit code {' or '.join(map(str, self.exit))}"
        return ", naming ".join([codes, *map(_shortened, self.names[:1])])


class _Happened(BaseModel):
    """What it did."""

    exit: int
    said: Text = ""
    faults: list[Text] = []
    """What is wrong with it."""

    @property
    def words(self) -> str:
        """In words that are the same every time."""
        said = untimed(self.said.split("\n")[0])
        said = re.sub(r"(/[\w.-]+)+/hostile\d+", "HERE", said)
        words = ": ".join(filter(None, [f"exit code {self.exit}", _shortened(said)]))
        return f"{FAILED}{'; '.join(self.faults)} ({words})" if self.faults else words


class HostileCase(BaseModel):
    """One hostile input, as its suite tells of it."""

    id: Text
    kind: Text
    input: Text
    expected: _Ends
    happened: _Happened


def hostile_cases(paths: Iterable[Path]) -> list[HostileCase]:
    """Return the cases in files of JSON lines.

    Raises:
        ValidationError: a line is none.
    """
    lines = (line for path in paths for line in path.read_text(encoding="utf-8").split("\n"))
    return [HostileCase.model_validate(json.loads(line)) for line in lines if line]


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return text as a cell of a Markdown table: on one line, without markup of its own."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
