"""Entries that prove themselves, under all damage there is."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.util import sealed as module
from harness.util.errors import MachineError
from harness.util.sealed import (
    SEAL,
    SET_ASIDE,
    append_sealed,
    is_intact,
    read_sealed,
    read_sealed_lines,
    sealed,
    write_sealed,
)
from tests.damage import OF_FILES, Damage, damages

TEXT = "set(A 1)\nset(B 2)\n"


def make(target: Path) -> Path:
    with sealed(target) as work:
        (work / "core.so").write_bytes(bytes(range(256)) * 20)
        (work / "deep").mkdir()
        (work / "deep" / "ü\n").write_text("x")
    return target


def test_what_was_stored_is_intact(tmp_path: Path) -> None:
    target = make(tmp_path / "kind" / "entry")
    assert is_intact(target)
    assert is_intact(target)
    assert [path.name for path in target.parent.iterdir()] == ["entry"]
    assert not is_intact(tmp_path / "kind" / "other")
    assert not is_intact(target / "core.so" / "below")


def test_damage_is_set_aside_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kinds = list(damages(make(tmp_path / "like")))
    assert len(kinds) > 30
    for number, (name, path, damage) in enumerate(kinds):
        target = make(tmp_path / f"kind{number}" / "entry")
        assert is_intact(target)
        damage(target / path.relative_to(tmp_path / "like"))
        caplog.clear()
        gone = not os.path.lexists(target)
        assert not is_intact(target), name
        assert not is_intact(target)
        assert len(caplog.messages) == (0 if gone else 1), name
        if not gone:
            assert f"{target}: " in caplog.text
            assert "set aside, made again" in caplog.text
            assert len(list((target.parent / SET_ASIDE).iterdir())) == 1
        assert is_intact(make(target))


def test_files_that_nobody_stored_are_nobodys(tmp_path: Path) -> None:
    target = make(tmp_path / "entry")
    (target / "notes").write_text("mine")
    assert is_intact(target)


def test_entries_of_an_earlier_version_are_said_once_for_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        target = make(tmp_path / name)
        (target / SEAL).unlink()
        assert not is_intact(target)
    assert caplog.messages == [
        f"{tmp_path / 'a'}: made before entries had seals: set aside, made again"
    ]


def test_each_entry_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = make(tmp_path / "entry")
    monkeypatch.setattr(module, "_TICK_NS", -1)
    asked: list[Path] = []

    def damage(path: Path) -> str:
        asked.append(path)
        return ""

    for _ in range(3):
        assert is_intact(target, damage)
    assert len(asked) == 1
    (target / "core.so").write_bytes(b"other")
    assert is_intact(target, damage)
    assert len(asked) == 2


def test_what_somebody_made_again_meanwhile_is_kept(tmp_path: Path) -> None:
    target = make(tmp_path / "entry")

    def damage(path: Path) -> str:
        path.rename(tmp_path / "theirs")
        make(path)
        return "damaged a moment ago"

    assert not is_intact(target, damage)
    assert is_intact(target)
    assert not (tmp_path / SET_ASIDE).exists()


@pytest.mark.parametrize("number", module._SHORTAGES)
def test_a_machine_that_is_short_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    target, text = make(tmp_path / "entry"), tmp_path / "text"
    write_sealed(text, TEXT)

    def short(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", short)
    for use in (is_intact, read_sealed, lambda path: read_sealed_lines(path, str)):
        with pytest.raises(MachineError, match="run again"):
            use(target if use is is_intact else text)
    monkeypatch.undo()
    assert is_intact(target)
    assert read_sealed(text) == TEXT


def test_many_find_the_same_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = make(tmp_path / "entry")
    (target / "core.so").write_bytes(b"cut off")

    def use(_: int) -> bytes:
        while not is_intact(target):
            make(target)
        return (target / "core.so").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(use, range(16))) == {bytes(range(256)) * 20}
    assert "core.so: not what was stored" in caplog.text


def test_what_cannot_be_set_aside_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make(tmp_path / "entry")
    (target / "core.so").write_bytes(b"")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(MachineError, match=r"core\.so: not what was stored.*Remove it"):
        is_intact(target)


@pytest.mark.parametrize("damage", OF_FILES.values(), ids=list(OF_FILES))
def test_texts(tmp_path: Path, damage: Damage) -> None:
    path = tmp_path / "kind" / "text"
    assert read_sealed(path) is None
    write_sealed(path, TEXT)
    assert read_sealed(path) == TEXT
    damage(path)
    assert read_sealed(path) is None
    write_sealed(path, TEXT)
    assert read_sealed(path) == TEXT


def test_a_persons_text_needs_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "limit"
    path.write_text("40\n")
    assert read_sealed(path, or_plain=True) == "40\n"
    assert read_sealed(path) is None
    write_sealed(path, "40\n")
    path.write_text(path.read_text().replace("40\n", "49\n"))
    assert read_sealed(path, or_plain=True) is None


@pytest.mark.parametrize("damage", OF_FILES.values(), ids=list(OF_FILES))
def test_lines(tmp_path: Path, damage: Damage) -> None:
    path = tmp_path / "lines"
    lines = ["1", "22\u2028\x85", "333", "4444"]
    for line in lines:
        append_sealed(path, line)
    assert read_sealed_lines(path, str) == lines
    damage(path)
    found = read_sealed_lines(path, str)
    assert [line for line in lines if line in found] == found
    append_sealed(path, "5")
    assert read_sealed_lines(path, str) == [*found, "5"]


def test_a_line_that_is_not_understood_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lines"
    for line in ("1", "x", "3"):
        append_sealed(path, line)
    assert read_sealed_lines(path, int) == [1, 3]
    assert read_sealed_lines(path, int) == [1, 3]
    assert len(caplog.messages) == 1
    assert "1 of 3 lines are not what was stored" in caplog.text


def test_a_file_where_a_folder_belongs_makes_way(tmp_path: Path) -> None:
    for name in ("modules", "probes", "bisect"):
        (tmp_path / name).write_text("x")
    assert is_intact(make(tmp_path / "modules" / "entry"))
    write_sealed(tmp_path / "probes" / "text", TEXT)
    append_sealed(tmp_path / "bisect" / "lines", "1")
    assert len(list((tmp_path / SET_ASIDE).iterdir())) == 3
    shutil.rmtree(tmp_path / SET_ASIDE)
