"""The one way in which files of other people are read: regular ones, of a sane size, in UTF-8."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from harness.util.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.util.errors import HarnessError

TEXT_LIMIT = 64 << 20
"""Bytes of a text that a person or a converter wrote; the largest `.param` known has 2 MB."""
BOM = "\ufeff"
"""The byte order mark that some editors put in front."""


def read_bytes(path: Path, *, limit: int, error: type[HarnessError] = UsageError) -> bytes:
    """Return the content of a regular file.

    Pipes, devices and directories are refused before anything is read from them, and so is what
    is larger than `limit`, in bytes, or grows meanwhile.

    Raises:
        HarnessError: of the class `error`; no such file, or it is refused.
    """
    try:
        # Opening a pipe would wait for somebody who writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as problem:  # a zero byte
        raise error(f"{str(path)!r}: no usable path ({problem}). Correct the path.") from problem
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}). Correct the path.") from problem
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        raise error(f"{path}: not a regular file. Name a file.")
    with os.fdopen(descriptor, "rb") as stream:
        try:
            # Python takes memory for as many bytes as it is asked for.
            data = b"" if about.st_size > limit else stream.read(about.st_size + 1)
        except OSError as problem:
            raise error(
                f"{path}: cannot be read ({problem.strerror}). Correct the path, or check the disk."
            ) from problem
    if about.st_size > limit:
        raise error(
            f"{path}: {about.st_size} bytes, and {limit} are the most that is read of such a file. "
            "Name another file."
        )
    if len(data) > about.st_size:
        raise error(f"{path}: it grows while it is read. Wait until it is complete.")
    return data


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
            "Save it in that encoding."
        ) from problem
