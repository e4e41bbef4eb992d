"""Finding out what a lock is to say: the hashes of files, the commits of revisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.config.downloads import Distribution
from harness.config.lock_file import Lock, PinnedCommit, PinnedFile, without_credentials
from harness.config.pinning import pinned_by_nothing
from harness.sources.checkout import fetch_commit, open_repository
from harness.sources.download import distribution, fetch_files
from harness.util.errors import MachineError
from harness.util.files import sha256_of
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from pathlib import Path

    from harness.config.downloads import Download, GitRevision
    from harness.util.build_store import Store


def pin(wanted: Download, store: Store, *, fresh: bool = False) -> Lock:
    """Return what a lock says of something that may be downloaded.

    Args:
        wanted: a version of the package index, or a revision of a repository.
        store: where clones are; its downloads serve where the index cannot be reached.
        fresh: whether to ask the network for what is here already, such as a branch.

    Raises:
        SourceError: there is no such version or revision.
        MachineError: the network cannot be reached.
    """
    if isinstance(wanted, Distribution):
        return Lock(files=_files(wanted, store, fresh=fresh))
    return Lock(commits=(_commit(wanted, store, fresh=fresh),))


def _files(wanted: Distribution, store: Store, *, fresh: bool) -> tuple[PinnedFile, ...]:
    """Return a pin for each file of a version, whichever machine it is for.

    All of them are downloaded: not every index states hashes, and hardly one states sizes.
    """
    project, version, kind = wanted.project, wanted.version, wanted.kind
    with pinned_by_nothing(), scratch_directory("lock-") as scratch:
        try:
            found = fetch_files(project, version, kind, scratch)
        except MachineError:
            if fresh:
                raise
            # What was used here before is better than nothing; other machines' files stay open.
            with distribution(project, version, kind=kind, cache=store.downloads) as used:
                return (_file(wanted, used),)
        return tuple(_file(wanted, path) for path in found)


def _file(wanted: Distribution, path: Path) -> PinnedFile:
    return PinnedFile(
        project=wanted.project,
        version=wanted.version,
        file=path.name,
        sha256=sha256_of(path),
        size=path.stat().st_size,
    )


def _commit(wanted: GitRevision, store: Store, *, fresh: bool) -> PinnedCommit:
    where = wanted.repository
    log = store.logs / "lock.log"
    repo = open_repository(where, store=store.sources, log=log)
    return PinnedCommit(
        repository=without_credentials(where),
        revision=wanted.revision,
        commit=fetch_commit(repo, where, wanted.revision, log=log, fresh=fresh),
    )
