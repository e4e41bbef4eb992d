"""A hostile input: how it is made, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

USAGE = frozenset({2})
"""Refused, since the input is wrong."""
MACHINE = frozenset({3})
"""Refused, since something is not there: a source, a device, space."""
TAKEN = frozenset({0})
"""The input is fine, as strange as it looks."""
FETCHED = frozenset({3})
"""The input is fine, and the next step, the source of ncnn, is not to be had: no index is there."""
NO_INDEX = r"(?i)package index|no-index|index has no"


def nothing(_folder: Path) -> None:
    """Make no files."""


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One line of the table."""

    id: str
    kind: str
    """What is hostile: `command line`, `TOML`, `.param`, …"""
    words: tuple[str, ...]
    """The command line, in a folder that has `builds`, `results` and `tmp`."""
    shown: str = ""
    """The input in a few words, where the command line does not say it all."""
    make: Callable[[Path], None] = nothing
    """Writes what the command line names into a folder."""
    ends: frozenset[int] = USAGE
    names: tuple[str, ...] = ()
    """Patterns that what is printed must have: file, line, field, remedy."""
    never: tuple[str, ...] = ()
    """Patterns that it must not have."""
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    stdout: str = "file"
    """Where stdout leads: `file`, `closed`, `full` (a device) or `pipe` (that nobody reads)."""
    program: bool = False
    """Whether a Python of its own runs it, instead of a fork of a warm one."""
    seconds: float = 20.0
    """Wall time that it may take on a loaded machine."""
    mebibytes: int = 1536
    """Memory that it may take, Python and all its imports included."""
    lines: int = 1
    """Lines of stderr that may report an error: a configuration may have several mistakes."""

    @property
    def expected(self) -> dict[str, object]:
        """What must come of it, for a report."""
        return {"exit": sorted(self.ends), "names": list(self.names)}
