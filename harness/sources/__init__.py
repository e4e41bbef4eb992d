"""Where the source of a revision of ncnn comes from: the index, a git repository, a directory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from harness.sources.checkout import obtain_git, obtain_git_tests
from harness.sources.directory import obtain_directory
from harness.sources.index import obtain_index
from harness.sources.tree import TESTS, SourceTree
from harness.util.naming import file_name
from harness.util.paths import expanded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.domain.spec import Revision

__all__ = ["SourceTree", "obtain", "obtain_all", "obtain_tests", "source_log"]

_BY_KIND = {"index": obtain_index, "git": obtain_git, "directory": obtain_directory}


def obtain(revision: Revision, *, store: Path, log: Path, with_glslang: bool = False) -> SourceTree:
    """Return the source tree of a revision, from `store` if it is there already.

    Args:
        revision: which revision, and where it comes from.
        store: directory of finished trees, downloads and clones, shared by any number of
            processes. Nothing in it may be changed by hand.
        log: file that receives what the downloads and git print.
        with_glslang: also provide the shader compiler that this revision records, which a
            Vulkan build needs, as `glslang/` in the tree.

    Raises:
        SourceError: the revision cannot be obtained; the message says why and what to do.
        MachineError: no network, no git, no space.
    """
    return _BY_KIND[revision.kind](revision, store=store, log=log, with_glslang=with_glslang)


def source_log(logs: Path, revision: Revision) -> Path:
    """Return the file below `logs` that receives what fetching a revision prints."""
    return logs / f"source-{file_name(revision.label)}.log"


def obtain_all(
    revisions: Iterable[Revision], *, store: Path, logs: Path
) -> dict[Revision, SourceTree]:
    """Return the source trees of several revisions, fetched at the same time.

    Raises:
        SourceError: as `obtain`, for the first revision that cannot be had.
        MachineError: likewise.
    """
    distinct = list(dict.fromkeys(revisions))

    def one(revision: Revision) -> SourceTree:
        return obtain(revision, store=store, log=source_log(logs, revision))

    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(distinct, pool.map(one, distinct), strict=True))


def obtain_tests(revision: Revision, *, store: Path, log: Path) -> Path | None:
    """Return the folder with ncnn's own tests of a revision, to be read only.

    Args:
        revision: which revision, and where it comes from.
        store: as for `obtain`.
        log: as for `obtain`.

    Returns:
        The folder; None where there are none, as in the releases of the package index.

    Raises:
        SourceError: the revision cannot be obtained.
        MachineError: no network, no git, no space.
    """
    if revision.kind == "git":
        return obtain_git_tests(revision, store=store, log=log)
    tests = expanded(revision.name).absolute() / TESTS
    return tests if revision.kind == "directory" and tests.is_dir() else None
