"""Disks that are full, or refuse to be written to, at each step of a run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from faults import confinement
from faults.fault import Fault, Start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.run import Ended
    from faults.stage import Stage

ROOMY = "size=2g,nr_inodes=400k"
SAYS = r"no space|disk|inode"


def _moved(stage: Stage, name: str, *, kib: int = 0, inodes: int = 0) -> Path:
    """Put a directory of the stage on a small file system with only some room left."""
    place: Path = stage.root / name
    aside = stage.root / "logs" / f"{name}-aside"
    if place.exists():
        place.rename(aside)
    confinement.mount_small(place, options=ROOMY)
    if aside.exists():
        shutil.copytree(aside, place, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(aside)
    used = shutil.disk_usage(place).used // 1024
    files = sum(1 for _ in place.rglob("*")) + 1
    size = f"size={used + kib}k" if kib else "size=2g"
    confinement.resize(place, options=f"{size},nr_inodes={files + inodes if inodes else '400k'}")
    return place


def _full(name: str, *, kib: int = 0, inodes: int = 0) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        _moved(stage, name, kib=kib, inodes=inodes)
        return stage.run()

    return strike


def _roomy(name: str) -> Callable[[Stage], None]:
    def mend(stage: Stage) -> None:
        confinement.resize(stage.root / name, options=ROOMY)

    return mend


def _fault(
    name: str,
    where: str,
    place: str,
    start: Start,
    *,
    kib: int = 0,
    inodes: int = 0,
    codes: tuple[int, ...] = (3,),
) -> Fault:
    room = f"{kib} KiB" if kib else f"{inodes} inodes"
    return Fault(
        id=f"full-{name}",
        kind="full",
        where=where,
        how=f"a file system in memory with {room} left",
        expected="it ends with one line that names the place; what is finished is kept",
        codes=codes,
        says=SAYS,
        strike=_full(place, kib=kib, inodes=inodes),
        mend=_roomy(place),
        start=start,
        needs=("mount",),
    )


FAULTS = (
    _fault("download", "the store during the download", "store", "unfetched", kib=2000),
    _fault("extraction", "the store during extraction", "store", "unfetched", kib=22000),
    _fault("inodes", "the store during extraction", "store", "unfetched", inodes=600),
    _fault("binding", "the store while the binding compiles", "store", "unbound", kib=300),
    _fault("configure", "the store while CMake configures", "store", "fetched", kib=400),
    _fault("build", "the store while the library compiles", "store", "fetched", kib=4000),
    _fault(
        "second-build", "the store while the second library compiles", "store", "fetched", kib=14000
    ),
    _fault("reference", "the store while references are kept", "store", "fetched", kib=40),
    _fault(
        "memory",
        "the store while measurements are remembered",
        "store",
        "built",
        kib=16,
    ),
    _fault("results", "the results when a run begins", "results", "built", kib=4),
    _fault("records", "the results while cells are recorded", "results", "built", kib=60),
    _fault(
        "report",
        "the results while the report is written",
        "results",
        "measured",
        kib=150,
    ),
    _fault("temporary", "the directory of temporary files", "tmp", "built", kib=16),
    _fault("temporary-inodes", "the directory of temporary files", "tmp", "built", inodes=4),
)
