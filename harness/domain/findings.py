"""What a diagnosis or a bisection found, as far as the report tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.domain.base import StoredValue
from harness.util.files import write_atomically
from harness.util.kept import kept_value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "finding.json"


class LinePair(StoredValue):
    """A line of source before and after a change, beside each other."""

    heading: str = ""
    """What follows is of: a file and a function. Then there are no lines."""
    before_number: int = 0
    """From 1; 0 where the line is new."""
    before: str = ""
    after_number: int = 0
    """From 1; 0 where the line is gone."""
    after: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether the change touches it."""
        is_there = self.before_number and self.after_number
        return not self.heading and (not is_there or self.before != self.after)


class Section(StoredValue):
    """One part of a finding: lines, a table, or text that keeps its line breaks."""

    heading: str
    lines: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    pairs: tuple[LinePair, ...] = ()
    """Changed lines with what is around them."""
    code: str = ""
    language: str = "diff"
    """Of the code, as Markdown names it."""
    folded: bool = False
    """Whether it is long and for few: folded on the page, left out of the Markdown."""


class Finding(StoredValue):
    """A finding that is not about one cell of the table."""

    title: str
    sentence: str
    """The answer in one sentence, without a full stop."""
    sections: tuple[Section, ...] = ()
    command: str = ""
    """The shell command that finds it again."""


def write_finding(finding: Finding, directory: Path) -> None:
    """Put a finding into a run directory, where reports look for it."""
    write_atomically(directory / FILE, finding.model_dump_json(indent=1))


def read_findings(directories: Iterable[Path]) -> tuple[Finding, ...]:
    """Read the finding of each directory that has one; what cannot be read is left out."""
    found = (kept_value(directory / FILE, Finding.model_validate_json) for directory in directories)
    return tuple(finding for finding in found if finding)
