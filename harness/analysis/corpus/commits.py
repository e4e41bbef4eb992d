"""The commits that introduced and repaired a fault, and those before them, to run it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.corpus.trials import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.advisories.advisory import Advisory
    from harness.analysis.bisection.history import Clone


def commits(advisory: Advisory, clone: Clone) -> Iterator[Place]:
    """Yield the commits of an advisory, each with its first parent before it.

    Raises:
        SourceError: the repository has no such commit.
    """
    for commit, words, becomes in (
        (advisory.introduced, "introduces it", True),
        (advisory.repaired, "repairs it", False),
    ):
        if commit:
            before, after = clone.point(f"{commit}^"), clone.point(commit)
            yield Place(
                revision=before.revision,
                faulty=advisory.is_fault and not becomes,
                words=f"before {after.revision.label[:9]}, which {words}",
            )
            faulty = advisory.is_fault and becomes
            yield Place(revision=after.revision, faulty=faulty, words=words)
