"""What writes outside of the places of a command is refused, whoever does it."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.util.errors import EXIT_INTERNAL, OutsideError
from harness.util.files import append_line, directory_atomically, write_atomically
from harness.util.places import Places, active, confined
from harness.util.process import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAYS: dict[str, Callable[[Path], object]] = {
    "write_atomically": lambda path: write_atomically(path / "x", "x"),
    "append_line": lambda path: append_line(path / "x", "x"),
    "open": lambda path: (path / "there").open("w"),
    "open to append": lambda path: (path / "there").open("a"),
    "open to change": lambda path: (path / "there").open("r+"),
    "os.open": lambda path: os.open(path / "x", os.O_CREAT | os.O_WRONLY),
    "os.open, bytes": lambda path: os.open(os.fsencode(path / "x"), os.O_CREAT | os.O_RDONLY),
    "numpy.save": lambda path: np.save(path / "x.npy", np.zeros(1)),
    "mkdir": lambda path: (path / "x").mkdir(),
    "rename to": lambda path: (path.parent / "store" / "mine").rename(path / "x"),
    "rename from": lambda path: (path / "there").rename(path.parent / "store" / "x"),
    "replace": lambda path: (path.parent / "store" / "mine").replace(path / "there"),
    "remove": lambda path: (path / "there").unlink(),
    "rmdir": lambda path: (path / "empty").rmdir(),
    "rmtree": shutil.rmtree,
    "symlink": lambda path: (path / "x").symlink_to("there"),
    "link": lambda path: (path / "x").hardlink_to(path.parent / "store" / "mine"),
    "copy": lambda path: shutil.copyfile(path.parent / "store" / "mine", path / "x"),
    "copytree": lambda path: shutil.copytree(path.parent / "store", path / "x"),
    "move": lambda path: shutil.move(path.parent / "store" / "mine", path / "x"),
    "truncate": lambda path: os.truncate(path / "there", 0),
    "chmod": lambda path: (path / "there").chmod(0o700),
    "utime": lambda path: os.utime(path / "there"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store, a directory outside of it, and places that are the store alone."""
    for name in ("store", "temporary", "outside/empty"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("store/mine", "outside/there"):
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with confined(Places.of([tmp_path / "store"], [tmp_path / "named" / "report.html"])):
        yield tmp_path


def tree(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_written_outside(folder: Path, way: str) -> None:
    before = tree(folder / "outside")
    with pytest.raises(OutsideError, match=r"outside.*: not written, since it lies outside of"):
        WAYS[way](folder / "outside")
    assert tree(folder / "outside") == before


@pytest.mark.parametrize("path", ["../outside/x", "link/x", "a/../../outside/x"])
def test_neither_dots_nor_links_lead_out(folder: Path, path: str) -> None:
    (folder / "store" / "a").mkdir()
    (folder / "store" / "link").symlink_to(folder / "outside")
    with pytest.raises(OutsideError):
        (folder / "store" / path).write_text("x")


@pytest.mark.parametrize(
    "path", ["store/a", "store/a/b/c", "temporary/a", "named/report.html", "named/report.csv"]
)
def test_places_are_written_as_ever(folder: Path, path: str) -> None:
    write_atomically(folder / path, "x")
    assert (folder / path).read_text() == "x"
    (folder / path).unlink()


def test_beside_what_was_named_nothing_is_written(folder: Path) -> None:
    (folder / "named").mkdir()
    for name in ("other.html", "report2.html", "report/x"):
        with pytest.raises(OutsideError):
            write_atomically(folder / "named" / name, "x")


def test_what_is_stored_comes_and_goes(folder: Path) -> None:
    with directory_atomically(folder / "store" / "entry") as work:
        (work / "deep" / "er").mkdir(parents=True)
        (work / "deep" / "link").symlink_to(folder / "outside")
    shutil.rmtree(folder / "store" / "entry")
    assert (folder / "outside" / "there").exists()
    with tempfile.TemporaryDirectory() as name, tempfile.NamedTemporaryFile(dir=name):
        pass


def test_reading_and_devices_are_nobodys_business(folder: Path) -> None:
    assert (folder / "outside" / "there").read_text() == "x"
    with open(os.devnull, "w") as stream:  # noqa: PTH123
        stream.write("x")


def test_a_store_whose_part_is_on_another_disk(folder: Path) -> None:
    (folder / "store" / "modules").symlink_to(folder / "outside")
    with confined(Places.of([folder / "store"])):
        (folder / "store" / "modules" / "x").write_text("x")


def writes(arguments: list[str]) -> int:
    with open(arguments[0], "w") as stream:  # noqa: PTH123
        return stream.write("x") - 1


def test_processes_are_confined_as_well(folder: Path) -> None:
    processes = Processes()
    for path, ended_well in ((folder / "store" / "x", True), (folder / "outside" / "x", False)):
        done = processes.call(writes, [path], log=folder / "store" / "log", timeout=60)
        assert done.ok == ended_well
        assert path.exists() == ended_well
        assert ("OutsideError" in done.output) != ended_well


def test_afterwards_everything_may_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutsideError) as found, confined(Places(trees=("/nowhere",))):
        (tmp_path / "x").write_text("x")
    assert found.value.exit_code == EXIT_INTERNAL
    assert active() is None
    (tmp_path / "x").write_text("x")
