"""What can happen to a file; the first line of each function is how a sentence ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

Change = Callable[[Path], None]


def cut(path: Path) -> None:
    """cut off in the middle"""
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    """empty"""
    os.truncate(path, 0)


def flip(path: Path) -> None:
    """one bit flipped in each 4 KiB"""
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2 % 4096, len(data), 4096):
        data[place] ^= 0x40
    path.write_bytes(data)


def null(path: Path) -> None:
    """`null`"""
    path.write_text("null", encoding="ascii")


def wrong(path: Path) -> None:
    """JSON of another shape"""
    path.write_text('[{"a": -1e999}, "\\u2028"]', encoding="ascii")


def garbage(path: Path) -> None:
    """random bytes"""
    path.write_bytes(bytes((i * 167 + 13) % 256 for i in range(3000)))


def delete(path: Path) -> None:
    """deleted"""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def folder(path: Path) -> None:
    """a directory in its place"""
    path.unlink(missing_ok=True)
    path.mkdir()


def dangling(path: Path) -> None:
    """a link that leads nowhere in its place"""
    delete(path)
    path.symlink_to("nowhere")


def digit(path: Path) -> None:
    """digits changed"""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"scale_relative":', '"scale_relative":1'), encoding="utf-8")


def other_hex(path: Path) -> None:
    """another digest"""
    path.write_text("0" * 64, encoding="ascii")


def source_text(path: Path) -> None:
    """other arithmetic in it"""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("sum += ", "sum += 0.001f + "), encoding="utf-8")


def rot(path: Path) -> None:
    """one bit flipped in each 4 KiB, with dates as before"""
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
