"""Members of zip archives, which wheels are, within a limit."""

from __future__ import annotations

import zipfile
import zlib

MEMBER_LIMIT = 1 << 30
"""Bytes of one member; the largest that is needed, pnnx itself, has 60 MB."""


def read_member(archive: zipfile.ZipFile, member: str | zipfile.ZipInfo) -> bytes:
    """Return the content of a member.

    Raises:
        KeyError: there is none of this name.
        BadZipFile: it is damaged, encrypted, packed in an unknown way, or larger than the limit.
    """
    about = archive.getinfo(member) if isinstance(member, str) else member
    if about.file_size > MEMBER_LIMIT:
        raise zipfile.BadZipFile(f"{about.filename} unpacks to {about.file_size} bytes")
    try:
        return archive.read(about)
    except (RuntimeError, NotImplementedError, ValueError, EOFError, zlib.error) as error:
        raise zipfile.BadZipFile(f"{about.filename}: {error}") from error
