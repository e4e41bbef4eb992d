import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.util.errors import MachineError
from harness.util.files import (
    append_line,
    directory_atomically,
    disk_trouble_explained,
    write_atomically,
)


def test_failed_directory_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with directory_atomically(tmp_path / "made") as work:
            (work / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_first_directory_wins(tmp_path: Path) -> None:
    target = tmp_path / "made"
    for text in ("first", "second"):
        with directory_atomically(target) as work:
            (work / "file").write_text(text)
    assert (target / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_write_replaces_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, "long content")
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert len(list(path.parent.iterdir())) == 1


def test_append_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_line(path, "a")
    append_line(path, "b")
    assert path.read_text() == "a\nb\n"


def test_short_write_of_numpy_is_a_full_disk(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match="no space left on the disk"),
        disk_trouble_explained(tmp_path / "not" / "there"),
    ):
        raise OSError("245760 requested and 159216 written")


@pytest.mark.parametrize("write", [write_atomically, append_line])
def test_a_full_disk_is_told_with_its_own_place(
    write: Callable[[Path, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(MachineError, match=rf"^{tmp_path}/results: no space left on the disk"),
        disk_trouble_explained(tmp_path / "builds"),
    ):
        write(tmp_path / "results" / "x", "text")
    assert not list((tmp_path / "results").glob(".*"))
