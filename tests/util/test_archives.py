"""Members of archives that nobody should pack."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from harness.util.archives import MEMBER_LIMIT, read_member


def packed() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"content" * 100)
    return data.getvalue()


def central(at: int, layout: str, value: int) -> bytes:
    """Return the archive with another field in its central directory."""
    data = bytearray(packed())
    start = data.index(b"PK\x01\x02")
    struct.pack_into(layout, data, start + at, value)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        central(24, "<I", MEMBER_LIMIT + 1),
        central(8, "<H", 1),  # encrypted
        central(10, "<H", 99),  # an unknown method
        central(16, "<I", 1),  # another checksum
        packed()[:40] + b"\xff" + packed()[41:],
    ],
)
def test_refused(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive, pytest.raises(zipfile.BadZipFile):
        read_member(archive, "a")


def test_read() -> None:
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        assert read_member(archive, "a") == read_member(archive, archive.infolist()[0])
        with pytest.raises(KeyError):
            read_member(archive, "b")
