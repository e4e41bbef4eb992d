"""A source tree of ncnn on disk: what belongs to it, its digest, how it is stored."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.util.errors import SourceError
from harness.util.files import directory_atomically, disk_trouble_explained, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PARTS = ("CMakeLists.txt", "cmake", "src")
"""What a build of the library needs, relative to the root of ncnn."""
GLSLANG = "glslang"
MOST_BYTES = 4 << 30
"""Of a source tree; ncnn with glslang takes 40 MB."""
TESTS = "tests"
"""Where ncnn has its own tests, which no build of the library needs."""


@dataclass(frozen=True, kw_only=True)
class SourceTree:
    """The source of one revision, ready for `cmake -S`; nobody may write to it."""

    path: Path
    """Directory with `CMakeLists.txt`, `cmake/` and `src/`."""
    digest: str
    """SHA-256 over names and contents of these, wherever they came from."""
    description: str
    """Where it came from, in words, with archive hash or commit."""
    commit: str = ""
    """Full commit id (`git` only)."""
    date: str = ""
    """Author date of the commit, or date of the release, ISO 8601; empty for a directory."""
    glslang: Path | None = None
    """Directory of the shader compiler, which `path/glslang` leads to, if it was asked for."""
    glslang_digest: str = ""
    """SHA-256 over the names and contents of all files of `glslang`."""


def is_part(name: str, parts: Iterable[str] = PARTS) -> bool:
    """Return whether a path relative to the root belongs to one of `parts`."""
    return name.partition("/")[0] in parts


def write_file(root: Path, name: str, data: bytes, place: str) -> None:
    """Write one file of an archive or commit below `root`.

    Raises:
        SourceError: the name leads out of `root`; `place` is where it came from.
    """
    check_name(name, place)
    target = root / name
    try:
        target.write_bytes(data)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def check_name(name: str, place: str) -> None:
    """Raise SourceError if the relative path `name`, found in `place`, is not a harmless one."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise SourceError(
            f"{place}: contains the path {name!r}, which leads outside. Do not trust this source."
        )


def check_size(size: int, place: str) -> None:
    """Raise SourceError if the files of `place` take more bytes together than any source does."""
    if size > MOST_BYTES:
        raise SourceError(
            f"{place}: unpacks to more than {MOST_BYTES / 2**30:g} GiB, a hundred times what ncnn "
            "takes. Do not trust this source."
        )


def tree_digest(root: Path, parts: Iterable[str] | None = PARTS) -> str:
    """Return the SHA-256 over the sorted relative names and contents of all files.

    Each file counts as its name, a zero byte, its size in decimal, a zero byte, its content, so
    that no two different trees give the same bytes. Modes, dates and empty directories do not
    count.

    Args:
        root: the directory.
        parts: files and directories in it that count; None for everything.
    """
    digest = hashlib.sha256()
    base = str(root)
    for path in sorted(_files(root, parts)):
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 (thousands of files: speed)
            data = stream.read()
        name = path[len(base) + 1 :].replace(os.sep, "/")
        digest.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape"))
        digest.update(data)
    return digest.hexdigest()


def _files(root: Path, parts: Iterable[str] | None) -> Iterator[str]:
    for top in [root] if parts is None else [root / part for part in parts]:
        if top.is_file():
            yield str(top)
        for folder, _, names in os.walk(top):
            yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118


def check_complete(root: Path, place: str, remedy: str) -> None:
    """Raise SourceError if `root` does not hold the C++ source of ncnn."""
    for needed in ("CMakeLists.txt", "src/CMakeLists.txt", "src/layer"):
        if not (root / needed).exists():
            raise SourceError(
                f"{place}: no {needed}, so this is not the C++ source of ncnn. {remedy}"
            )


def stored(
    slot: Path, fill: Callable[[Path], object], parts: Iterable[str] | None = PARTS
) -> tuple[Path, str]:
    """Return (directory, digest) of a stored tree, made by `fill` unless it is there.

    Args:
        slot: where it is kept; the name derives from what identifies the content.
        fill: writes the files into an empty directory. If it raises, nothing is kept.
        parts: what counts for the digest.
    """
    if not slot.is_dir():
        with disk_trouble_explained(slot), directory_atomically(slot) as work:
            (work / "source").mkdir()
            fill(work / "source")
            (work / "digest").write_text(tree_digest(work / "source", parts), encoding="ascii")
    stamp(slot)
    return slot / "source", (slot / "digest").read_text(encoding="ascii")


def joined_with_glslang(tree: Path, glslang: Path, glslang_digest: str) -> Path:
    """Return a stored tree that is `tree` with `glslang/` in it, as the CMake code expects it.

    It is another tree, since the same source is recorded with different versions of glslang. It
    takes no space: files are hard links, and `glslang` leads to the one that many trees share.
    """
    slot = tree.parent.with_name(f"{tree.parent.name}-glslang-{glslang_digest[:16]}")
    if not slot.is_dir():
        with disk_trouble_explained(slot), directory_atomically(slot) as work:
            shutil.copytree(tree, work / tree.name, copy_function=os.link)
            link = work / tree.name / GLSLANG
            link.symlink_to(os.path.relpath(glslang, slot / tree.name), target_is_directory=True)
    stamp(slot)
    return slot / tree.name
