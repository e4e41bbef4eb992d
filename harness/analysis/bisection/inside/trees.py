"""Source trees on disk: what differs in two of them, and one that is a mixture of both."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.sources.tree import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.analysis.bisection.inside.hunks import Files


def differing_files(older: Path, newer: Path) -> tuple[Files, Files]:
    """Return the files of each of two trees that the other has not, or has with other content.

    Only what takes part in a build is looked at.
    """
    paths = {
        path.relative_to(root).as_posix()
        for root in (older, newer)
        for part in PARTS
        for path in _files(root / part)
    }
    contents = [{name: _content(root / name) for name in paths} for root in (older, newer)]
    differing = {name for name in paths if contents[0][name] != contents[1][name]}
    before, after = (
        {name: content for name in differing if (content := found[name]) is not None}
        for found in contents
    )
    return before, after


def lay_mixture(base: Path, files: Mapping[str, bytes | None], place: Path) -> None:
    """Put a tree into a directory that is not there yet, with some files of other content.

    Args:
        base: the tree that has all else; nothing is written to it.
        files: content by path; None for a file that is to be absent.
        place: the directory.

    Raises:
        OSError: the disk is full, or not writable.
    """
    shutil.copytree(base, place, symlinks=True, copy_function=_linked)
    for name, content in files.items():
        path = place / name
        # Never through a link: the file may be that of the other tree.
        path.unlink(missing_ok=True)
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _linked(source: str, target: str) -> None:
    """Have the same file under another name; a copy where that cannot be."""
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [path for path in place.rglob("*") if path.is_file() and not path.is_symlink()]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None
