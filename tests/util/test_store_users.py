from pathlib import Path

from harness.util.build_store import LOCKS, SESSION, Store


def test_users_that_are_gone_are_forgotten_by_the_next(tmp_path: Path) -> None:
    locks = tmp_path / LOCKS
    locks.mkdir(parents=True)
    for number in range(20):
        (locks / f"{SESSION}{number}.0-0123456789ab.lock").touch()
    alive, other = Store(root=tmp_path), Store(root=tmp_path)
    alive.prepare()
    other.prepare()
    assert len([*locks.glob(f"{SESSION}*")]) == 2
