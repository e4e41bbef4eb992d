from pathlib import Path

import pytest

from harness.__main__ import main
from harness.config.lock_file import Lock, read_lock
from harness.sources.download import distribution
from harness.util.files import sha256_of
from tests.local_index import NCNN, make_sdist, use_find_links
from tests.sources.conftest import Repo, empty_repository

CONFIG = """
[inputs.a]
random = 1
shape = [1, 3]
[model]
param = "a.param"
bin = "a.bin"
reference = "ncnn"
[sources.{branch}]
git = "{url}"
[matrix]
versions = ["20300101", "{branch}"]
flags = ["sse2"]
runs = ["default"]
"""
NAME = "ncnn-1.0.20300101.tar.gz"


@pytest.fixture
def repository(tmp_path: Path) -> Repo:
    repo = empty_repository(tmp_path / "upstream")
    repo.commit("first", a="int a;")
    return repo


@pytest.fixture
def config(repository: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_sdist(tmp_path / "dist", "1.0.20300101", NCNN)
    make_sdist(tmp_path / "dist", "1.0.20300102", NCNN)
    use_find_links(monkeypatch, tmp_path / "dist")
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG.format(branch="master", url=repository.path.as_uri()))
    return path


def lock(*words: str) -> int:
    return main(["lock", "--config=mine.toml", *words])


def pinned() -> tuple[list[str], list[str]]:
    """Return names of files and ids of commits in the lock."""
    found = read_lock(Path("mine.lock"))
    return [pin.file for pin in found.files], [pin.commit for pin in found.commits]


def test_pins_what_is_needed(
    config: Path, repository: Repo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lock("--check") == 1
    assert "not pinned: ncnn 1.0.20300101\n" in capsys.readouterr().out
    assert lock() == 0
    first = repository.git("rev-parse", "HEAD")
    digest = sha256_of(Path("dist") / NAME)
    assert f"{NAME}  sha256 {digest}" in capsys.readouterr().out
    assert pinned() == ([NAME], [first])
    assert lock("--check") == 0
    # What is pinned stays, and costs nothing.
    repository.commit("second", a="int b;")
    text = config.with_suffix(".lock").read_text()
    Path("dist").rename("elsewhere")
    assert lock() == 0
    assert config.with_suffix(".lock").read_text() == text


def test_update(config: Path, repository: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    assert lock("--version=20300102") == 0
    old = (Path("dist") / NAME).read_bytes()
    (Path("dist") / NAME).write_bytes(old + b" ")
    second = repository.commit("second", a="int b;")
    assert lock("--update", "master") == 0
    assert pinned() == ([NAME, "ncnn-1.0.20300102.tar.gz"], [second])
    assert read_lock(Path("mine.lock")).files[0].size == len(old)
    assert lock("--update", "nothing") == 2
    assert "--update nothing: nothing that is needed is called so" in capsys.readouterr().err
    # All of it anew, and nothing else.
    assert lock("--update") == 0
    assert pinned() == ([NAME], [second])
    assert read_lock(Path("mine.lock")).files[0].size == len(old) + 1


def test_without_network_what_is_in_the_store_is_pinned(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with distribution("ncnn", "1.0.20300101", kind="sdist", cache=Path("builds/downloads")):
        pass
    monkeypatch.setattr("harness.sources.download.time.sleep", lambda _: None)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert lock() == 0
    assert pinned()[0] == [NAME]
    assert lock("--version=20300102") == 3


def test_the_harness_own_lock_is_not_repeated(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lock() == 0
    own = read_lock(Path("mine.lock"))
    Path("mine.lock").unlink()
    monkeypatch.setattr("harness.commands.lock.builtin_lock", lambda: own)
    assert lock() == 0
    assert "nothing to pin, 2 in the harness's own lock" in capsys.readouterr().out
    assert not Path("mine.lock").exists()
    # Where the content is another one, the configuration's own lock says so.
    monkeypatch.setattr("harness.commands.lock.builtin_lock", lambda: Lock(files=own.files))
    assert lock() == 0
    assert pinned()[0] == []


def test_shipped_configurations_are_pinned() -> None:
    root = Path(__file__).parents[2]
    for path in sorted((root / "configs").glob("*.toml")):
        assert main(["lock", f"--config={path}", "--check"]) == 0, path
    assert main(["lock", f"--config={root / 'configs/default.toml'}", "--builtin", "--check"]) == 0
