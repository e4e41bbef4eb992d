"""The build store: finished things under content keys, complete or absent, safe for many users."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from filelock import FileLock, Timeout

from harness.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = "limit"
LIMIT_GIB = 20.0
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
    def logs(self) -> Path:
        """Logs of downloads and checkouts."""
        return self.root / "logs"

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the lock of one key across processes and threads."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            yield

    def is_locked(self, key: str) -> bool:
        """Return whether anybody holds the lock of a key at the moment."""
        path = self.root / "locks" / f"{key}.lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, blocking=False):
                return False
        except Timeout:
            return True

    @contextmanager
    def slot(self) -> Iterator[Path]:
        """Hold one of the few directories in which builds compile, the first that is free.

        A compiler cache takes the same file at another path for another file, so that all builds
        compile at the same path, one after the other. Several at the same time have one each.
        """
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        for number in count():
            lock = FileLock(folder / f"slot-{number}.lock")
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
        path = self.root / LIMIT
        return float(path.read_text(encoding="utf-8")) if path.exists() else LIMIT_GIB

    def set_limit(self, gib: float) -> None:
        """Keep another limit, for whoever uses this store."""
        write_atomically(self.root / LIMIT, f"{gib}\n")

    def prepare(self) -> None:
        """Create the root, mark it as a cache, and announce this process as a user.

        Backups and searches may leave a cache out. What this process finds or makes in the store
        is not pruned while this object lives.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        tag = self.root / "CACHEDIR.TAG"
        if not tag.exists():
            write_atomically(tag, "Signature: 8a477f597d28d172789f06886806bc55\n")
        if not self._session:
            with self.lock(SESSIONS):
                # In the name, since opening a lock file may count as writing to it.
                name = f"{SESSION}{time.time()}-{uuid4().hex[:12]}.lock"
                session = FileLock(self.root / "locks" / name)
                session.acquire()
                self._session.append(session)

    @contextmanager
    def sessions(self) -> Iterator[float]:
        """Keep new users waiting, and yield when the oldest one that is alive began.

        In seconds since the epoch; infinity if there is none.
        """
        with self.lock(SESSIONS):
            since = math.inf
            for path in (self.root / "locks").glob(f"{SESSION}*.lock"):
                if self.is_locked(path.stem):
                    since = min(since, float(path.name.split("-")[1]))
                else:
                    path.unlink(missing_ok=True)
            yield since
