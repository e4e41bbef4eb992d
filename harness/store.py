"""The build store: finished things under content keys, complete or absent, safe for many users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

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

    def prepare(self) -> None:
        """Create the root and mark it as a cache that backups and searches may leave out."""
        self.root.mkdir(parents=True, exist_ok=True)
        tag = self.root / "CACHEDIR.TAG"
        if not tag.exists():
            write_atomically(tag, "Signature: 8a477f597d28d172789f06886806bc55\n")
