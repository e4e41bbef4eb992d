"""The differences between two source trees as hunks, and files in which some of them are applied.

Pure: files are given as bytes and come back as bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from typing import TYPE_CHECKING, Literal

from harness.analysis.bisection.inside.diffs import Excerpt, unified

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TOP_LEVEL = re.compile(r"[A-Za-z_$](?!\w*:$)")
"""What begins a function, or a class; a label does not."""
Files = dict[str, bytes]
"""Content by path, with `/` between folders."""


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """Lines of a file that differ, as few as can be; a file that is new or gone is one hunk."""

    path: str
    start: int
    """Lines of the older file before it."""
    old: tuple[bytes, ...]
    """Lines that it replaces, with their ends."""
    new: tuple[bytes, ...]
    kind: Literal["changed", "added", "deleted"] = "changed"

    @property
    def name(self) -> str:
        """Path, and the first line in the older file that it is about."""
        return self.path if self.kind != "changed" else f"{self.path}:{self.start + 1}"


def hunks_between(older: Mapping[str, bytes], newer: Mapping[str, bytes]) -> list[Hunk]:
    """Return all differences between two trees, by path and place."""
    found = []
    for path in sorted(older.keys() | newer.keys()):
        before, after = older.get(path), newer.get(path)
        if before == after:
            continue
        old, new = _lines(before or b""), _lines(after or b"")
        if before is None or after is None:
            kind: Literal["added", "deleted"] = "added" if before is None else "deleted"
            found.append(Hunk(path=path, start=0, old=tuple(old), new=tuple(new), kind=kind))
            continue
        for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                found.append(Hunk(path=path, start=a, old=tuple(old[a:b]), new=tuple(new[c:d])))
    return found


def applied(older: Mapping[str, bytes], hunks: Iterable[Hunk]) -> dict[str, bytes | None]:
    """Return the files that hunks are about with just these applied; None for one that is not.

    Args:
        older: the older tree.
        hunks: some of the differences between it and a newer one.
    """
    by_path: dict[str, list[Hunk]] = {}
    for hunk in hunks:
        by_path.setdefault(hunk.path, []).append(hunk)
    return {path: _file(older.get(path), own) for path, own in by_path.items()}


def _file(before: bytes | None, hunks: Iterable[Hunk]) -> bytes | None:
    lines = _lines(before or b"")
    # From the end, so that places before stay what they are.
    for hunk in sorted(hunks, key=lambda each: -each.start):
        if hunk.kind == "deleted":
            return None
        lines[hunk.start : hunk.start + len(hunk.old)] = hunk.new
    return b"".join(lines)


def diff_text(older: Mapping[str, bytes | None], newer: Mapping[str, bytes | None]) -> str:
    """Return a unified diff of files, with `/dev/null` for one that is not there."""
    found: list[str] = []
    for path in sorted(older.keys() | newer.keys()):
        before, after = (
            None
            if content is None
            else Excerpt(path, content.decode(errors="replace").splitlines())
            for content in (older.get(path), newer.get(path))
        )
        found += unified(before, after, partial(_function_above, before.lines if before else ()))
    return "\n".join(found)


def _function_above(older: Sequence[str], number: int) -> str:
    """Return the last line above one that begins a function or a class."""
    above = older[: max(0, number - 1)]
    within = next((text for text in reversed(above) if _TOP_LEVEL.match(text)), "")
    return within.rstrip(" {")


def _lines(content: bytes) -> list[bytes]:
    """Return lines with their ends, which are line feeds only: all else is part of a line."""
    return re.findall(rb"[^\n]*\n|[^\n]+", content)
