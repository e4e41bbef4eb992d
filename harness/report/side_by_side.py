"""A unified diff as lines beside each other."""

from __future__ import annotations

import re
from itertools import zip_longest

from harness.domain.findings import LinePair

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")
_FILE = re.compile(r"(?:---|\+\+\+) (?:[ab]/)?(\S+)")


def side_by_side(diff: str) -> tuple[LinePair, ...]:
    """Return the lines of a diff in pairs; lines that replace each other are beside each other.

    Args:
        diff: as `diff_text` writes it; what is neither a hunk nor a file's name is left out.
    """
    pairs: list[LinePair] = []
    gone: list[tuple[int, str]] = []
    new: list[tuple[int, str]] = []
    path, before, after = "", 0, 0

    def flush() -> None:
        for old, other in zip_longest(gone, new, fillvalue=(0, "")):
            pairs.append(
                LinePair(before_number=old[0], before=old[1], after_number=other[0], after=other[1])
            )
        gone.clear()
        new.clear()

    lines = iter(diff.splitlines())
    for line in lines:
        if line.startswith("--- "):
            # The name of a file that is new is in the second line.
            names = [found[1] for text in (line, next(lines, "")) if (found := _FILE.match(text))]
            path = next((name for name in names if name != "/dev/null"), "")
        elif hunk := _HUNK.match(line):
            flush()
            before, after = int(hunk[1]), int(hunk[2])
            within = f", in {hunk[3]}" if hunk[3] else ""
            pairs.append(LinePair(heading=f"{path}{within}"))
        elif line.startswith("-"):
            gone.append((before, line[1:]))
            before += 1
        elif line.startswith("+"):
            new.append((after, line[1:]))
            after += 1
        elif line.startswith(" "):
            flush()
            text = line[1:]
            pairs.append(
                LinePair(before_number=before, before=text, after_number=after, after=text)
            )
            before, after = before + 1, after + 1
    flush()
    return tuple(pairs)
