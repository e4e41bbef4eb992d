"""Places that may not be written to, belong to somebody else, or are something else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from faults import confinement
from faults.fault import SAME, Fault, Need, Start, nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Ended
    from faults.stage import Stage

SAYS = "writable|permission|not allowed|read-only|cannot"
NAMES = "it ends with one line that names the place and the remedy"


def _owned(place: Path, *, uid: int) -> None:
    for path in [place, *place.rglob("*")]:
        os.chown(path, uid, uid, follow_symlinks=False)


def _foreign(*own: str) -> Callable[[Stage], Ended]:
    """Return what runs as nobody, to whom only some places belong."""

    def strike(stage: Stage) -> Ended:
        for name in own:
            _owned(stage.root / name, uid=65534)
        return stage.run(nobody=True)

    return strike


def _read_only(name: str) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        place = stage.root / name
        place.mkdir(exist_ok=True)
        confinement.bind_read_only(place)
        return stage.run()

    return strike


def _file(path: Path) -> None:
    path.write_text("x", encoding="ascii")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _writable(stage: Stage) -> None:
    confinement.unmount_below(stage.root)


def _instead(name: str, make: Callable[[Path], None]) -> Callable[[Stage], Ended]:
    """Return what puts something else in the place of a directory."""

    def strike(stage: Stage) -> Ended:
        place: Path = stage.root / name
        if place.exists():
            place.rename(stage.root / "logs" / name)
        make(place)
        return stage.run()

    return strike


def _back(name: str) -> Callable[[Stage], None]:
    def mend(stage: Stage) -> None:
        (stage.root / name).unlink()
        aside = stage.root / "logs" / name
        aside.rename(stage.root / name) if aside.exists() else (stage.root / name).mkdir()

    return mend


def _elsewhere(**places: str) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        for name, value in places.items():
            setattr(stage, name, Path(value))
        ended = stage.run()
        stage.__post_init__()
        return ended

    return strike


def _no_home(stage: Stage) -> Ended:
    return stage.run(env={"HOME": "/nowhere/at/all"})


def _no_cwd(stage: Stage) -> Ended:
    gone = stage.scratch("gone")
    words = ["sh", "-c", 'rmdir "$0"; exec "$@"', str(gone), *stage.matrix()]
    return stage.start(command=words, cwd=gone).ended()


def _fault(
    name: str,
    where: str,
    how: str,
    strike: Callable[[Stage], Ended],
    *,
    expected: str = NAMES,
    codes: tuple[int, ...] = (3,),
    says: str = SAYS,
    mend: Callable[[Stage], None] = nothing,
    needs: tuple[Need, ...] = (),
    start: Start = "built",
    loses: bool = False,
) -> Fault:
    return Fault(
        id=f"rights-{name}",
        kind="rights",
        where=where,
        how=how,
        expected=expected,
        strike=strike,
        codes=codes,
        says=says,
        needs=needs,
        start=start,
        loses=loses,
        mend=mend,
    )


OURS = ("results", "tmp", "home", "cwd")
FAULTS = (
    _fault(
        "store-foreign",
        "the store",
        "it belongs to somebody else",
        _foreign(*OURS),
        expected="what is there is used, and what is measured is not remembered",
        codes=(SAME,),
        says="",
        needs=("nobody",),
        loses=True,
    ),
    _fault(
        "results-foreign",
        "the results",
        "they belong to somebody else",
        _foreign("store", "tmp", "home", "cwd"),
        needs=("nobody",),
    ),
    _fault(
        "temporary-foreign",
        "the directory of temporary files",
        "it belongs to somebody else",
        _foreign("store", "results", "home", "cwd"),
        codes=(SAME, 3),
        says="",
        expected="it works with another one, or ends with one line",
        needs=("nobody",),
    ),
    _fault(
        "everything-ours-as-nobody",
        "the user",
        "nobody, to whom store and results belong",
        _foreign("store", *OURS),
        expected="it works as for anybody",
        codes=(SAME,),
        says="",
        needs=("nobody",),
    ),
    _fault(
        "store-read-only",
        "the store",
        "its file system is read-only",
        _read_only("store"),
        expected="what is there is used, and what is measured is not remembered",
        codes=(SAME,),
        says="",
        mend=_writable,
        needs=("mount",),
        loses=True,
    ),
    _fault(
        "results-read-only",
        "the results",
        "their file system is read-only",
        _read_only("results"),
        mend=_writable,
        needs=("mount",),
    ),
    _fault(
        "temporary-read-only",
        "the directory of temporary files",
        "its file system is read-only",
        _read_only("tmp"),
        mend=_writable,
        needs=("mount",),
        codes=(SAME, 3),
        says="",
        expected="it works with another one, or ends with one line",
    ),
    _fault(
        "store-file",
        "the store",
        "it is a file",
        _instead("store", _file),
        mend=_back("store"),
        codes=(2, 3),
        says="store",
    ),
    _fault(
        "results-file",
        "the results",
        "they are a file",
        _instead("results", _file),
        mend=_back("results"),
        codes=(2, 3),
        says="results",
    ),
    _fault(
        "results-link",
        "the results",
        "they are a link that leads nowhere",
        _instead("results", _dangling),
        mend=_back("results"),
        codes=(SAME, 2, 3),
        says="",
    ),
    _fault(
        "results-device",
        "the results",
        "they are /dev/null",
        _elsewhere(results="/dev/null"),
        codes=(2, 3),
        says="/dev/null",
    ),
    _fault(
        "store-device",
        "the store",
        "it is /dev/full",
        _elsewhere(store="/dev/full"),
        codes=(2, 3),
        says="/dev/full",
    ),
    _fault(
        "home-missing",
        "the home directory",
        "there is none",
        _no_home,
        codes=(SAME,),
        says="",
        expected="it works without",
    ),
    _fault(
        "directory-gone",
        "the working directory",
        "it is deleted when the harness starts",
        _no_cwd,
        codes=(SAME, 2, 3),
        says="",
        expected="it works, or ends with one line",
    ),
)
