"""Clones in the store: git's own hashes say whether one is what was fetched."""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.sources import git
from harness.util.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HASHES = {20: "sha1", 32: "sha256"}
"""Git's two hashes, by their length in bytes."""


def clone_damage(repo: Path) -> str:
    """Return what is wrong with a bare repository; empty if nothing is.

    Git itself reads objects without comparing them with their names.
    """
    try:
        # Git would wait for somebody who writes into a pipe.
        if strange := next(_strange(repo), ""):
            return f"{strange}: neither a file nor a directory"
        git.git_directory(repo)
        if not git.succeeds(repo, "config", "--get", "remote.origin.url"):
            return "git cannot read it, or it does not say where it is from"
        return next(_wrong(repo / "objects"), "")
    except SourceError:
        return "not a git repository"
    except OSError as error:
        return f"{os.path.relpath(error.filename or repo, repo)}: {error.strerror}"


def _strange(repo: Path) -> Iterator[str]:
    for folder, _, names in os.walk(repo, onerror=_raise):
        for path in (Path(folder, name) for name in names):
            if not stat.S_ISREG(path.lstat().st_mode):
                yield str(path.relative_to(repo))


def _raise(error: OSError) -> None:
    raise error


def _wrong(objects: Path) -> Iterator[str]:
    packs = sorted((objects / "pack").glob("pack-*.pack"))
    indices = [path.with_suffix(".idx") for path in packs]
    found = sorted((objects / "pack").glob("pack-*.idx"))
    if sorted(indices) != found:
        yield "a pack without index, or an index without pack"
    for path in (*packs, *found):
        if not _ends_with_hash(path):
            yield f"{path.name}: not what was fetched"
    for path in objects.glob("[0-9a-f][0-9a-f]/*"):
        if not _is_object(path):
            yield f"object {path.parent.name}{path.name}: not what was fetched"


def _ends_with_hash(path: Path) -> bool:
    """Return whether a pack or its index ends with the hash of all that stands before."""
    content = memoryview(path.read_bytes())
    return any(
        hashlib.new(name, content[:-size], usedforsecurity=False).digest() == content[-size:]
        for size, name in _HASHES.items()
    )


def _is_object(path: Path) -> bool:
    name = path.parent.name + path.name
    try:
        return object_id(zlib.decompress(path.read_bytes()), len(name)) == name
    except zlib.error:
        return False


def object_id(content: bytes, digits: int) -> str:
    """Return the id of an object of git.

    Args:
        content: the object with its header, such as `blob 3`, a zero byte, and three bytes.
        digits: of the ids of its repository, in hexadecimal.
    """
    name = _HASHES.get(digits // 2, "sha1")
    return hashlib.new(name, content, usedforsecurity=False).hexdigest()
