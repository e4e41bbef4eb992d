"""What may have to be downloaded, as values, and what of it a lock does not pin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from harness.config.lock_file import Lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.config.lock_file import Kind, PinnedCommit, PinnedFile


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """One version of a project of the package index."""

    project: str
    version: str
    kind: Kind

    @property
    def name(self) -> str:
        """Project and version, as messages name them."""
        return f"{self.project} {self.version}"

    def pins(self, lock: Lock) -> Sequence[PinnedFile]:
        """Return what a lock says of it."""
        return [*lock.distribution(self.project, self.version, self.kind).values()]

    def is_called(self, name: str) -> bool:
        """Return whether somebody who says `name` means it: project, version or both."""
        version = self.version.rpartition(".")[2]
        project = canonicalize_name(self.project)
        return name in (self.name, self.version, version) or canonicalize_name(name) == project


@dataclass(frozen=True, kw_only=True)
class GitRevision:
    """One revision of a repository that is a URL."""

    repository: str
    revision: str

    @property
    def name(self) -> str:
        """Repository and revision, as messages name them."""
        return f"{self.repository} {self.revision}"

    def pins(self, lock: Lock) -> Sequence[PinnedCommit]:
        """Return what a lock says of it."""
        found = lock.commit(self.repository, self.revision)
        return [found] if found else []

    def is_called(self, name: str) -> bool:
        """Return whether somebody who says `name` means it: repository, revision or both."""
        return name in (self.name, self.repository, self.revision)


Download = Distribution | GitRevision


def not_pinned(wanted: Iterable[Download], lock: Lock) -> list[Download]:
    """Return what of the downloads a lock does not pin, each once."""
    return [each for each in dict.fromkeys(wanted) if not each.pins(lock)]


def about_others(lock: Lock, downloads: Iterable[Download]) -> Lock:
    """Return what a lock pins of anything but these downloads."""
    mine = [pin for each in downloads for pin in each.pins(lock)]
    return Lock(
        files=tuple(pin for pin in lock.files if pin not in mine),
        commits=tuple(pin for pin in lock.commits if pin not in mine),
    )
