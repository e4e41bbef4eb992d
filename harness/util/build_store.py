"""The build store: finished things under content keys, complete or absent, safe for many users."""

from __future__ import annotations

import math
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from filelock import FileLock, Timeout

from harness.util.files import disk_trouble_explained, write_atomically
from harness.util.sealed import read_sealed, set_aside, write_sealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = "limit"
LIMIT_GIB = 20.0
LOCKS = "locks"
TAG = "CACHEDIR.TAG"
"""Marks a store, as other caches are marked."""
SESSIONS = "sessions"
SESSION = "user-"


@dataclass(frozen=True, kw_only=True)
class Store:
    """The directories below `builds/`, each with one purpose."""

    root: Path
    _session: list[FileLock] = field(default_factory=list, repr=False, compare=False)
    """Held while this object lives: what announces it as a user."""

    @property
    def sources(self) -> Path:
        """Extracted source trees."""
        return self.root / "sources"

    @property
    def modules(self) -> Path:
        """Finished builds: one directory per content key, present only when complete."""
        return self.root / "modules"

    def module_names(self) -> list[str]:
        """Return the names of the finished builds, and of what else is kept beside them."""
        return [path.name for path in self.modules.glob("*")]

    @property
    def failures(self) -> Path:
        """Failed builds with their logs, so that they are not tried again for nothing."""
        return self.root / "failures"

    @property
    def work(self) -> Path:
        """Build directories in progress."""
        return self.root / "work"

    @property
    def objects(self) -> Path:
        """What the compiler cache keeps."""
        return self.root / "objects"

    @property
    def probes(self) -> Path:
        """What compilers answered to CMake's questions, one file per toolchain."""
        return self.root / "probes"

    @property
    def needs(self) -> Path:
        """What linkers said of the layers of a version, one file per version and processor."""
        return self.root / "needs"

    @property
    def downloads(self) -> Path:
        """Archives as they came from the package index."""
        return self.root / "downloads"

    @property
    def models(self) -> Path:
        """Models and their converted forms."""
        return self.root / "models"

    @property
    def references(self) -> Path:
        """Reference values."""
        return self.root / "references"

    @property
    def measurements(self) -> Path:
        """Records of cells by what their numbers depend on."""
        return self.root / "measurements"

    @property
    def bisections(self) -> Path:
        """What bisections measured, one file of lines for each set of conditions."""
        return self.root / "bisect"

    @property
    def logs(self) -> Path:
        """Logs of downloads and checkouts."""
        return self.root / "logs"

    def _lock_of(self, key: str) -> FileLock:
        folder = self.root / LOCKS
        with disk_trouble_explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{key}.lock"
        if path.is_dir():
            set_aside(path, "a directory")
        return FileLock(path)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the lock of one key across processes and threads.

        In a store that this user may only read there is nobody to wait for, and none is held.
        """
        if self.is_read_only:
            yield
            return
        with self._lock_of(key):
            yield

    def is_locked(self, key: str) -> bool:
        """Return whether anybody holds the lock of a key at the moment."""
        if not (self.root / LOCKS / f"{key}.lock").is_file():
            return False
        try:
            with self._lock_of(key).acquire(blocking=False):
                return False
        except Timeout:
            return True

    @property
    def is_read_only(self) -> bool:
        """Whether this user may use what is in the store and not add to it: somebody else's."""
        return self.root.is_dir() and not os.access(self.root, os.W_OK)

    def folders(self) -> tuple[Path, ...]:
        """All directories below the root that may be there."""
        entries = (self.modules, self.failures, self.sources, self.references, self.measurements)
        others = (self.models, self.downloads, self.probes, self.needs, self.objects)
        return (*entries, *others, self.work, self.logs, self.bisections, self.root / LOCKS)

    @contextmanager
    def slot(self) -> Iterator[Path]:
        """Hold one of the few directories in which builds compile, the first that is free.

        A compiler cache takes the same file at another path for another file, so that all builds
        compile at the same path, one after the other. Several at the same time have one each.
        """
        for number in count():
            lock = self._lock_of(f"slot-{number}")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            try:
                yield self.work / f"slot-{number}"
            finally:
                lock.release()
            return

    @property
    def limit_gib(self) -> float:
        """How much the store may take, in GiB."""
        path, then = self.root / LIMIT, f"{LIMIT_GIB:g} GiB hold until `store --limit` sets others"
        text = read_sealed(path, then=then, or_plain=True)
        if text is None:
            return LIMIT_GIB
        with suppress(ValueError):
            gib = float(text)
            if math.isfinite(gib) and gib >= 0:
                return gib
        set_aside(path, "not a number of GiB", then=then)
        return LIMIT_GIB

    def set_limit(self, gib: float) -> None:
        """Keep another limit, for whoever uses this store."""
        write_sealed(self.root / LIMIT, f"{gib}\n")

    def prepare(self) -> None:
        """Create the root, mark it as a cache, and announce this process as a user.

        Backups and searches may leave a cache out. What this process finds or makes in the store
        is not pruned while this object lives. A store that may only be read is used as it is.

        Raises:
            MachineError: it cannot be created, or is no directory.
        """
        if self.is_read_only:
            return
        with disk_trouble_explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            tag = self.root / TAG
            if not tag.is_file():
                if os.path.lexists(tag):
                    set_aside(tag, "not a file")
                write_atomically(tag, "Signature: 8a477f597d28d172789f06886806bc55\n")
        for path in self.folders():
            if os.path.lexists(path) and not path.is_dir():
                set_aside(path, "not a directory")
        if not self._session:
            # Which also forgets users that were killed.
            with self.sessions():
                # In the name, since opening a lock file may count as writing to it.
                name = f"{SESSION}{time.time()}-{uuid4().hex[:12]}.lock"
                session = FileLock(self.root / LOCKS / name)
                session.acquire()
                self._session.append(session)

    @contextmanager
    def sessions(self) -> Iterator[float]:
        """Keep new users waiting, and yield when the oldest one that is alive began.

        In seconds since the epoch; infinity if there is none, and minus infinity if it cannot be
        told what they use: a clock that was put back gives what is used now an older date.
        """
        with self.lock(SESSIONS):
            since = math.inf
            for path in (self.root / LOCKS).glob(f"{SESSION}*.lock"):
                if self.is_locked(path.stem):
                    since = min(since, _began(path))
                else:
                    with suppress(OSError):
                        path.unlink(missing_ok=True)
            yield since


def is_store(folder: Path) -> bool:
    """Return whether a directory is a build store: marked as one, and used."""
    return (folder / TAG).is_file() and (folder / LOCKS).is_dir()


def _began(session: Path) -> float:
    """Return when a session began; minus infinity if its file does not say so, or in the future."""
    try:
        began = float(session.name.split("-")[1])
    except (ValueError, IndexError):
        return -math.inf
    return began if began <= time.time() else -math.inf
