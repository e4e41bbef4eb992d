"""The source of a function, found by the line that its code says it is of."""

from __future__ import annotations

import re
from pathlib import Path

MOST_LINES = 80
"""Lines of a function that are shown; of one that is longer, the first."""
_SPOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def function_source(place: str, root: Path) -> str:
    """Return the text of a function with its place above it; empty where it is not to be had.

    Args:
        place: file and line as a compiler notes them, `path:12`.
        root: the source, which places are shown relative to.
    """
    name, _, line = place.rpartition(":")
    path = Path(name)
    if not (name and line.isdigit() and path.is_file()):
        return ""
    shown = path.resolve()
    top = root.resolve()
    label = shown.relative_to(top).as_posix() if shown.is_relative_to(top) else path.name
    text = path.read_text(encoding="utf-8", errors="replace")
    return f"// {label}:{line}\n{function_text(text, int(line))}"


def function_text(text: str, line: int) -> str:
    """Return the lines of a function, from its head to its last bracket.

    Args:
        text: C++ source.
        line: number of a line in its head, from 1.
    """
    lines = text.splitlines()
    start = line - 1
    if start >= len(lines):
        return ""
    # A compiler may name the line of the first bracket.
    while start > 0 and _goes_on(lines[start - 1]):
        start -= 1
    # Brackets in comments and strings are none; their lines stay.
    bare = _SPOKEN.sub(lambda spoken: "\n" * spoken[0].count("\n"), "\n".join(lines[start:]))
    length = _length(bare.split("\n"))
    found = lines[start : start + min(length, MOST_LINES)]
    more = length - len(found)
    return "\n".join([*found, *([f"// {more} more lines"] if more > 0 else [])])


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
