"""The one way in which files of other people are read: regular ones, of a sane size, in UTF-8."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO, TYPE_CHECKING

from harness.util.codes import Code
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

    from harness.util.errors import HarnessError

TEXT_LIMIT = 64 << 20
"""Bytes of a text that a person or a converter wrote; the largest `.param` known has 2 MB."""
_CHUNK = 1 << 20
BOM = "\ufeff"
"""The byte order mark that some editors put in front."""


class NotRegularError(OSError):
    """A pipe, a device or a directory is where a file should be."""


def open_regular(path: Path, *, flags: int = 0) -> BufferedReader:
    """Open a regular file for reading.

    Args:
        path: the file.
        flags: for `open(2)`, besides those that reading needs.

    Raises:
        NotRegularError: it is something else, of which nothing was read.
        OSError: it cannot be opened.
        ValueError: the path has a zero byte.
    """
    # Opening a pipe would wait for somebody who writes into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, *, limit: int, error: type[HarnessError] = UsageError) -> bytes:
    """Return the content of a regular file.

    Pipes, devices and directories are refused before anything is read from them, and so is what
    is larger than `limit`, in bytes, or grows meanwhile.

    Raises:
        HarnessError: of the class `error`; no such file, or it is refused.
    """
    try:
        stream = open_regular(path)
    except ValueError as problem:  # a zero byte
        raise error(
            f"{str(path)!r}: no usable path ({problem}). Correct the path.", code=Code.UNREADABLE
        ) from problem
    except NotRegularError:
        raise error(
            f"{path}: not a regular file. Name a file.", code=Code.NO_REGULAR_FILE
        ) from None
    except OSError as problem:
        raise error(
            f"{path}: cannot be read ({problem.strerror}). Correct the path.", code=Code.UNREADABLE
        ) from problem
    with stream:
        size = os.fstat(stream.fileno()).st_size
        try:
            data = b"" if size > limit else _content(stream, size, limit + 1)
        except OSError as problem:
            raise error(
                f"{path}: cannot be read ({problem.strerror}). Correct the path, or check the "
                "disk.",
                code=Code.UNREADABLE,
            ) from problem
    if size > limit:
        raise error(
            f"{path}: {size} bytes, and {limit} are the most that is read of such a file. "
            "Name another file.",
            code=Code.TOO_LARGE,
        )
    if len(data) > size:
        raise error(
            f"{path}: it grows while it is read. Wait until it is complete.", code=Code.UNREADABLE
        )
    return data


def _content(stream: IO[bytes], expected: int, most: int) -> bytes:
    """Return the first `most` bytes of a file; asking for them at once would allocate them all."""
    parts: list[bytes] = []
    while most and (part := stream.read(min(most, max(expected, _CHUNK)))):
        parts.append(part)
        most -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def open_left(path: Path) -> IO[bytes] | None:
    """Open a file that foreign code may have made or replaced; None if it is no regular file.

    A link is none: it could lead anywhere.
    """
    try:
        return open_regular(path, flags=os.O_NOFOLLOW)
    except OSError:
        return None


def read_left(path: Path, *, limit: int) -> bytes:
    """Return the beginning of such a file, up to `limit` bytes; nothing if there is none."""
    stream = open_left(path)
    if stream is None:
        return b""
    with stream:
        return stream.read(limit)


def read_text(
    path: Path, *, limit: int = TEXT_LIMIT, error: type[HarnessError] = UsageError
) -> str:
    """Return the content of a regular file in UTF-8.

    Raises:
        HarnessError: of the class `error`; it cannot be read, see `read_bytes`, or is no UTF-8.
    """
    return decoded(read_bytes(path, limit=limit, error=error), path, error=error).removeprefix(BOM)


def decoded(data: bytes, path: Path, *, error: type[HarnessError] = UsageError) -> str:
    """Return the text of a file in UTF-8; a byte order mark is a character of it.

    Raises:
        HarnessError: of the class `error`; it is no UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise error(
            f"{path}, line {line}: not in UTF-8 (byte {data[problem.start]:#04x}). "
            "Save it in that encoding.",
            code=Code.NOT_UTF8,
        ) from problem
