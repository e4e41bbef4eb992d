"""Entries of the store that prove themselves: each carries the hash of what is in it.

An entry is a directory with a seal (`sealed`), a text file with its hash in the first line
(`write_sealed`), or a list of lines with a hash each (`append_sealed`). Whoever uses one asks first
whether it is intact. What is not is set aside, said once, and made again by who asked, so that no
damage of a disk, and nobody's hand, becomes a number. What has no seal was made by a version that
set none: nothing proves it, and it is made again too.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from harness.util.codes import Code
from harness.util.errors import HarnessError, MachineError
from harness.util.files import (
    append_line,
    directory_atomically,
    disk_trouble_explained,
    stamp,
    write_atomically,
)
from harness.util.reading import open_regular, read_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

logger = logging.getLogger(__name__)

SEAL = "seal.json"
"""File of a directory that says which other files belong to it, with the SHA-256 of each."""
SET_ASIDE = "set-aside"
"""Directory beside entries, with those that were found damaged."""
UNSEALED = "no seal"
"""What is wrong with an entry of a version that set none."""
MADE_AGAIN = "made again"
_FIRST = "# sha256 "
"""How the first line of a sealed text begins: a comment for people and for CMake."""
_LIMIT = 1 << 30
"""Bytes of a sealed text or a seal that are read at most."""
_LINE_HASH = 16
"""Hexadecimal digits of a line's hash: enough for damage, which has no intentions."""

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What keeps a file from being read and is not its fault."""

_TICK_NS = 2 * 10**9
"""How long a file may be changed without another date, in nanoseconds: on old file systems."""

_Mark = tuple[tuple[str, int, int, int, int], ...]
_known: dict[Path, _Mark] = {}
"""Entries that were found intact by this process, with the state of their files by then."""
_unsealed: set[Path] = set()
"""Directories of which this process said that they have entries of an earlier version."""


class DamagedError(HarnessError):
    """What is wrong with an entry."""


@contextmanager
def sealed(target: Path) -> Iterator[Path]:
    """Yield an empty directory that becomes the entry `target`, with a seal, if no error ends it.

    Where somebody else was faster, theirs is kept: both were made from the same key.

    Raises:
        MachineError: the disk is full, or not writable.
    """
    _clear(target.parent)
    with disk_trouble_explained(target), directory_atomically(target) as work:
        yield work
        files = {name: _file_hash(work / name) for name, *_ in _mark(work)}
        content = {"files": files, "sha256": _hash_of(files)}
        (work / SEAL).write_text(json.dumps(content, indent=1), encoding="utf-8")


def seal_damage(folder: Path) -> str:
    """Return what is wrong with a sealed directory; empty if nothing is.

    Files that the seal does not name are nobody's: they are not looked at.
    """
    if not folder.is_dir():
        return "not a directory"
    if not os.path.lexists(folder / SEAL):
        return UNSEALED
    try:
        content = json.loads(read_text(folder / SEAL, limit=_LIMIT, error=DamagedError))
        files: dict[str, str] = dict(content["files"])
        if _hash_of(files) != content["sha256"]:
            return f"{SEAL}: not what was stored"
        wrong = [name for name in files if not is_file_with_hash(folder / name, files[name])]
    except (ValueError, TypeError, LookupError, RecursionError, DamagedError) as error:
        check_machine(folder / SEAL, error.__cause__)
        return f"{SEAL} cannot be read"
    return f"{', '.join(wrong[:3])}: not what was stored" if wrong else ""


def is_intact(target: Path, damage: Callable[[Path], str] = seal_damage) -> bool:
    """Return whether an entry is there and is what was stored; if it is not, it is set aside.

    Each entry is read once per process, and again only when one of its files was changed.

    Args:
        target: the entry.
        damage: says what is wrong with it; empty if nothing is.

    Raises:
        MachineError: it is damaged, and cannot be set aside.
    """
    try:
        inode = target.lstat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return False
    mark = _mark(target)
    if _known.get(target) != mark:
        wrong = damage(target)
        if wrong:
            set_aside(target, wrong, inode=inode)
            return False
        # A change within one tick of the file system's clock would leave the same state.
        newest = max((change for *_, change, _ in mark), default=0)
        if time.time_ns() - newest > _TICK_NS:
            _known[target] = mark
    stamp(target)
    return True


def set_aside(target: Path, why: str, *, then: str = MADE_AGAIN, inode: int | None = None) -> None:
    """Move a damaged entry to where nobody takes it for one, and say so.

    Args:
        target: the entry.
        why: what is wrong with it.
        then: what happens now, in words.
        inode: of the entry that was found damaged; another one is somebody's who made it again.

    Raises:
        MachineError: it cannot be moved.
    """
    aside = target.parent / SET_ASIDE / f"{target.name[:200]}.{uuid4().hex[:12]}"
    try:
        if inode is not None and target.lstat().st_ino != inode:
            return
        aside.parent.mkdir(exist_ok=True)
        target.rename(aside)
    except FileNotFoundError:
        return  # somebody was faster
    except OSError as error:
        raise MachineError(
            f"{target}: damaged ({why}), and it cannot be set aside ({error.strerror}). Remove it, "
            "or have its owner do so, or choose another store with --builds.",
            code=Code.DAMAGED,
        ) from error
    stamp(aside)
    if why != UNSEALED:
        logger.warning("%s: damaged (%s): set aside, %s", target, why, then)
    elif target.parent not in _unsealed:
        _unsealed.add(target.parent)
        logger.warning("%s: made before entries had seals: set aside, %s", target, then)


def write_sealed(path: Path, text: str) -> None:
    """Write a text with its hash in the first line, so that no reader sees half of it.

    Raises:
        MachineError: the disk is full, or not writable.
    """
    _clear(path.parent)
    with disk_trouble_explained(path):
        write_atomically(path, f"{_FIRST}{_hash(text)}\n{text}")


def read_sealed(path: Path, *, then: str = MADE_AGAIN, or_plain: bool = False) -> str | None:
    """Return a text that `write_sealed` wrote; None if there is none, or if it is damaged.

    Args:
        path: the file; what is damaged is set aside.
        then: what happens if it is damaged, in words.
        or_plain: whether a text without seal will do, as a person writes it.

    Raises:
        MachineError: it is damaged, and cannot be set aside.
    """
    try:
        inode = path.lstat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        # Not `read_text`, which drops a mark at the beginning.
        content = read_bytes(path, limit=_LIMIT, error=DamagedError).decode()
    except (DamagedError, OSError) as error:
        check_machine(path, error.__cause__ or error)
        wrong = "cannot be read"
    except UnicodeDecodeError:
        wrong = "not in UTF-8"
    else:
        first, _, text = content.partition("\n")
        if first == f"{_FIRST}{_hash(text)}":
            return text
        if or_plain and not content.startswith("#"):
            return content
        plain = content and not content.startswith("#")
        wrong = UNSEALED if plain else "not what was stored"
    set_aside(path, wrong, then=then, inode=inode)
    return None


def append_sealed(path: Path, line: str) -> None:
    """Append a line with its hash.

    Raises:
        MachineError: the disk is full, or not writable.
    """
    _clear(path.parent)
    with disk_trouble_explained(path):
        append_line(path, _with_hash(line))


def read_sealed_lines(path: Path, parse: Callable[[str], T]) -> list[T]:
    """Return what lines say that `append_sealed` wrote.

    If one is torn, damaged or not understood, the file is set aside and the others are kept in a
    new one.

    Raises:
        MachineError: it is damaged, and cannot be set aside.
    """
    if not os.path.lexists(path):
        return []
    try:
        content = read_bytes(path, limit=_LIMIT, error=DamagedError)
    except (DamagedError, OSError) as error:
        check_machine(path, error.__cause__ or error)
        set_aside(path, "cannot be read", then="measured again")
        return []
    good, found = [], []
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    for raw in lines:
        with suppress(ValueError):
            digest, _, line = raw.decode().partition(" ")
            if digest == _hash(line)[:_LINE_HASH]:
                found.append(parse(line))
                good.append(line)
    bad = len(lines) - len(good)
    if bad:
        wrong = f"{bad} of {len(lines)} lines are not what was stored"
        unsealed = not good and content.startswith(b"{")
        set_aside(path, UNSEALED if unsealed else wrong, then="the others are kept")
        with disk_trouble_explained(path):
            write_atomically(path, "".join(f"{_with_hash(line)}\n" for line in good))
    return found


def _clear(folder: Path) -> None:
    """Set aside what is where a folder of entries belongs."""
    if os.path.lexists(folder) and not folder.is_dir():
        set_aside(folder, "not a directory")


def _with_hash(line: str) -> str:
    return f"{_hash(line)[:_LINE_HASH]} {line}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file_hash(path: Path) -> str:
    """Return the SHA-256 of a regular file's bytes.

    Raises:
        OSError: it cannot be read, or is none.
    """
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_file_with_hash(path: Path, digest: str) -> bool:
    """Return whether there is a regular file with this SHA-256.

    Raises:
        MachineError: it cannot be read, and that is not for its own sake.
    """
    try:
        return _file_hash(path) == digest
    except OSError as error:
        check_machine(path, error)
        return False


def check_machine(path: Path, error: BaseException | None) -> None:
    """Raise if it is not for the file's sake that it could not be read."""
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        raise MachineError(
            f"{path}: cannot be read ({error.strerror}). Close other programs or raise the limit "
            "(ulimit -n, ulimit -v), and run again.",
            code=Code.MEMORY,
        ) from error


def _hash_of(files: dict[str, str]) -> str:
    return _hash(json.dumps(files, sort_keys=True))


def _mark(folder: Path) -> _Mark:
    """Return names and state of all files below a directory: what changes when one is written."""
    found = []
    base = len(str(folder)) + 1
    for parent, _, names in os.walk(folder):
        for name in names:
            path = f"{parent}/{name}"
            with suppress(OSError):
                about = os.stat(path)  # noqa: PTH116 (thousands of files: speed)
                found.append(
                    (path[base:], about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
                )
    return tuple(sorted(found))
