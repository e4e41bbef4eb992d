"""The build store: finished things under content keys, complete or absent, safe for many users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from harness.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class Store:
    """The directories below `builds/`, each with one purpose."""

    root: Path

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

    def prepare(self) -> None:
        """Create the root and mark it as a cache that backups and searches may leave out."""
        self.root.mkdir(parents=True, exist_ok=True)
        tag = self.root / "CACHEDIR.TAG"
        if not tag.exists():
            write_atomically(tag, "Signature: 8a477f597d28d172789f06886806bc55\n")
