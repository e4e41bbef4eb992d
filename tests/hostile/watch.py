"""What a process tries to write, start or unpickle, by Python's own audit events.

The read-only mounts stop everything, in native code too; the events also tell what was tried and
hidden by an `except`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.link": (1,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.utime": (0,),
}
"""Which arguments of an event are paths that it changes."""
_FOLDERS = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1}
"""Which argument is the descriptor of the folder that a relative path starts from."""
_PROGRAMS = ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec")
_HARMLESS = ("/dev/null", "/dev/tty")


def watch(allowed: Sequence[str], told: Callable[[str], None]) -> None:
    """Tell of everything that this process tries outside of some folders, from now on.

    Args:
        allowed: folders in which it may write.
        told: gets a line for each event: `write PATH`, `start PROGRAM` or `unpickle NAME`.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and not isinstance(path, int):
                _check(path, -1, allowed, told)
        elif event in _PATHS:
            at = _FOLDERS.get(event)
            folder = arguments[at] if at is not None and at < len(arguments) else -1
            for index in _PATHS[event]:
                _check(arguments[index], folder, allowed, told)
        elif event in _PROGRAMS:
            told(f"start {os.path.basename(os.fsdecode(arguments[0]))}")  # noqa: PTH119
        elif event == "pickle.find_class":
            told(f"unpickle {arguments[0]}.{arguments[1]}")

    sys.addaudithook(hook)


def _check(
    given: Any, folder: int | None, allowed: Sequence[str], told: Callable[[str], None]
) -> None:
    if isinstance(given, int):
        return
    path = os.fsdecode(given)
    if "\0" in path:  # the system will refuse it
        return
    if not path.startswith("/") and isinstance(folder, int) and folder >= 0:
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)  # noqa: PTH115, PTH118
    # The last part may be a link itself: that of a removed file is not followed.
    head, tail = os.path.split(os.path.abspath(path))  # noqa: PTH100
    real = os.path.join(os.path.realpath(head), tail)  # noqa: PTH118
    inside = any(real == place or real.startswith(f"{place}/") for place in allowed)
    if not inside and real not in _HARMLESS:
        told(f"write {real}")
