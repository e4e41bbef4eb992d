"""Paths that somebody wrote: usable ones, with `~` for a home directory."""

from __future__ import annotations

import os
from pathlib import Path

from harness.util.codes import Code
from harness.util.errors import UsageError

LONGEST_PATH = 4095
LONGEST_PART = 255
"""In bytes: what Linux takes."""
MOST_FOLDERS = 200
"""Within each other: folders are made, and paths followed, one by one."""


def known_path(text: str) -> str:
    """Return a text that a file may have as its path; an empty one stays empty.

    Raises:
        ValueError: the system takes no such path, or nobody has one.
    """
    data = text.encode(errors="surrogateescape")
    if "\0" in text:
        raise ValueError("has a zero byte, which no path can have. Leave it out")
    if len(data) > LONGEST_PATH or max(map(len, data.split(b"/"))) > LONGEST_PART:
        raise ValueError(
            f"longer than the {LONGEST_PART} bytes of a name, or {LONGEST_PATH} of a path, that "
            "there can be"
        )
    if (parts := len(Path(text).parts)) > MOST_FOLDERS:
        raise ValueError(
            f"{parts} folders within each other, and {MOST_FOLDERS} are the most. Give a path with "
            "fewer"
        )
    return text


def expanded(text: str) -> Path:
    """Return the path that a text means, with `~` and `~NAME` replaced by a home directory.

    Raises:
        UsageError: there is nobody of this name, or no path is like this.
    """
    try:
        return Path(known_path(text)).expanduser()
    except (RuntimeError, ValueError) as error:
        shown = text if len(text) < 100 else f"{text[:100]}…"
        raise UsageError(
            f"{shown!r}: no usable path: {error}. Give another one.", code=Code.UNUSABLE_WORD
        ) from error


def real(path: Path) -> Path:
    """Return a path without symbolic links; links in a circle stay, for who opens it to tell."""
    # `Path.resolve` raises RuntimeError for these, in Python up to 3.12.
    return Path(os.path.realpath(path))
