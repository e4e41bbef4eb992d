"""Reading git repositories: the one place that calls git, and what can be asked of a history.

Everything here reads: no work tree, index or reference of the repository is ever changed. (Git
itself stores missing objects that it fetches into a partial clone.) `repo` is a bare repository
or a work tree with a `.git`; a subdirectory of a work tree is not taken for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.domain.versions import nearest
from harness.util.codes import Code
from harness.util.errors import SourceError, UsageError
from harness.util.process import capture

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "fetch.prune": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
}
"""Settings that would run the user's programs or change what is printed or kept."""
_LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TRACE",
    "GIT_WORK_TREE",
)
"""`git rev-parse --local-env-vars` and a few more: they may point at another repository, as in a
hook, while credentials and proxies of the user stay in force."""
ENVIRONMENT: dict[str, str | None] = {
    **dict.fromkeys(_LOCAL_VARIABLES),
    # Others start programs (`ext::`) or read from what is open (`fd::`).
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""Its full id."""
LOCAL_SECONDS = 300.0
NETWORK_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class CommitInfo:
    """What a report says about a commit."""

    sha: str
    author_date: str
    """ISO 8601 with UTC offset."""
    title: str
    files: tuple[str, ...]
    """Paths that differ from the first parent, sorted; deleted ones included."""


@dataclass(frozen=True, kw_only=True, order=True)
class ReleaseTag:
    """A tag that is a date, as ncnn's releases are."""

    label: str
    """Eight digits."""
    sha: str
    """The commit, not the tag object."""
    date: str
    """Committer date of the commit, ISO 8601 with UTC offset."""


def command(repo: Path | None, *arguments: str | Path) -> list[str | Path]:
    """Return the command line of a git call; run it with `ENVIRONMENT`."""
    words: list[str | Path] = ["git"]
    if repo is not None:
        # Named explicitly, so that git does not search the parents or mind the owner.
        words += [f"--git-dir={git_directory(repo)}"]
    for name, value in _CONFIG.items():
        words += ["-c", f"{name}={value}"]
    return words + list(arguments)


def git(repo: Path, *arguments: str, stdin: bytes = b"", seconds: float = LOCAL_SECONDS) -> bytes:
    """Return what a git command prints.

    Raises:
        SourceError: it failed; with git's own reason.
        MachineError: git is not installed.
    """
    done = capture(command(repo, *arguments), timeout=seconds, env=ENVIRONMENT, stdin=stdin)
    if done.timed_out:
        raise SourceError(
            f"{repo}: git {arguments[0]} took over {seconds:.0f} s. Check the disk.",
            code=Code.GIT_FAILED,
        )
    if not done.ok:
        raise SourceError(
            f"{repo}: git {arguments[0]} failed: {reason(done.stderr)}. Check with `git fsck`.",
            code=Code.GIT_FAILED,
        )
    return done.stdout


def succeeds(repo: Path, *arguments: str) -> bool:
    """Return whether a git command that answers by its exit code says yes."""
    return capture(command(repo, *arguments), timeout=LOCAL_SECONDS, env=ENVIRONMENT).ok


def reason(stderr: str) -> str:
    """Return the line of git's output that says why it failed."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or ["no reason given"])[0].rstrip(".")


def git_directory(repo: Path) -> Path:
    """Return the git directory of a work tree or a bare repository.

    Raises:
        SourceError: it is neither.
    """
    if (repo / ".git").exists():
        return repo / ".git"
    if (repo / "HEAD").is_file() and (repo / "objects").is_dir():
        return repo
    what = "no such directory"
    if repo.exists():
        what = "not a git repository" if repo.is_dir() else "not a directory"
    raise SourceError(
        f"{repo}: {what}. Give the root of a clone, a bare repository or a URL.", code=Code.NOT_NCNN
    )


def find(repo: Path, rev: str) -> str | None:
    """Return the full commit id of a tag, branch, `HEAD~3`, …; None if it is not known."""
    if not rev or rev.startswith("-"):
        return None
    # A branch nobody has checked out exists only as its remote's.
    for name in (rev, f"refs/remotes/origin/{rev}"):
        done = capture(
            command(repo, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"),
            timeout=LOCAL_SECONDS,
            env=ENVIRONMENT,
        )
        # `^HEAD` and the like give what is no commit by itself.
        if done.ok and _COMMIT.fullmatch(done.text.strip()):
            return done.text.strip()
    return None


def resolve(repo: Path, rev: str) -> str:
    """Return the full commit id of a tag, branch, commit, `HEAD~3`, ….

    Raises:
        SourceError: the repository has no such revision.
    """
    sha = find(repo, rev)
    if sha is not None:
        return sha
    if is_shallow(repo):
        raise SourceError(
            f"{repo}: no revision {rev!r} in this shallow clone. Run `git fetch --unshallow "
            "--tags` there.",
            code=Code.PARTIAL_CLONE,
        )
    known = git(repo, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags", "refs/heads")
    alike = nearest(rev, known.decode(errors="replace").split())
    hint = f"Nearest: {', '.join(alike)}." if alike else "It has no tags or branches."
    raise SourceError(
        f"{repo}: no revision {rev!r}. {hint} Run `git fetch --tags` if it is new.",
        code=Code.NO_SUCH_REVISION,
    )


def is_shallow(repo: Path) -> bool:
    """Return whether the repository's history was cut off when it was cloned."""
    return git(repo, "rev-parse", "--is-shallow-repository").strip() == b"true"


def _log(repo: Path, sha: str, layout: str) -> str:
    # Not `git show`, which reads trees that a partial clone may lack.
    words = ("log", "--max-count=1", "--no-patch", "--encoding=UTF-8", f"--format={layout}", sha)
    return git(repo, *words).decode(errors="replace").rstrip("\n")


def author_date(repo: Path, sha: str) -> str:
    """Return the author date of a commit, ISO 8601 with UTC offset."""
    return _log(repo, sha, "%aI")


def commit_info(repo: Path, sha: str) -> CommitInfo:
    """Return date, title and files of a commit; a merge is compared with its first parent."""
    full, date, title = _log(repo, sha, "%H%x00%aI%x00%s").split("\0")
    parents = merge_parents(repo, full)
    sides = [parents[0], full] if parents else ["--root", "--no-commit-id", full]
    names = git(repo, "diff-tree", "-r", "-z", "--name-only", *sides)
    files = names.decode(errors="replace").split("\0")
    return CommitInfo(
        sha=full, author_date=date, title=title, files=tuple(name for name in files if name)
    )


def first_parent_range(repo: Path, good: str, bad: str) -> list[str]:
    """Return the commits after `good` up to and including `bad`, oldest first.

    Only first parents are followed: a merge counts as one commit.

    Raises:
        SourceError: a revision is unknown, or the clone is too shallow to tell.
        UsageError: `good` is not an ancestor of `bad`.
    """
    first, last = resolve(repo, good), resolve(repo, bad)
    if first == last:
        raise UsageError(
            f"{good} and {bad} are the same commit ({first[:12]}). Give two revisions.",
            code=Code.ENDS_ALIKE,
        )
    if not succeeds(repo, "merge-base", "--is-ancestor", first, last):
        raise _unrelated(repo, good, bad, first, last)
    return git(repo, "rev-list", "--first-parent", "--reverse", f"{first}..{last}").decode().split()


def _unrelated(repo: Path, good: str, bad: str, first: str, last: str) -> Exception:
    if succeeds(repo, "merge-base", "--is-ancestor", last, first):
        return UsageError(f"{good} comes after {bad}. Swap the two ends.", code=Code.ENDS_SWAPPED)
    if is_shallow(repo):
        return SourceError(
            f"{repo}: this shallow clone does not show how {good} and {bad} are related. Run "
            "`git fetch --unshallow` there.",
            code=Code.PARTIAL_CLONE,
        )
    done = capture(command(repo, "merge-base", first, last), timeout=LOCAL_SECONDS, env=ENVIRONMENT)
    base = f"Their common ancestor is {done.text[:12]}: start there." if done.ok else ""
    return UsageError(
        f"{good} is not an ancestor of {bad}. {base or 'They share no history.'}",
        code=Code.ENDS_ALIKE,
    )


def merge_parents(repo: Path, sha: str) -> list[str]:
    """Return the parents of a commit, the first parent first; empty for a root commit."""
    line = git(repo, "rev-list", "--parents", "--max-count=1", sha).decode().split()
    return line[1:]


def release_tags(repo: Path) -> list[ReleaseTag]:
    """Return the tags that are dates (eight digits), oldest first."""
    fields = ("refname:strip=2", "*objectname", "objectname", "*committerdate", "committerdate")
    layout = "%00".join(
        f"%({field}:iso-strict)" if field.endswith("date") else f"%({field})" for field in fields
    )
    tags = []
    for line in git(repo, "for-each-ref", f"--format={layout}", "refs/tags").decode().splitlines():
        label, peeled, direct, peeled_date, direct_date = line.split("\0")
        if re.fullmatch(r"\d{8}", label):
            tags.append(
                ReleaseTag(label=label, sha=peeled or direct, date=peeled_date or direct_date)
            )
    return sorted(tags)


def glslang_submodule_revision(repo: Path, commit: str) -> str | None:
    """Return the commit of glslang that a commit of ncnn records; None if it records none."""
    line = git(repo, "ls-tree", "--full-tree", commit, "glslang").decode().split()
    return line[2] if line[:2] == ["160000", "commit"] else None
