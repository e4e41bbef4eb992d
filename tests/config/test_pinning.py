from pathlib import Path

import pytest

from harness.config.lock_file import Lock, PinnedCommit, builtin_lock
from harness.config.pinning import Pinning, in_force, pinned_by, pinned_by_nothing
from harness.util.errors import ConfigError, SourceError

URL = "https://example.org/ncnn.git"
PIN = PinnedCommit(repository=URL, revision="master", commit="a" * 40)


def test_what_holds(tmp_path: Path) -> None:
    assert in_force() == Pinning(lock=builtin_lock())
    (tmp_path / "mine.lock").write_text(Lock(commits=(PIN,)).text())
    with pinned_by(tmp_path / "mine.toml", locked=True):
        assert in_force().lock == Lock(commits=(PIN,)).over(builtin_lock())
        assert in_force().locked
        with pinned_by_nothing():
            assert in_force() == Pinning(lock=Lock())
        assert in_force().locked
    with pinned_by(tmp_path / "other.toml"):
        assert in_force().lock == builtin_lock()
    assert in_force() == Pinning(lock=builtin_lock())
    (tmp_path / "mine.lock").write_text("?")
    with pytest.raises(ConfigError, match=r"mine\.lock"), pinned_by(tmp_path / "mine.toml"):
        pass


@pytest.mark.parametrize("locked", [False, True])
def test_commits(locked: bool) -> None:
    pinning = Pinning(lock=Lock(commits=(PIN,)), locked=locked, config=Path("mine.toml"))
    assert pinning.commit(URL, "master") == "a" * 40
    assert pinning.commit(URL, "b" * 40) == "b" * 40  # names its own content
    if not locked:
        assert pinning.commit(URL, "v1") == ""
        assert not pinning.distribution("ncnn", "1", "sdist")
        return
    with pytest.raises(SourceError, match=r"revision v1: .* --locked .*lock --config mine\.toml"):
        pinning.commit(URL, "v1")
    with pytest.raises(SourceError, match="ncnn 1: not in a lock file"):
        pinning.distribution("ncnn", "1", "sdist")
