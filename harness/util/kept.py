"""What earlier runs left in files: what can be read counts; the rest is told, kept and left out."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from harness.util.errors import HarnessError
from harness.util.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

logger = logging.getLogger(__name__)

LIMIT = 8 << 30
"""Bytes of a file; thousands of cells with all of their layers take a tenth of it."""
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What a parser raises at what nobody would write: other types, nesting without end, …"""

_told: set[str] = set()


def kept_lines(path: Path, parse: Callable[[str], T]) -> list[T]:
    """Return what the lines of a file say, one value each; none if there is no such file.

    A line that cannot be parsed is left out, such as one torn by the death of who wrote it; how
    many there are is told once. So is a file that is none, or cannot be read.
    """
    data = _data(path)
    found: list[T] = []
    lost = 0
    # Only line feeds end a line: names may hold any other character that Unicode calls one.
    for line in (data or b"").split(b"\n"):
        if not line.strip():
            continue
        try:
            found.append(parse(line.decode()))
        except DAMAGE:
            lost += 1
    if lost:
        _tell(path, f"{lost} of {lost + len(found)} lines could not be read and are left out")
    return found


def says_anything(path: Path, parse: Callable[[str], object]) -> bool:
    """Return whether there is such a file, with a line that can be parsed."""
    for line in (_data(path) or b"").split(b"\n"):
        with suppress(*DAMAGE):
            parse(line.decode())
            return True
    return False


def kept_value(path: Path, parse: Callable[[str], T]) -> T | None:
    """Return what a whole file says; None if there is no such file, or it cannot be read.

    The latter is told once; the file stays as it is.
    """
    data = _data(path)
    if data is None:
        return None
    try:
        return parse(data.decode())
    except DAMAGE:
        _tell(path, "cannot be read and is left out")
        return None


def _data(path: Path) -> bytes | None:
    if not path.exists():
        return None
    try:
        return read_bytes(path, limit=LIMIT)
    except HarnessError as error:
        _tell(path, f"left out: {error}")
        return None


def _tell(path: Path, what: str) -> None:
    said = f"{path}: {what}"
    if said not in _told:
        _told.add(said)
        logger.warning("%s", said)
