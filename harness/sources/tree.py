"""A source tree of ncnn on disk: what belongs to it, its digest, how it is stored."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.util.codes import Code
from harness.util.errors import SourceError
from harness.util.files import directory_atomically, disk_trouble_explained
from harness.util.reading import read_text
from harness.util.sealed import check_machine, is_intact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PARTS = ("CMakeLists.txt", "cmake", "src")
"""What a build of the library needs, relative to the root of ncnn."""
GLSLANG = "glslang"
MOST_BYTES = 4 << 30
"""Of a source tree; ncnn with glslang takes 40 MB."""
MAX_DEPTH, MAX_NAME = 40, 1000
"""Folders within each other, and characters of a path, of a file that is written here."""
TESTS = "tests"
"""Where ncnn has its own tests, which no build of the library needs."""
SOURCE, DIGEST = "source", "digest"
"""A stored tree, and the file beside it with its digest."""


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

    def check(self) -> None:
        """Make sure that the files are still those that the digests are of.

        Raises:
            ChangedSourceError: one was changed, is missing, or was added.
        """
        _check(self.path, self.digest, PARTS)
        if self.glslang:
            _check(self.glslang, self.glslang_digest, None)


class ChangedSourceError(SourceError):
    """A source tree is not what it was when it was obtained."""


def _check(root: Path, digest: str, parts: Iterable[str] | None) -> None:
    why = "changed since it was read"
    try:
        if tree_digest(root, parts) == digest:
            return
    except SourceError as error:
        check_machine(root, error.__cause__)
        why = str(error)
    raise ChangedSourceError(f"{root}: {why}. Run the same command again.")


def is_part(name: str, parts: Iterable[str] = PARTS) -> bool:
    """Return whether a path relative to the root belongs to one of `parts`."""
    return name.partition("/")[0] in parts


def source_text(path: Path) -> str:
    """Return the text of a file of ncnn's source; what is not in UTF-8 are unknown characters."""
    return path.read_text(encoding="utf-8", errors="replace")


def write_file(root: Path, name: str, data: bytes, place: str) -> None:
    """Write one file of an archive or commit below `root`.

    Raises:
        SourceError: the name leads out of `root`, or is that of a file and of a folder at once;
            `place` is where it came from.
    """
    check_name(name, place)
    target = root / name
    try:
        try:
            target.write_bytes(data)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise SourceError(
            f"{place}: contains the path {name[:200]!r} as a file and as a folder. Do not trust "
            "this source.",
            code=Code.STRANGE_ARCHIVE,
        ) from error


def check_name(name: str, place: str) -> None:
    """Raise SourceError if the relative path `name`, found in `place`, is not a harmless one."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise SourceError(
            f"{place}: contains the path {name[:200]!r}, which leads outside. Do not trust this "
            "source.",
            code=Code.STRANGE_ARCHIVE,
        )
    if len(parts) > MAX_DEPTH or len(name) > MAX_NAME:
        raise SourceError(
            f"{place}: contains the path {name[:200]!r}… of {len(name)} characters in {len(parts)} "
            f"folders; ncnn has none of more than {MAX_NAME} and {MAX_DEPTH}. Do not trust this "
            "source.",
            code=Code.STRANGE_ARCHIVE,
        )


def check_size(size: int, place: str) -> None:
    """Raise SourceError if the files of `place` take more bytes together than any source does."""
    if size > MOST_BYTES:
        raise SourceError(
            f"{place}: unpacks to more than {MOST_BYTES / 2**30:g} GiB, a hundred times what ncnn "
            "takes. Do not trust this source.",
            code=Code.STRANGE_ARCHIVE,
        )


def tree_digest(root: Path, parts: Iterable[str] | None = PARTS) -> str:
    """Return the SHA-256 over the sorted relative names and contents of all files.

    Each file counts as its name, a zero byte, its size in decimal, a zero byte, its content, so
    that no two different trees give the same bytes. Modes, dates and empty directories do not
    count.

    Args:
        root: the directory.
        parts: files and directories in it that count; None for everything.

    Raises:
        SourceError: a file in it cannot be read, or is none.
    """
    digest = hashlib.sha256()
    base = str(root)
    for path in sorted(_files(root, parts)):
        data = _content(path)
        name = path[len(base) + 1 :].replace(os.sep, "/")
        digest.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape"))
        digest.update(data)
    return digest.hexdigest()


def _content(path: str) -> bytes:
    try:
        # Opening a pipe would wait for somebody who writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceError(f"{path}: not a regular file. Remove it from the source.")
            return stream.read()
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror}). Make it readable, or remove it from the "
            "source."
        ) from error


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
                f"{place}: no {needed}, so this is not the C++ source of ncnn. {remedy}",
                code=Code.NOT_NCNN,
            )


def stored(
    slot: Path, fill: Callable[[Path], object], parts: Iterable[str] | None = PARTS
) -> tuple[Path, str]:
    """Return (directory, digest) of a stored tree, made by `fill` unless it is there and intact.

    Args:
        slot: where it is kept; the name derives from what identifies the content.
        fill: writes the files into an empty directory. If it raises, nothing is kept.
        parts: what counts for the digest.
    """
    if not is_intact(slot, partial(_damage, parts=parts)):
        with disk_trouble_explained(slot), directory_atomically(slot) as work:
            (work / SOURCE).mkdir()
            fill(work / SOURCE)
            (work / DIGEST).write_text(tree_digest(work / SOURCE, parts), encoding="ascii")
    return slot / SOURCE, _digest_of(slot)


def _digest_of(slot: Path) -> str:
    return read_text(slot / DIGEST, limit=1 << 10, error=SourceError)


def _damage(slot: Path, parts: Iterable[str] | None) -> str:
    """Return what is wrong with a stored tree; empty if nothing is."""
    try:
        if tree_digest(slot / SOURCE, parts) == _digest_of(slot):
            return ""
    except SourceError as error:
        check_machine(slot, error.__cause__)
    return "the source has another digest"


def _damage_of_joined(slot: Path, tree: Path, link: str) -> str:
    """Return what is wrong with a stored tree that is another one with a link in it."""
    try:
        if (slot / SOURCE / GLSLANG).readlink() == Path(link):
            same = tree_digest(slot / SOURCE) == _digest_of(tree.parent)
            return "" if same else "the source has another digest"
    except SourceError as error:
        check_machine(slot, error.__cause__)
    except OSError:
        pass
    return f"no link to {GLSLANG}"


def joined_with_glslang(tree: Path, glslang: Path, glslang_digest: str) -> Path:
    """Return a stored tree that is `tree` with `glslang/` in it, as the CMake code expects it.

    It is another tree, since the same source is recorded with different versions of glslang. It
    takes no space: files are hard links, and `glslang` leads to the one that many trees share.
    """
    slot = tree.parent.with_name(f"{tree.parent.name}-glslang-{glslang_digest[:16]}")
    target = os.path.relpath(glslang, slot / SOURCE)
    if not is_intact(slot, partial(_damage_of_joined, tree=tree, link=target)):
        with disk_trouble_explained(slot), directory_atomically(slot) as work:
            shutil.copytree(tree, work / SOURCE, copy_function=os.link)
            (work / SOURCE / GLSLANG).symlink_to(target, target_is_directory=True)
    return slot / SOURCE
