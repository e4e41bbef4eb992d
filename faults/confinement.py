"""A view of the file system in which nothing but one directory can be written to.

This is what proves that nothing is written outside: a run that tries fails, and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

_SCRIPT = r"""
set -e
path=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rprivate /
mount --rbind "$1" "$1"
# Everything that is mounted, as far as it holds files; octal escapes are those of the kernel.
while read -r _ _ _ _ place options _; do
    place=$(printf '%b' "$place")
    case "$place" in "$1"|"$1"/*|/proc|/proc/*|/sys|/sys/*|/dev|/dev/*) continue ;; esac
    case ",$options," in *,ro,*) continue ;; esac
    mount -o remount,bind,ro "$place" 2>/dev/null || true
done </proc/self/mountinfo
shift
PATH=$path
exec "$@"
"""


def confined(place: Path, words: list[str]) -> list[str]:
    """Return a command that runs another one with all but `place` read-only, where this works."""
    if not can_confine():
        return words
    return [_program("unshare"), "--mount", _program("sh"), "-c", _SCRIPT, "sh", str(place), *words]


@cache
def can_confine() -> bool:
    """Return whether this system lets us mount: root with the capability to do so."""
    return bool(
        os.geteuid() == 0 and shutil.which("unshare") and _works("unshare", "--mount", "true")
    )


@cache
def can_mount() -> bool:
    """Return whether small file systems can be made for faults that need one."""
    return bool(can_confine() and shutil.which("mount"))


def mount_small(place: Path, *, options: str) -> None:
    """Mount an empty file system in memory, with the options of tmpfs, such as `size=8m`."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def resize(place: Path, *, options: str) -> None:
    """Change the size of a file system of `mount_small`, or make it read-only."""
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


def bind_read_only(place: Path) -> None:
    """Make one directory read-only, whoever asks."""
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)


def unmount_below(root: Path) -> None:
    """Unmount everything that a fault mounted in its stage, the innermost first."""
    with Path("/proc/self/mounts").open(encoding="utf-8", errors="surrogateescape") as mounts:
        places = [line.split()[1] for line in mounts]
    for place in reversed([p for p in places if Path(p) == root or root in Path(p).parents]):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def as_nobody(words: list[str]) -> list[str]:
    """Return a command that runs another one as a user who may read all and write nothing of ours.

    Reading is a capability that is kept, since Python itself may live in root's home.
    """
    return [
        _program("setpriv"),
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        *words,
    ]


@cache
def can_be_nobody() -> bool:
    """Return whether `as_nobody` works here."""
    return bool(shutil.which("setpriv") and os.geteuid() == 0 and _works(*as_nobody(["true"])))


def _program(name: str) -> str:
    """Return the path of a program: a fault may take all of them from the run's own `PATH`."""
    return shutil.which(name) or name


def _works(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
