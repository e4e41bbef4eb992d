"""A mount namespace in which everything but a few folders is read-only.

It needs no privileges where the system lets users have namespaces; `unshare(1)` enters it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOUNT_SETATTR = 442
"""Number of the system call on all architectures; Linux has it from 5.12 on."""
_AT_FDCWD, _AT_RECURSIVE, _RDONLY = -100, 0x8000, 1

ENTER = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private")
"""What starts a program in namespaces of its own."""


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


@cache
def is_possible() -> bool:
    """Return whether this system lets us have such a namespace."""
    code = "from tests.hostile.namespace import close; close([])"
    try:
        done = subprocess.run(
            [*ENTER, sys.executable, "-c", code], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def close(writable: Sequence[Path]) -> None:
    """Make everything read-only but these folders, in the namespace that we are in.

    Raises:
        OSError: the kernel does not do it.
    """
    for folder in writable:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
    _set(b"/", _AT_RECURSIVE, attr_set=_RDONLY)
    for folder in writable:
        _set(os.fsencode(folder), 0, attr_clr=_RDONLY)


def _set(path: bytes, flags: int, **changes: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    about = _Attributes(**changes)
    size = ctypes.sizeof(about)
    if libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, flags, ctypes.byref(about), size):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
