"""Unified diffs, with what each hunk is within, as git writes it."""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_HEAD = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


class Excerpt(NamedTuple):
    """Lines of a file."""

    path: str
    lines: Sequence[str]
    """Without their ends."""
    start: int = 1
    """Number of the first in its file."""


def unified(
    older: Excerpt | None, newer: Excerpt | None, within: Callable[[int], str]
) -> Iterator[str]:
    """Yield the lines of a unified diff, with `/dev/null` for what is not there.

    Args:
        older: before.
        newer: after.
        within: returns what a hunk is within, from the number of its first line in `older`,
            counted from 1; empty for nothing.
    """
    # Where there is nothing, a diff counts from 0.
    before, after = (each.start - 1 if each else 0 for each in (older, newer))

    def headed(head: re.Match[str]) -> str:
        old, new = int(head[1]) + before, int(head[3]) + after
        place = f"@@ -{old}{head[2] or ''} +{new}{head[4] or ''} @@"
        return f"{place} {within(int(head[1]))}".rstrip()

    names = (
        f"a/{older.path}" if older else "/dev/null",
        f"b/{newer.path}" if newer else "/dev/null",
    )
    old_lines, new_lines = (each.lines if each else () for each in (older, newer))
    for line in unified_diff(old_lines, new_lines, *names, lineterm=""):
        head = _HEAD.fullmatch(line)
        yield headed(head) if head else line
