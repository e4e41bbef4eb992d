"""Files that are either complete or absent: the one way this package writes to disk."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.util.codes import Code
from harness.util.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_TROUBLE = (
    (
        (errno.EACCES, errno.EROFS, errno.EPERM),
        "not writable. Make it so, or choose another directory.",
    ),
    (
        (errno.EFBIG,),
        "larger than files may become here. Raise the limit (`ulimit -f unlimited`), or choose a "
        "directory on another file system.",
    ),
    (
        (errno.EMFILE, errno.ENFILE),
        "too many files are open. Raise the limit (`ulimit -n 4096`), or lower --jobs.",
    ),
    (
        (errno.ENAMETOOLONG,),
        "the name is too long for this file system. Choose a directory with a shorter path.",
    ),
    (
        (errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        "something else is in its place. Move it away, or choose another directory.",
    ),
    (
        (errno.EIO, errno.ELOOP, errno.ESTALE),
        "the file system reports an error. Check the disk, or choose another directory.",
    ),
)
"""What a system refuses, by its error numbers, in words and with the remedy."""


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write `data` to `path` so that no reader ever sees half of it.

    Raises:
        MachineError: the disk does not take it; with the file's own place.
    """
    raw = data.encode() if isinstance(data, str) else data
    with disk_trouble_explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not `tempfile`: what it makes is for this user only, and results are to be shared.
        temporary = _beside(path)
        try:
            with temporary.open("xb") as stream:
                stream.write(raw)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


@contextmanager
def directory_atomically(target: Path) -> Iterator[Path]:
    """Yield an empty directory that becomes `target` when the block ends without an error.

    An existing `target` is kept and the new directory is thrown away: whoever was first wins,
    since both were made from the same key.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    temporary.mkdir()
    try:
        yield temporary
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Return a new hidden name in the same directory, so that a rename is atomic."""
    return path.with_name(f".{path.name}.{uuid4().hex[:12]}")


def stamp(path: Path) -> None:
    """Note by its modification time that something in the store is used now.

    See `harness.build.pruning`; a store of another user stays as it is.
    """
    with suppress(OSError):
        os.utime(path)


@contextmanager
def disk_trouble_explained(place: Path) -> Iterator[None]:
    """Turn what a disk refuses below `place` into a `MachineError`.

    What other reasons an `OSError` may have passes: it may be no trouble with a disk at all.
    """
    try:
        yield
    except OSError as error:
        said = disk_trouble(error, place)
        if said:
            raise MachineError(said, code=Code.DISK) from error
        raise


def disk_trouble(error: OSError, place: Path) -> str:
    """Return which trouble with a disk an error is, with the remedy; empty if it is none.

    Args:
        error: what the system said.
        place: what was being written, or the directory above it.
    """
    where = error.filename or place
    # NumPy reports a short write without an error number.
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or _SHORT_WRITE.match(str(error)):
        free = shutil.disk_usage(existing_parent(place)).free / 2**20
        return (
            f"{place}: no space left on the disk ({free:.0f} MiB free). Free some, or choose "
            "another directory; what is finished stays."
        )
    return next((f"{where}: {said}" for codes, said in _TROUBLE if error.errno in codes), "")


State = tuple[int, int, int]


def file_state(path: Path) -> State | None:
    """Return what differs when a file was written to or replaced; None if it is not there."""
    try:
        about = os.stat(path)  # noqa: PTH116 (before and after each of thousands of jobs)
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ino


def existing_parent(path: Path) -> Path:
    """Return the path itself or the nearest directory above it that exists."""
    return next(p for p in (path, *path.absolute().parents) if os.path.exists(p))  # noqa: PTH110 (never raises)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as lower-case hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def append_line(path: Path, line: str, *, sync: bool = True) -> None:
    """Append one line and flush it to disk, or leave the latter to the system.

    A crash leaves a torn last line at worst; the next line does not become a part of it.

    Raises:
        MachineError: the disk does not take it; with the file's own place.
    """
    with disk_trouble_explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(line.encode() + b"\n")
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
