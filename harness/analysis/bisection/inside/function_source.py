"""The source of a function, found by the line that its code says it is of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.bisection.inside.diffs import Excerpt, unified

MOST_LINES = 80
"""Lines of a function that are shown; of one that is longer, the first."""
_SPOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class FunctionSource:
    """The source of a function."""

    path: str
    """Relative to the source, with `/`."""
    line: int
    """Its first, from 1."""
    text: str

    def __str__(self) -> str:
        """Return the text with its place above it, and no more of it than is read."""
        lines = self.text.splitlines()
        more = len(lines) - MOST_LINES
        left = [f"// {more} more lines"] if more > 0 else []
        return "\n".join([f"// {self.path}:{self.line}", *lines[:MOST_LINES], *left])


def function_source(place: str, root: Path) -> FunctionSource | None:
    """Return the text of a function; None where it is not to be had.

    Args:
        place: file and line as a compiler notes them, `path:12`.
        root: the source, which paths are shown relative to.
    """
    name, _, line = place.rpartition(":")
    path = Path(name)
    if not (name and line.isdigit() and path.is_file()):
        return None
    shown = path.resolve()
    top = root.resolve()
    label = shown.relative_to(top).as_posix() if shown.is_relative_to(top) else path.name
    text = path.read_text(encoding="utf-8", errors="replace")
    first, found = function_text(text, int(line))
    return FunctionSource(path=label, line=first, text=found)


def function_diff(older: FunctionSource | None, newer: FunctionSource | None) -> str:
    """Return a unified diff of a function, with the line numbers of its file."""
    before, after = (
        Excerpt(each.path, each.text.splitlines(), each.line) if each else None
        for each in (older, newer)
    )
    head = (after or before or Excerpt("", ())).lines
    # The line of the head that has the function's name.
    name = next((line.strip() for line in head if "(" in line), "")
    return "\n".join(unified(before, after, lambda _: name))


def function_text(text: str, line: int) -> tuple[int, str]:
    """Return the first line of a function, and its lines from its head to its last bracket.

    Args:
        text: C++ source.
        line: number of a line in its head, from 1.
    """
    lines = text.splitlines()
    start = line - 1
    if start >= len(lines):
        return line, ""
    # A compiler may name the line of the first bracket.
    while start > 0 and _goes_on(lines[start - 1]):
        start -= 1
    # Brackets in comments and strings are none; their lines stay.
    bare = _SPOKEN.sub(lambda spoken: "\n" * spoken[0].count("\n"), "\n".join(lines[start:]))
    length = _length(bare.split("\n"))
    return start + 1, "\n".join(lines[start : start + length])


def _goes_on(line: str) -> bool:
    """Return whether what begins in a line, or before it, goes on in the next."""
    bare = line.split("//")[0].strip()
    return bool(bare) and not bare.startswith("#") and not bare.endswith((";", "}", "{", ":", "*/"))


def _length(lines: list[str]) -> int:
    """Return how many lines it is to the last bracket."""
    depth = 0
    for number, line in enumerate(lines, start=1):
        depth += line.count("{") - line.count("}")
        if depth <= 0 and "}" in line:
            return number
    return len(lines)
