"""Keeping the build store within its size: least recently used first, what is in use never.

Every process that uses the store announces itself (`Store.prepare`) and stamps what it finds there
(`harness.util.files.stamp`). What was stamped since the oldest process that is alive may be in use.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.util.sealed import SET_ASIDE, read_sealed, write_sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.util.build_store import Store

OBJECTS_SHARE = 0.2
"""Part of the limit that is the compiler cache's; it keeps to that by itself."""
SIZES = "sizes"


@dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """One directory of the store that can be made again."""

    kind: str
    """Name of the directory it is in, such as `modules`."""
    path: Path
    bytes: int
    used: float
    """When it was last used, in seconds since the epoch."""


def entries(store: Store) -> list[StoreEntry]:
    """Return what can be pruned, the least recently used first.

    Not among them: what other entries refer to (glslang, the Python binding), downloads, models.
    """
    sizes = _Sizes(store.root / SIZES)
    found = [
        StoreEntry(
            kind=path.parent.name,
            path=path,
            used=_last_use(path),
            bytes=sizes.of(path, str(path.relative_to(store.root))),
        )
        for path in _prunable(store)
    ]
    sizes.save()
    return sorted(found, key=lambda entry: entry.used)


def _prunable(store: Store) -> Iterator[Path]:
    patterns = (
        (store.modules, "*/record.json"),
        (store.failures, "*/record.json"),
        (store.sources, "git-*/source"),
        (store.sources, "index-*/source"),
        (store.sources, "tests-git-*/source"),
        (store.references, "*/*"),
        (store.measurements, "*/*"),
    )
    for folder, pattern in patterns:
        yield from dict.fromkeys(
            path.parent for path in folder.glob(pattern) if _is_entry(path.parent.name)
        )
    downloads = (store.downloads, store.sources / "downloads")
    projects = [path for folder in downloads for path in folder.glob("*")]
    for folder in (store.root, *store.folders(), *projects):
        yield from (folder / SET_ASIDE).glob("[!.]*")


def _is_entry(name: str) -> bool:
    return not name.startswith(".") and name != SET_ASIDE


def surplus(found: Iterable[StoreEntry], *, limit: float, since: float) -> list[StoreEntry]:
    """Return which entries to remove so that the others take at most `limit` bytes.

    Args:
        found: entries, the least recently used first.
        limit: in bytes.
        since: what was used since then (seconds since the epoch) may be in use.
    """
    found = list(found)
    total = sum(entry.bytes for entry in found)
    chosen = []
    for entry in found:
        if total <= limit or entry.used >= since:
            break
        chosen.append(entry)
        total -= entry.bytes
    return chosen


def prune(store: Store, *, limit_gib: float | None = None) -> list[StoreEntry]:
    """Bring the store within its limit and return what was removed.

    Args:
        store: the store.
        limit_gib: another limit than the store's own; 0 removes all entries that are not in use.
    """
    limit = (store.limit_gib if limit_gib is None else limit_gib) * 2**30 * (1 - OBJECTS_SHARE)
    with store.sessions() as since:
        chosen = surplus(entries(store), limit=limit, since=since)
        doomed = [*_leftovers(store, since), *(entry.path for entry in chosen)]
        hidden = [trash for path in doomed if (trash := _hide(path))]
    for path in hidden:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return chosen


def _leftovers(store: Store, since: float) -> Iterator[Path]:
    """Find what interrupted processes left: hidden half-made directories, build directories."""
    folders = (store.modules, store.failures, store.sources, store.references, store.models)
    candidates = [path for folder in folders for path in folder.glob(".*.*") if path.is_dir()]
    for path in [*candidates, *store.work.glob("*")]:
        if _last_use(path) < since and not store.is_locked(path.name):
            yield path


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf  # became what it was to become, or went, a moment ago


def _hide(path: Path) -> Path | None:
    """Rename a directory so that nobody finds it any more, not even half of it."""
    name = path.name if path.name.startswith(".") else f".{path.name}"
    trash = path.with_name(f"{name}.{uuid4().hex[:12]}")
    try:
        return path.rename(trash)
    except OSError:
        return None  # somebody else's, or somebody was faster


class _Sizes:
    """Sizes of entries, which never change, so that each is measured once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        text = read_sealed(path, then="entries are measured again")
        if text:
            self.known = json.loads(text)

    def of(self, path: Path, name: str) -> int:
        self.seen[name] = self.known[name] if name in self.known else size_of(path)
        return self.seen[name]

    def save(self) -> None:
        if self.seen != self.known:
            write_sealed(self.path, json.dumps(self.seen))


def size_of(folder: Path) -> int:
    """Return how many bytes the files below a directory, or a file, take on the disk."""
    total = folder.lstat().st_blocks * 512 if folder.is_file() else 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(f"{parent}/{name}").st_blocks * 512
    return total
