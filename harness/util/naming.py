"""File names that are made by us: a name from outside is a label and never a path."""

from __future__ import annotations

import hashlib
import re

LONGEST = 80
"""Characters of a file name that was a harmless name already; file systems take 255 bytes."""
_HARMLESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@#,~-]*", re.ASCII)
_MADE = re.compile(r"-[0-9a-f]{16}")
_OTHERS = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)


def file_name(name: str) -> str:
    """Return a file name, one component of a path, that stands for any name.

    Harmless names stay as they are. Others become what is readable of them and a piece of their
    SHA-256, so that different names have different files; the real name belongs into a record
    beside the file. Suffixes may be added to what is returned: it never ends in a dot.
    """
    fits = len(name) <= LONGEST and not name.endswith(".")
    if fits and _HARMLESS.fullmatch(name) and not _MADE.search(name):
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
    readable = _OTHERS.sub("-", name[: 2 * LONGEST]).strip("-")[:40].rstrip("-")
    return f"{readable}-{digest}" if readable else f"name-{digest}"
