"""Revisions of a git repository: exactly the files that a build needs, beside the user's tree.

Files are read with `git cat-file --batch` and not checked out: attributes, filters and line
endings settings of the user cannot change them, no index is needed, and one process reads all.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from harness.config.lock_file import without_credentials
from harness.config.pinning import in_force
from harness.config.ranges import known_repository
from harness.sources import git
from harness.sources.clone import clone_damage, object_id
from harness.sources.tree import (
    GLSLANG,
    PARTS,
    TESTS,
    SourceTree,
    check_complete,
    check_size,
    joined_with_glslang,
    stored,
    write_file,
)
from harness.util.codes import Code
from harness.util.errors import SourceError
from harness.util.files import append_line, directory_atomically, disk_trouble_explained
from harness.util.paths import expanded
from harness.util.process import capture, run
from harness.util.sealed import is_intact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.domain.spec import Revision

logger = logging.getLogger(__name__)

LINK_MODE = "120000"


@dataclass(frozen=True, kw_only=True)
class _Blob:
    name: str
    mode: str
    sha: str


def obtain_git(revision: Revision, *, store: Path, log: Path, with_glslang: bool) -> SourceTree:
    """Return the source of a commit; see `harness.sources.obtain`.

    Raises:
        SourceError: no such repository or revision, or the clone lacks files that are needed.
        MachineError: no git, disk full.
    """
    repo, commit, place = _commit_of(revision, store, log)

    def fill(root: Path) -> None:
        _write(repo, commit, _blobs(repo, commit, PARTS), root, place, log)
        check_complete(root, place, "Give a repository of ncnn and a commit since 2017-07.")

    path, digest = stored(store / f"git-{_key(repo, commit, PARTS)}", fill)
    glslang, glslang_digest = None, ""
    if with_glslang:
        glslang, glslang_digest = _glslang(repo, revision.where, commit, store=store, log=log)
        path = joined_with_glslang(path, glslang, glslang_digest)
    return SourceTree(
        path=path,
        digest=digest,
        description=f"commit {commit} ({revision.name}) of {without_credentials(revision.where)}",
        commit=commit,
        date=git.author_date(repo, commit),
        glslang=glslang,
        glslang_digest=glslang_digest,
    )


def _commit_of(revision: Revision, store: Path, log: Path) -> tuple[Path, str, str]:
    """Return repository and commit of a revision, and both in words."""
    repo = open_repository(revision.where, store=store, log=log)
    commit = find_or_fetch(repo, revision.where, revision.name, log=log)
    return repo, commit, f"{without_credentials(revision.where)}, commit {commit[:12]}"


def obtain_git_tests(revision: Revision, *, store: Path, log: Path) -> Path | None:
    """Return ncnn's own tests of a commit; see `harness.sources.obtain_tests`.

    Raises:
        SourceError: no such repository or revision, or the clone lacks files that are needed.
        MachineError: no git, disk full.
    """
    repo, commit, place = _commit_of(revision, store, log)
    blobs = _blobs(repo, commit, (TESTS,))
    if not blobs:
        return None

    def fill(root: Path) -> None:
        _write(repo, commit, blobs, root, place, log)

    path, _ = stored(store / f"{TESTS}-git-{_key(repo, commit, (TESTS,))}", fill, (TESTS,))
    return path / TESTS


def open_repository(where: str, *, store: Path, log: Path) -> Path:
    """Return a local repository: the path given, or for a URL a bare partial clone in `store`.

    Raises:
        SourceError: not a repository, or the clone failed.
    """
    if not where:
        raise SourceError(
            "No repository given. Name a clone of ncnn by path or URL.", code=Code.NOT_NCNN
        )
    if not is_url(where):
        repo = expanded(where).absolute()
        git.git_directory(repo)
        return repo
    _check_remote(where)
    key = hashlib.sha256(where.encode()).hexdigest()[:16]
    slot = store / "repositories" / f"{key}.git"
    with disk_trouble_explained(store):
        slot.parent.mkdir(parents=True, exist_ok=True)
        with _lock(slot):
            if not is_intact(slot, clone_damage):
                with directory_atomically(slot) as work:
                    # A server without support for filters sends everything, with a warning.
                    _network(
                        None, where, log, "clone", "--bare", "--filter=blob:none", "--", where, work
                    )
    return slot


def find_or_fetch(repo: Path, where: str, rev: str, *, log: Path) -> str:
    """Return the commit of a revision; the clone of a URL is brought up to date if it lacks it.

    Branches of a URL are therefore as old as the last update, or as the lock that pins them
    (`harness.config.pinning`). Git verifies what it fetches by the ids of commits.

    Raises:
        SourceError: no such revision, or it is not pinned and must be.
    """
    if not is_url(where):
        return git.resolve(repo, rev)
    pinning = in_force()
    pinned = pinning.commit(where, rev)
    if pinned:
        return fetch_commit(repo, where, pinned, log=log)
    commit = fetch_commit(repo, where, rev, log=log)
    _tell_unpinned(f"{rev} of {without_credentials(where)}", commit)
    return commit


@cache
def _tell_unpinned(what: str, commit: str) -> None:
    """Say it once in each process."""
    logger.warning("%s: commit %s, which no lock has. %s", what, commit, in_force().remedy)


def fetch_commit(repo: Path, where: str, rev: str, *, log: Path, fresh: bool = False) -> str:
    """Return the commit of a revision in the clone of a URL, whatever a lock says.

    The clone is brought up to date if it lacks the revision, or with `fresh`.

    Raises:
        SourceError: no such revision, or the repository cannot be reached.
    """
    if fresh or git.find(repo, rev) is None:
        with _lock(repo):
            refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
            _network(repo, where, log, "fetch", "--filter=blob:none", "origin", *refs)
            if re.fullmatch(r"[0-9a-f]{40}", rev) and git.find(repo, rev) is None:
                _network(repo, where, log, "fetch", "--filter=blob:none", "origin", rev)
    return git.resolve(repo, rev)


def is_url(where: str) -> bool:
    """Return whether `where` is a URL or `host:path` rather than a local path."""
    return "://" in where or (re.match(r"[^/]+:", where) is not None and not _exists(where))


def _exists(where: str) -> bool:
    try:
        return Path(where).exists()
    except (OSError, ValueError):  # too long, or a zero byte
        return False


def _check_remote(where: str) -> None:
    """Raise SourceError if git would take a remote for an option, or for a program to talk to."""
    try:
        known_repository(where)
    except ValueError as error:
        raise SourceError(f"{without_credentials(where)!r}: {error}.") from error


def _lock(repo: Path) -> FileLock:
    return FileLock(repo.with_name(f"{repo.name}.lock"))


def _network(repo: Path | None, where: str, log: Path, *arguments: str | Path) -> None:
    done = run(
        git.command(repo, *arguments),
        log=log,
        timeout=git.NETWORK_SECONDS,
        env=git.ENVIRONMENT,
    )
    if not done.ok:
        why = git.reason(done.output) if not done.timed_out else done.fate
        raise SourceError(
            f"{without_credentials(where)}: git failed: {why}. Check the address, the network "
            f"and your access; the log is {log}.",
            code=Code.GIT_FAILED,
        )


def _blobs(repo: Path, commit: str, paths: Iterable[str]) -> list[_Blob]:
    listing = git.git(repo, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
    blobs = []
    for entry in listing.decode(errors="surrogateescape").split("\0")[:-1]:
        details, _, name = entry.partition("\t")
        mode, kind, sha = details.split()
        if kind == "blob":
            blobs.append(_Blob(name=name, mode=mode, sha=sha))
    return blobs


def _key(repo: Path, commit: str, paths: Iterable[str]) -> str:
    """Return a key of the content of `paths`: the same for all commits that do not touch them."""
    listing = git.git(repo, "ls-tree", "-z", "--full-tree", commit, "--", *paths)
    return hashlib.sha256(listing).hexdigest()[:16]


def _write(repo: Path, commit: str, blobs: list[_Blob], root: Path, place: str, log: Path) -> None:
    """Write blobs below `root`, fetched first if this is a partial clone."""
    for blob in blobs:
        if blob.mode == LINK_MODE:
            raise SourceError(
                f"{place}: {blob.name} is a symbolic link, which ncnn has none of. Check it out "
                "yourself and give the directory (kind directory).",
                code=Code.STRANGE_ARCHIVE,
            )
    _fetch_missing(repo, commit, blobs, log)
    stdin = "".join(f"{blob.sha}\n" for blob in blobs).encode()
    sizes = git.git(repo, "cat-file", "--batch-check=%(objectsize)", "--buffer", stdin=stdin)
    check_size(sum(int(size) for size in sizes.split() if size.isdigit()), place)
    output = memoryview(git.git(repo, "cat-file", "--batch", "--buffer", stdin=stdin))
    position = 0
    for blob in blobs:
        end = bytes(output[position : position + 100]).index(b"\n") + position
        header = bytes(output[position:end]).split()
        if header[1] != b"blob":
            raise SourceError(
                f"{place}: this clone lacks {blob.name}. Make a full clone, or run "
                "`git fetch --refetch` there.",
                code=Code.PARTIAL_CLONE,
            )
        position = end + 1 + int(header[2])
        data = bytes(output[end + 1 : position])
        if object_id(b"blob %d\0" % len(data) + data, len(blob.sha)) != blob.sha:
            raise SourceError(
                f"{place}: this clone has another {blob.name} than the commit names. Check it with "
                "`git fsck`, or make a new one.",
                code=Code.PARTIAL_CLONE,
            )
        write_file(root, blob.name, data, place)
        position += 1


def _fetch_missing(repo: Path, commit: str, blobs: list[_Blob], log: Path) -> None:
    """Fetch what a partial clone lacks in one go; git by itself would ask for blob after blob."""
    remote = _promisor(repo)
    if remote is None:
        return
    objects = git.git(
        repo, "rev-list", "--objects", "--missing=print", "--no-object-names", f"{commit}^{{tree}}"
    )
    missing = {line[1:] for line in objects.decode().splitlines() if line.startswith("?")}
    wanted = sorted(missing & {blob.sha for blob in blobs})
    if not wanted:
        return
    # The command by which git itself fetches missing objects (its promisor-remote.c).
    fetch = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", remote, "--no-tags", "--quiet"]
    fetch += ["--no-write-fetch-head", "--filter=blob:none", "--stdin"]
    append_line(log, f"{repo}: fetching {len(wanted)} objects from {remote}")
    done = capture(
        git.command(repo, *fetch),
        timeout=git.NETWORK_SECONDS,
        env=git.ENVIRONMENT,
        stdin="\n".join(wanted).encode(),
    )
    if not done.ok:
        raise SourceError(
            f"{repo}: this partial clone lacks {len(wanted)} files of commit {commit[:12]}, and "
            f"{remote} does not give them: {git.reason(done.stderr)}. Check the network, or make "
            "a full clone.",
            code=Code.PARTIAL_CLONE,
        )


def _promisor(repo: Path) -> str | None:
    """Return the remote that a partial clone was made from."""
    pattern = r"^remote\..*\.promisor$"
    if not git.succeeds(repo, "config", "--get-regexp", pattern):
        return None
    names = git.git(repo, "config", "--name-only", "--get-regexp", pattern).decode().split()
    return names[0].removeprefix("remote.").removesuffix(".promisor")


def _glslang(repo: Path, where: str, commit: str, *, store: Path, log: Path) -> tuple[Path, str]:
    """Return (directory, digest) of the glslang that a commit of ncnn records as submodule."""
    place = f"{without_credentials(where)}, commit {commit[:12]}"
    revision = git.glslang_submodule_revision(repo, commit)
    if revision is None:
        raise SourceError(
            f"{place}: records no glslang, which a Vulkan build needs. Take a commit since "
            "2020-06.",
            code=Code.NO_GLSLANG,
        )
    home = _glslang_repository(repo, commit, revision, place, store=store, log=log)
    tops = git.git(home, "ls-tree", "-z", "--name-only", "--full-tree", revision).decode()
    wanted = [name for name in tops.split("\0") if name and name != "Test" and name[0] != "."]

    def fill(root: Path) -> None:
        blobs = [blob for blob in _blobs(home, revision, wanted) if blob.mode != LINK_MODE]
        _write(home, revision, blobs, root, f"glslang {revision[:12]}", log)

    return stored(store / f"glslang-git-{_key(home, revision, wanted)}", fill, None)


def _glslang_repository(
    repo: Path, commit: str, revision: str, place: str, *, store: Path, log: Path
) -> Path:
    for candidate in (git.git_directory(repo) / "modules" / GLSLANG, repo / GLSLANG):
        with contextlib.suppress(SourceError):
            if git.find(candidate, revision):
                return candidate
    try:
        url = git.git(
            repo, "config", "--blob", f"{commit}:.gitmodules", "--get", f"submodule.{GLSLANG}.url"
        )
        where = url.decode().strip()
        home = open_repository(where, store=store, log=log)
        find_or_fetch(home, where, revision, log=log)
    except SourceError as error:
        raise SourceError(
            f"{place}: glslang {revision[:12]}, which a Vulkan build needs, is not at hand "
            f"({error}) Run `git submodule update --init glslang` in the clone, or build with a "
            "system glslang (NCNN_SYSTEM_GLSLANG=ON).",
            code=Code.NO_GLSLANG,
        ) from error
    return home
