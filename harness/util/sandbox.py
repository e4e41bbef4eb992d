"""What a process that runs foreign code may not do: use the network, write where it likes.

Linux only. The network is left by a namespace of the process's own, which takes the rights of root
or user namespaces; writing is confined by Landlock (https://docs.kernel.org/userspace-api/landlock.html),
as are signals to other processes. Where the system has one of them and not the other, that one is
used; `missing` says what is not there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import landlockpy
from landlockpy import AccessFS, AccessNet, Ruleset, Scope

from harness.util.limits import limit_tasks

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_WRITING = (
    AccessFS.WRITE_FILE
    | AccessFS.TRUNCATE
    | AccessFS.REMOVE_DIR
    | AccessFS.REMOVE_FILE
    | AccessFS.MAKE_CHAR
    | AccessFS.MAKE_DIR
    | AccessFS.MAKE_REG
    | AccessFS.MAKE_SOCK
    | AccessFS.MAKE_FIFO
    | AccessFS.MAKE_BLOCK
    | AccessFS.MAKE_SYM
    | AccessFS.REFER
)
"""Rights that change what is on disk; all may be read, as libraries and drivers must be."""
_OF_FILES = AccessFS.WRITE_FILE | AccessFS.TRUNCATE
_TCP = AccessNet.BIND_TCP | AccessNet.CONNECT_TCP
_EVERYBODYS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_TRUNCATE_ABI, _TCP_ABI, _SIGNAL_ABI = 3, 4, 6
"""Versions of Landlock's interface since which it knows of these."""
_DEVICES = (
    "/dev/dri",
    "/dev/dma_heap",
    "/dev/dxg",
    "/dev/kfd",
    "/dev/kgsl*",
    "/dev/mali*",
    "/dev/nvidia*",
    "/dev/shm",
    "/dev/udmabuf",
)
"""What graphics drivers open for writing."""


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What a process may do that is about to run foreign code."""

    writable: tuple[str, ...]
    """Directories; everything else can only be read."""
    network: bool = False
    devices: bool = False
    """Whether to open graphics devices."""


def confine(confinement: Confinement) -> tuple[bool, bool]:
    """Confine this process, which has one thread, and all that it starts, as far as possible.

    Returns:
        Whether it is without a network, and whether it can only write where it may.
    """
    alone = not confinement.network and _leave_network()
    try:
        return alone, _restrict(confinement)
    except OSError:
        return alone, False


def _restrict(confinement: Confinement) -> bool:
    if not _has_landlock():
        return False
    with Ruleset(
        handled_fs=_WRITING,
        handled_net=AccessNet.NONE if confinement.network else _TCP,
        scoped=Scope.SIGNAL if confinement.network else Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET,
    ) as rules:
        for path in confinement.writable:
            rules.allow_path(path, _WRITING)
        for pattern in (*_EVERYBODYS, *(_DEVICES if confinement.devices else ())):
            for device in Path("/").glob(pattern.removeprefix("/")):
                rules.allow_path(device, _WRITING if device.is_dir() else _OF_FILES)
        rules.restrict()
    return True


def _leave_network() -> bool:
    """Enter a network of this process's own, in which there is nothing; return whether that went.

    Root does without a user namespace, in which it could not read other users' files.
    """
    user, group = os.geteuid(), os.getegid()
    own = _CLONE_NEWNET | _CLONE_NEWIPC
    if _unshare(own):
        return True
    if not _unshare(own | _CLONE_NEWUSER):
        return False
    # This user stays who it is: drivers look for files below its home.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with contextlib.suppress(OSError):
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    limit_tasks()
    return True


def _unshare(flags: int) -> bool:
    try:
        return int(ctypes.CDLL(None).unshare(flags)) == 0
    except (AttributeError, OSError, TypeError):
        return False


def _has_landlock() -> bool:
    try:
        return sys.platform == "linux" and landlockpy.supported()
    except OSError:
        return False


def prepare() -> None:
    """Load now what `confine` needs, in the process from which others are forked."""
    _has_landlock()


def missing(*, alone: bool, confined: bool, abi: int) -> list[str]:
    """Return what foreign code is not kept from, in words, each with the reason.

    Args:
        alone: whether a process can be without a network.
        confined: whether it can be kept from writing.
        abi: version of Landlock's interface, 0 for none.
    """
    found = []
    if not confined:
        found.append(
            "they can write anywhere: there is no Landlock (Linux 5.13 and later, with `landlock` "
            "in /sys/kernel/security/lsm)"
        )
    elif abi < _TRUNCATE_ABI:
        found.append("they can empty any file: Landlock keeps from that since Linux 6.2")
    if not alone:
        found.append(
            f"they can use the network{' (but not TCP)' if abi >= _TCP_ABI else ''}: user "
            "namespaces are not allowed (sysctl user.max_user_namespaces and "
            "kernel.apparmor_restrict_unprivileged_userns; in a container its seccomp profile)"
        )
    if abi < _SIGNAL_ABI:
        found.append(
            "they can end this user's other processes: Landlock keeps from that since Linux 6.12"
        )
    return found


def main() -> int:
    """Confine this process, and print what that does not keep it from, one line each."""
    abi = landlockpy.abi_version() if _has_landlock() else 0
    alone, confined = confine(Confinement(writable=()))
    print("\n".join(missing(alone=alone, confined=confined, abi=abi)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
