"""A directory with ncnn's source, used as it is and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.sources.tree import GLSLANG, SourceTree, check_complete, tree_digest
from harness.util.codes import Code
from harness.util.errors import SourceError
from harness.util.paths import expanded

if TYPE_CHECKING:
    from pathlib import Path

    from harness.domain.spec import Revision


def obtain_directory(
    revision: Revision, *, store: Path, log: Path, with_glslang: bool
) -> SourceTree:
    """Return a user's directory as a source tree; nothing is copied, nothing written to it.

    The digest says what was in it now; a build that takes long should compare it afterwards.
    `store` and `log` are not needed.

    Raises:
        SourceError: there is no such directory, or it does not hold what is needed.
    """
    del store, log
    root = expanded(revision.name).absolute()
    if not root.is_dir():
        raise SourceError(
            f"{root}: no such directory. Give the root of a checkout of ncnn.", code=Code.NOT_NCNN
        )
    check_complete(root, str(root), "Give the root of a checkout of ncnn.")
    glslang = root / GLSLANG
    if with_glslang and not (glslang / "CMakeLists.txt").is_file():
        raise SourceError(
            f"{glslang}: empty, but a Vulkan build needs it. Run `git submodule update --init "
            "glslang` there.",
            code=Code.NO_GLSLANG,
        )
    return SourceTree(
        path=root,
        digest=tree_digest(root),
        description=f"directory {root}",
        glslang=glslang if with_glslang else None,
        glslang_digest=tree_digest(glslang, None) if with_glslang else "",
    )
