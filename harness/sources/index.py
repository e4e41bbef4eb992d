"""Releases of ncnn on the package index: source distributions that hold the whole C++ source."""

from __future__ import annotations

import re
import tarfile
import zlib
from typing import TYPE_CHECKING

from harness.sources.download import distribution
from harness.sources.tree import (
    GLSLANG,
    SourceTree,
    check_complete,
    check_name,
    check_size,
    is_part,
    joined_with_glslang,
    stored,
    write_file,
)
from harness.util.codes import Code
from harness.util.errors import SourceError
from harness.util.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.domain.spec import Revision

PROJECT = "ncnn"
FIRST_WITH_SOURCE = "20250428"
"""Older source distributions hold only the Python wrapper, which downloads the rest."""


def index_version(name: str) -> str:
    """Return the version on the index of a release named by date: 20250503 → 1.0.20250503."""
    return f"1.0.{name}" if re.fullmatch(r"\d{8}", name) else name


def obtain_index(revision: Revision, *, store: Path, log: Path, with_glslang: bool) -> SourceTree:
    """Return the source of a release, extracted from its source distribution.

    Raises:
        SourceError: no such release, an archive without the C++ source, or a damaged one.
        MachineError: no network, disk full.
    """
    version = index_version(revision.name)
    with distribution(
        PROJECT, version, kind="sdist", cache=store / "downloads", session_log=log
    ) as archive:
        sha256 = sha256_of(archive)

        def fill(root: Path) -> None:
            _extract(archive, root, lambda name: name if is_part(name) else None)
            check_complete(
                root,
                archive.name,
                f"Releases before {FIRST_WITH_SOURCE} have only the Python wrapper on the index: "
                f"take tag {version.rpartition('.')[2]} of the git repository instead (kind git).",
            )

        glslang, glslang_digest = None, ""
        path, digest = stored(store / f"index-{sha256[:16]}", fill)
        if with_glslang:
            glslang, glslang_digest = _glslang(archive, sha256, store)
            path = joined_with_glslang(path, glslang, glslang_digest)
    return SourceTree(
        path=path,
        digest=digest,
        description=f"{archive.name} from the package index, SHA-256 {sha256}",
        date=_date(version),
        glslang=glslang,
        glslang_digest=glslang_digest,
    )


def _glslang(archive: Path, sha256: str, store: Path) -> tuple[Path, str]:
    def fill(root: Path) -> None:
        _extract(archive, root, _glslang_name)
        if not (root / "CMakeLists.txt").is_file():
            raise SourceError(
                f"{archive.name}: no glslang in it, which a Vulkan build needs. Take another "
                "release or a git repository.",
                code=Code.NO_GLSLANG,
            )

    return stored(store / f"glslang-index-{sha256[:16]}", fill, None)


def _glslang_name(name: str) -> str | None:
    """Return the name inside glslang; `.git` and the like belong to whoever packed it."""
    top, _, rest = name.partition("/")
    return rest if top == GLSLANG and rest and not rest.startswith(".") else None


def _extract(archive: Path, root: Path, rename: Callable[[str], str | None]) -> None:
    """Write regular files of a tar archive below `root`.

    `rename` gets the name without the archive's one top directory and returns the name to write,
    or None for a file that is not needed.

    Links and devices among them are refused. (`tarfile`'s own filters are not in every
    Python 3.11, and allow links.)
    """
    try:
        size = 0
        with tarfile.open(archive) as tar:
            for member in tar:
                check_name(member.name, archive.name)
                # What is passed over has to be decompressed as well; a name counts as a block.
                size += member.size + tarfile.BLOCKSIZE
                check_size(size, archive.name)
                name = rename(member.name.partition("/")[2])
                if name is None or member.isdir():
                    continue
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise SourceError(
                        f"{archive.name}: {member.name} is a link or device, which no release of "
                        "ncnn contains. Do not trust this archive.",
                        code=Code.STRANGE_ARCHIVE,
                    )
                write_file(root, name, stream.read(), archive.name)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SourceError(
            f"{archive.name}: truncated or damaged, as the package index sent it ({error}). Run "
            "again; if it stays so, check pip's index-url and find-links.",
            code=Code.STRANGE_ARCHIVE,
        ) from error


def _date(version: str) -> str:
    found = re.search(r"(\d{4})(\d\d)(\d\d)$", version)
    return "-".join(found.groups()) if found else ""
