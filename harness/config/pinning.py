"""What the locks say in this process: put in force once, asked where something is downloaded.

As with pip's configuration, it is the surroundings of a command and no argument of each function on
the way to a download.
"""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config.lock_file import Lock, builtin_lock, lock_path, read_lock
from harness.util.codes import Code
from harness.util.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from harness.config.lock_file import Kind, PinnedFile

_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""An id that names its content."""


@dataclass(frozen=True, kw_only=True)
class Pinning:
    """What is pinned, and what becomes of the rest."""

    lock: Lock
    locked: bool = False
    """Whether what is not pinned is refused."""
    config: Path | None = None
    """The configuration file whose lock would have it; None where a command has none."""

    @property
    def command(self) -> str:
        """The command that pins what the configuration in use needs."""
        file = f" --config {shlex.quote(str(self.config))}" if self.config else ""
        return f"python -m harness lock{file}"

    @property
    def remedy(self) -> str:
        """How something is pinned, as the end of a message."""
        return (
            f"Pin it with `{self.command}`; what the file does not name, with "
            "--version or --converter as well."
        )

    def distribution(self, project: str, version: str, kind: Kind) -> Mapping[str, PinnedFile]:
        """Return what is pinned of one version of a project, by file name; see `Lock`.

        Raises:
            SourceError: nothing is, and only what is pinned may be used.
        """
        pins = self.lock.distribution(project, version, kind)
        if not pins:
            self._refuse(f"{project} {version}")
        return pins

    def allow(self, file: str, pins: Mapping[str, PinnedFile]) -> None:
        """Raise SourceError if a file is not among its version's pins, and must be."""
        if file not in pins:
            self._refuse(file)

    def commit(self, repository: str, revision: str) -> str:
        """Return the commit that a revision of a URL is pinned to; empty if it is not.

        Raises:
            SourceError: it is not, and only what is pinned may be used.
        """
        if _FULL.fullmatch(revision):
            return revision
        found = self.lock.commit(repository, revision)
        if not found:
            self._refuse(f"revision {revision}")
        return found.commit if found else ""

    def _refuse(self, what: str) -> None:
        if self.locked:
            raise SourceError(
                f"{what}: not in a lock file, and --locked allows nothing else. {self.remedy}",
                code=Code.NOT_PINNED,
            )


_in_force: list[Pinning] = []


def in_force() -> Pinning:
    """Return what holds now: the harness's own lock, where nothing else was put in force."""
    return _in_force[-1] if _in_force else Pinning(lock=builtin_lock())


@contextmanager
def pinned_by(config: Path | None, *, locked: bool = False) -> Iterator[None]:
    """Let the harness's own lock and that of a configuration file hold; of two the latter.

    Raises:
        ConfigError: the lock file beside the configuration is not valid.
    """
    own = read_lock(lock_path(config)) if config else None
    lock = own.over(builtin_lock()) if own else builtin_lock()
    _in_force.append(Pinning(lock=lock, locked=locked, config=config))
    try:
        yield
    finally:
        _in_force.pop()


def put_in_force(pinning: Pinning) -> None:
    """Let this hold from now on: what holds in the process that sends this one its work."""
    if in_force() != pinning:
        _in_force.append(pinning)


@contextmanager
def pinned_by_nothing() -> Iterator[None]:
    """Let no lock hold: what is to be pinned is found out."""
    _in_force.append(Pinning(lock=Lock()))
    try:
        yield
    finally:
        _in_force.pop()
