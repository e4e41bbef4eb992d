import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.build.pruning import StoreEntry, entries, prune, surplus
from harness.util.build_store import LIMIT_GIB, Store
from harness.util.files import stamp
from harness.util.sealed import SET_ASIDE, set_aside
from tests.damage import OF_FILES, Damage

OLD = 1_000_000.0


def build(store: Store, name: str, *, kib: int = 4, used: float = OLD) -> Path:
    folder = store.modules / name
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(b"x" * kib * 1024)
    os.utime(folder, (used, used))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path)


@pytest.mark.parametrize(
    ("limit", "since", "removed"),
    [
        (60, 99, ""),
        (59, 99, "a"),
        (49, 99, "ab"),
        (0, 99, "abc"),
        (0, 3, "ab"),
        (0, 2, "a"),
    ],
)
def test_surplus_takes_the_least_recently_used(limit: int, since: int, removed: str) -> None:
    found = [
        StoreEntry(kind="modules", path=Path(name), bytes=size, used=used)
        for name, size, used in (("a", 10, 1), ("b", 20, 2), ("c", 30, 3))
    ]
    chosen = surplus(found, limit=limit, since=since)
    assert "".join(entry.path.name for entry in chosen) == removed


def test_prune_to_the_limit_of_the_store(store: Store) -> None:
    older, newer = build(store, "older", kib=64), build(store, "newer", kib=64, used=OLD + 1)
    store.set_limit(100 * 1024 / 2**30)
    assert [entry.path for entry in prune(store)] == [older]
    assert newer.exists()
    assert not older.exists()
    assert [path.name for path in store.modules.iterdir()] == ["newer"]


def test_what_a_living_process_uses_stays(store: Store) -> None:
    used, idle = build(store, "used"), build(store, "idle")
    store.prepare()
    stamp(used)
    assert [entry.path for entry in prune(store, limit_gib=0)] == [idle]
    assert prune(store, limit_gib=0) == []
    assert used.exists()


def test_a_dead_process_uses_nothing(store: Store) -> None:
    folder = build(store, "build")
    code = (
        "import sys, pathlib; from harness.util.build_store import Store;"
        "from harness.util.files import stamp;"
        "Store(root=pathlib.Path(sys.argv[1])).prepare(); stamp(pathlib.Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, store.root, folder], check=True)
    assert prune(store, limit_gib=0)
    assert not folder.exists()


def test_leftovers_go(store: Store) -> None:
    half = store.modules / ".x.0123456789ab"
    slot = store.work / "slot-0"
    for path in (half, slot):
        path.mkdir(parents=True)
        os.utime(path, (OLD, OLD))
    with store.slot() as held:
        assert held == slot
        prune(store)
        assert slot.exists()
        assert not half.exists()
    prune(store)
    assert not slot.exists()


@pytest.mark.parametrize("name", ["user-.lock", "user-x-y.lock", "user-inf.lock", "user"])
def test_sessions_that_are_none(store: Store, name: str) -> None:
    folder = build(store, "build")
    locks = store.root / "locks"
    locks.mkdir()
    (locks / name).write_text("null")
    (locks / "user-1-a.lock").mkdir()
    assert prune(store, limit_gib=0)
    assert not folder.exists()


def test_a_clock_that_was_put_back_removes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build(store, "build")
    store.prepare()
    monkeypatch.setattr("time.time", lambda: OLD)
    assert prune(store, limit_gib=0) == []
    assert folder.exists()


@pytest.mark.parametrize("damage", OF_FILES.values(), ids=list(OF_FILES))
def test_damaged_sizes_and_limits(store: Store, damage: Damage) -> None:
    build(store, "build", kib=64)
    store.set_limit(40)
    before = entries(store)
    assert store.limit_gib == 40
    for name in ("sizes", "limit"):
        damage(store.root / name)
    assert [entry for entry in entries(store) if entry.kind != SET_ASIDE] == before
    assert store.limit_gib == LIMIT_GIB


@pytest.mark.parametrize("text", ["nan", "-1", "inf", "x", "1e999"])
def test_a_limit_that_is_none(store: Store, text: str) -> None:
    (store.root / "limit").write_text(text)
    assert store.limit_gib == LIMIT_GIB
    (store.root / "limit").write_text("30")
    assert store.limit_gib == 30


def test_what_was_set_aside_is_pruned(store: Store) -> None:
    folder = build(store, "build")
    set_aside(folder, "damaged")
    (store.root / "limit").write_bytes(b"\xff")
    assert store.limit_gib == LIMIT_GIB
    assert [entry.kind for entry in entries(store)] == [SET_ASIDE, SET_ASIDE]
    assert len(prune(store, limit_gib=0)) == 2
    assert not list(store.root.rglob(f"{SET_ASIDE}/*"))


def test_files_where_folders_belong(store: Store) -> None:
    for name in ("modules", "locks", "work", "CACHEDIR.TAG"):
        (store.root / name).write_text("x") if name != "CACHEDIR.TAG" else (
            store.root / name
        ).mkdir()
    store.prepare()
    with store.lock("a"), store.slot():
        pass
    assert (store.root / "CACHEDIR.TAG").is_file()
    assert len(list((store.root / SET_ASIDE).iterdir())) == 4


def test_what_others_refer_to_is_no_entry(store: Store) -> None:
    (store.modules / "glslang-0").mkdir(parents=True)
    (store.sources / "glslang-git-0" / "source").mkdir(parents=True)
    tree = store.sources / "git-0"
    (tree / "source").mkdir(parents=True)
    assert [entry.path for entry in entries(store)] == [tree]


def test_slots_are_the_first_free_ones(store: Store) -> None:
    with store.slot() as first, store.slot() as second:
        names = (first.name, second.name)
    with store.slot() as again:
        assert (*names, again.name) == ("slot-0", "slot-1", "slot-0")
