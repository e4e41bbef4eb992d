"""The revisions that a bisection walks: commits of a range, or releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.domain.spec import Revision
from harness.sources import git
from harness.sources.checkout import find_or_fetch, open_repository
from harness.sources.download import list_versions
from harness.sources.index import FIRST_WITH_SOURCE, PROJECT
from harness.util.codes import Code
from harness.util.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SHORT = 12
"""Digits of a commit id in labels: unique in any repository of ncnn, and stable."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One revision of a history."""

    id: str
    """What its measurements are remembered under: a commit id, or `index:` and a release."""
    revision: Revision
    title: str = ""
    date: str = ""
    """Author date of a commit or date of a release, ISO 8601."""

    @property
    def name(self) -> str:
        """The name in messages: release, or date, short commit id and title."""
        if not self.title:
            return self.revision.label
        return f"{self.revision.label[:9]} {self.date[:10]} {self.title}"


@dataclass(frozen=True, kw_only=True)
class Clone:
    """A git repository with ncnn's history."""

    path: Path
    where: str
    """As the user named it, path or URL."""
    log: Path

    @classmethod
    def open(cls, where: str, *, store: Path, log: Path) -> Clone:
        """Open a repository; one given as URL is cloned into the store.

        Raises:
            SourceError: there is none.
        """
        return cls(path=open_repository(where, store=store, log=log), where=where, log=log)

    def commits(self, older: str, newer: str) -> list[Point]:
        """Return the first-parent history from `older` to `newer`, both included.

        Raises:
            SourceError: a revision is unknown, or the clone is too shallow.
            UsageError: `older` is not an ancestor of `newer`.
        """
        first = find_or_fetch(self.path, self.where, older, log=self.log)
        last = find_or_fetch(self.path, self.where, newer, log=self.log)
        try:
            found = git.first_parent_range(self.path, older, newer)
        except UsageError as error:
            if self.is_ancestor(last, first):
                raise UsageError(
                    f"{older} comes after {newer}: the ends are swapped. Exchange --good and "
                    "--bad, or give --find-fix to look for the commit that made it good again.",
                    code=Code.ENDS_SWAPPED,
                ) from error
            raise
        return self.points([first, *found])

    def point(self, name: str) -> Point:
        """Return one revision.

        Raises:
            SourceError: it is unknown.
        """
        return self.points([find_or_fetch(self.path, self.where, name, log=self.log)])[0]

    def parent(self, point: Point) -> Point:
        """Return the first parent of a commit.

        Raises:
            SourceError: the clone is too shallow.
        """
        parents = git.merge_parents(self.path, point.id)
        if not parents:
            raise SourceError(
                f"{point.name}: its parent is not in {self.path}. Fetch more history."
            )
        return self.points(parents[:1])[0]

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether one commit is in the history of another, and not the same."""
        if older == newer:
            return False
        return git.succeeds(self.path, "merge-base", "--is-ancestor", older, newer)

    def touched(self, older: str, newer: str) -> dict[str, list[str]]:
        """Return the files that each commit of a first-parent range changed, `older` excluded."""
        words = ("log", "--first-parent", "-m", "--no-renames", "--name-only", "--format=%x00%H")
        found = {}
        listing = git.git(self.path, *words, f"{older}..{newer}").decode(errors="replace")
        for entry in listing.split("\0")[1:]:
            sha, *files = entry.split("\n")
            found[sha] = [name for name in files if name]
        return found

    def opened(self, merge: str) -> list[Point]:
        """Return what a merge brought in: its fork point, then the branch's own first-parent line.

        Empty for a commit that is no merge, and where nothing is to be opened.
        """
        parents = git.merge_parents(self.path, merge)
        if len(parents) != 2:
            return []
        base = git.git(self.path, "merge-base", *parents).decode().split()[0]
        words = ("rev-list", "--first-parent", "--reverse", f"{base}..{parents[1]}")
        inside = git.git(self.path, *words).decode().split()
        return self.points([base, *inside]) if inside else []

    def releases(self) -> list[Point]:
        """Return the releases among the tags, oldest first."""
        tags = git.release_tags(self.path)
        points = self.points([tag.sha for tag in tags])
        return [
            Point(
                id=point.id,
                revision=Revision(label=tag.label, kind="git", name=tag.sha, where=self.where),
                date=point.date,
            )
            for tag, point in zip(tags, points, strict=True)
        ]

    def points(self, commits: Sequence[str]) -> list[Point]:
        """Return commits as points, in the order given."""
        if not commits:
            return []
        words = ("log", "--no-walk=unsorted", "--stdin", "--encoding=UTF-8")
        layout = "--format=%H%x00%aI%x00%s"
        listing = git.git(self.path, *words, layout, stdin="\n".join(commits).encode())
        details = {}
        for line in listing.decode(errors="replace").split("\n")[:-1]:
            sha, date, title = line.split("\0")
            details[sha] = (date, title)
        return [self._point(sha, *details[sha]) for sha in commits]

    def _point(self, sha: str, date: str, title: str) -> Point:
        revision = Revision(label=sha[:SHORT], kind="git", name=sha, where=self.where)
        return Point(id=sha, revision=revision, title=title, date=date)

    def containing(self, commit: str) -> list[str]:
        """Return the releases that contain a commit, oldest first."""
        lines = git.git(self.path, "tag", "--contains", commit).decode().split()
        return sorted(line for line in lines if line.isdecimal() and len(line) == len("20200101"))

    def diff(self, commit: str, files: Iterable[str]) -> str:
        """Return what a commit changed in some of its files, against its first parent.

        Files that it changed come before those that it added: they show where these are used.
        """
        names = list(files)
        parents = git.merge_parents(self.path, commit)
        if not names or not parents:
            return ""
        words = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
        return "".join(
            git.git(self.path, *words, kind, parents[0], commit, "--", *names).decode(
                errors="replace"
            )
            for kind in ("--diff-filter=M", "--diff-filter=m")
        )


def index_releases() -> list[Point]:
    """Return the releases on the package index that have the C++ source, oldest first.

    Raises:
        MachineError: no network.
    """
    names = {version.rpartition(".")[2] for version, _, _ in list_versions(PROJECT, "sdist")}
    return [index_point(name) for name in sorted(names) if name >= FIRST_WITH_SOURCE]


def index_point(name: str) -> Point:
    """Return one release of the package index."""
    revision = Revision(label=name, kind="index", name=name)
    date = f"{name[:4]}-{name[4:6]}-{name[6:]}"
    return Point(id=f"index:{name}", revision=revision, date=date)


def between(releases: Sequence[Point], older: str, newer: str) -> list[Point]:
    """Return the releases from `older` to `newer`, both included.

    Raises:
        UsageError: one of them is no release, or they are the wrong way round.
    """
    names = [point.revision.label for point in releases]
    for name in (older, newer):
        if name not in names:
            raise UsageError(
                f"{name}: not a release of the package index, which has {', '.join(names)}. "
                "Choose one of these, or name a clone with --repo.",
                code=Code.UNKNOWN_RELEASE,
            )
    if names.index(older) >= names.index(newer):
        raise UsageError(
            f"{older} is not older than {newer}: the ends are swapped. Exchange --good and --bad, "
            "or give --find-fix to look for the release that made it good again.",
            code=Code.ENDS_SWAPPED,
        )
    return list(releases[names.index(older) : names.index(newer) + 1])
