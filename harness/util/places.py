"""Where this process may write, checked where writing happens.

Python tells an audit hook of every file that is opened, made, renamed or removed, whoever does it:
this package, NumPy, or a library. What leads out of the places of a command is refused before it is
done. Compiled code is not seen: what ncnn does is for the sandbox of its processes to limit.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.util.errors import MachineError, OutsideError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = ("/dev/null", "/dev/tty", "/dev/zero", "/dev/full", "/dev/ptmx")
_SYSTEM = ("/dev/fd", "/dev/pts", "/dev/shm", "/proc/self", f"/proc/{os.getpid()}")
"""What stands for descriptors, memory and settings of a process, and is nobody's file."""
_COMPILED = "__pycache__"


def temporary_directory() -> str:
    """Return the directory for temporary files.

    Raises:
        MachineError: nothing can be written into any that the system has for that.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        raise MachineError(
            "no directory for temporary files is writable. Set TMPDIR to one that is."
        ) from error


@dataclass(frozen=True, kw_only=True)
class Places:
    """Directories with all that is below them, and files with those of other suffixes beside them.

    Absolute paths without symbolic links.
    """

    trees: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Without suffix: `/a/report` is `/a/report.html`, and what becomes `/a/report.csv`."""

    @classmethod
    def of(cls, trees: Iterable[Path], files: Iterable[Path] = ()) -> Places:
        """Return some places, the directory for temporary files, and where links in them lead.

        Only links directly in a directory of `trees` are followed: who keeps a part of a store on
        another disk has made them. Others lead nowhere.

        Raises:
            MachineError: there is no directory for temporary files.
        """
        found = [os.path.realpath(tree) for tree in (*map(str, trees), temporary_directory())]
        for tree in tuple(found[:-1]):
            with suppress(OSError), os.scandir(tree) as entries:
                found += [os.path.realpath(entry.path) for entry in entries if entry.is_symlink()]
        return cls(
            trees=tuple(dict.fromkeys(found)),
            files=tuple(
                os.path.join(os.path.realpath(file.parent), file.stem)  # noqa: PTH118
                for file in files
            ),
        )

    def allow(self, path: str) -> bool:
        """Return whether a file or directory may be written, both without symbolic links."""
        if any(path == tree or path.startswith(f"{tree.rstrip('/')}/") for tree in self.trees):
            return True
        folder, _, name = path.rpartition("/")
        # What is written whole has a hidden name first, see `harness.util.files`.
        beside = f"{folder}/{name.removeprefix('.')}"
        return any(beside == file or beside.startswith(f"{file}.") for file in self.files)

    def lead_to(self, folder: str) -> bool:
        """Return whether a directory is one in which a place lies."""
        return any(f"{place}/".startswith(f"{folder}/") for place in (*self.trees, *self.files))


_active: Places | None = None
_hooked = False


def active() -> Places | None:
    """Return where this process may write; None for everywhere."""
    return _active


def confine(places: Places | None) -> None:
    """Let this process, all of its threads, write in some places only, or everywhere again."""
    global _active, _hooked
    _active = places
    if places and not _hooked:
        _hooked = True
        sys.addaudithook(_audit)


@contextmanager
def confined(places: Places) -> Iterator[None]:
    """Let this process write in some places only while the block runs.

    Raises:
        OutsideError: something else was about to be written; from wherever that was.
    """
    before = _active
    confine(places)
    try:
        yield
    finally:
        confine(before)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    # While Python ends, names of this module become None before the last files are closed.
    check = _CHECKS.get(event) if _CHECKS else None
    if check is not None and _active is not None:
        check(_active, arguments)


def _opened(places: Places, arguments: tuple[Any, ...]) -> None:
    path, _, flags = arguments
    if flags & _WRITING and not isinstance(path, int):
        _require(places, path, follows=True)


def _changed(*at: int, follows: bool = False, folder: int = -1) -> Callable[..., None]:
    """Return what checks an event that names files.

    Args:
        at: places of the paths among the event's arguments.
        follows: whether the system follows a symbolic link there.
        folder: place of the open directory that a path starts at; what is removed in one was
            allowed when its removal began.
    """

    def check(places: Places, arguments: tuple[Any, ...]) -> None:
        if folder >= 0 and arguments[folder] not in (-1, None):
            return
        for place in at:
            if not isinstance(arguments[place], int):
                _require(places, arguments[place], follows=follows)

    return check


def _made(places: Places, arguments: tuple[Any, ...]) -> None:
    """Check the making of a directory: those above a place are made with it."""
    if not places.lead_to(_resolved(arguments[0], follows=False)):
        _require(places, arguments[0], follows=False)


_CHECKS: dict[str, Callable[[Places, tuple[Any, ...]], None]] = {
    "open": _opened,
    "os.mkdir": _made,
    "os.rename": _changed(0, 1),
    "os.link": _changed(1),
    "os.symlink": _changed(1),
    "os.remove": _changed(0, folder=1),
    "os.rmdir": _changed(0, folder=1),
    "os.truncate": _changed(0, follows=True),
    "os.chmod": _changed(0, follows=True),
    "os.chown": _changed(0, follows=True),
    "os.utime": _changed(0, follows=True),
    "os.setxattr": _changed(0, follows=True),
    "shutil.rmtree": _changed(0),
}
"""What changes files, by the names of https://docs.python.org/3/library/audit_events.html."""


def _require(places: Places, path: Any, *, follows: bool) -> None:
    resolved = _resolved(path, follows=follows)
    if places.allow(resolved) or _is_nobodys(resolved) or _is_compiled(resolved):
        return
    where = ", ".join([*places.trees, *(f"{file}.*" for file in places.files)])
    raise OutsideError(
        f"{resolved}: not written, since it lies outside of {where}. If a link of yours leads "
        "there, name its target as the directory itself; else report this as a mistake of the "
        "harness."
    )


def _resolved(path: Any, *, follows: bool) -> str:
    text = os.fsdecode(path)
    folder, name = os.path.split(text)
    if follows or name in ("", ".", ".."):
        return os.path.realpath(text)
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118


def _is_nobodys(path: str) -> bool:
    return path in _DEVICES or any(path.startswith(f"{place}/") for place in _SYSTEM)


def _is_compiled(path: str) -> bool:
    """Return whether this is where Python keeps what it compiled of its modules."""
    if sys.pycache_prefix and path.startswith(os.path.realpath(sys.pycache_prefix)):
        return True
    folder, _, name = path.rpartition("/")
    home = folder if name == _COMPILED else folder.removesuffix(f"/{_COMPILED}")
    if home == folder and name != _COMPILED:
        return False
    return any(f"{home}/".startswith(f"{os.path.realpath(code)}/") for code in sys.path if code)
