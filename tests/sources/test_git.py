import re
from pathlib import Path

import pytest

from harness.sources import git
from harness.util.errors import HarnessError, MachineError, SourceError, UsageError
from harness.util.process import capture
from tests.sources.conftest import Repo, empty_repository


@pytest.fixture
def history(repo: Repo) -> dict[str, str]:
    r"""first - second - merge - last on master, with side1 - side2 merged in."""
    names = {"first": repo.git("rev-parse", "HEAD")}
    repo.git("checkout", "--quiet", "-b", "side")
    names["side1"] = repo.commit("side one", src__side="1")
    names["side2"] = repo.commit("side two", src__side="2")
    repo.git("checkout", "--quiet", "master")
    names["second"] = repo.commit("second", src__net="int second;")
    repo.day += 1
    repo.git("merge", "--quiet", "--no-ff", "--message", "merge side", "side")
    names["merge"] = repo.git("rev-parse", "HEAD")
    names["last"] = repo.commit('last: "quoted" ü', src__übel="x")
    repo.git("tag", "--annotate", "--message", "release", "20200301")
    repo.git("tag", "v1")
    return names


@pytest.mark.parametrize(
    ("rev", "name"),
    [
        ("20200101", "first"),
        ("20200301", "last"),
        ("master", "last"),
        ("HEAD~1", "merge"),
        ("HEAD~1^2", "side2"),
        ("side", "side2"),
    ],
)
def test_resolve(repo: Repo, history: dict[str, str], rev: str, name: str) -> None:
    assert git.resolve(repo.path, rev) == history[name]
    assert git.resolve(repo.path / ".git", history[name][:12]) == history[name]


def test_branch_of_the_remote(repo: Repo, history: dict[str, str], tmp_path: Path) -> None:
    repo.git("clone", "--quiet", str(repo.path), str(tmp_path / "clone"))
    assert git.resolve(tmp_path / "clone", "side") == history["side2"]


@pytest.mark.parametrize("rev", ["20200115", "", "--all", "no such", "HEAD:src", "^HEAD", "0" * 40])
def test_unknown_revision_names_tags(repo: Repo, rev: str) -> None:
    with pytest.raises(SourceError, match=re.escape(f"no revision {rev!r}. Nearest: ")):
        git.resolve(repo.path, rev)


def test_unknown_revision_of_an_empty_repository(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no tags or branches"):
        git.resolve(empty_repository(tmp_path / "empty").path, "HEAD")


def test_commit_info(repo: Repo, history: dict[str, str]) -> None:
    info = git.commit_info(repo.path, history["last"])
    assert info == git.CommitInfo(
        sha=history["last"],
        author_date="2020-01-06T12:00:00+08:00",
        title='last: "quoted" ü',
        files=("src/übel.cpp",),
    )
    assert git.commit_info(repo.path, history["merge"]).files == ("src/side.cpp",)
    assert "examples/model.bin" in git.commit_info(repo.path, history["first"]).files


def test_first_parent_range(repo: Repo, history: dict[str, str]) -> None:
    expected = [history[name] for name in ("second", "merge", "last")]
    assert git.first_parent_range(repo.path, "20200101", "master") == expected
    assert git.first_parent_range(repo.path, "HEAD~1", "HEAD") == [history["last"]]


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("master", "20200101", "master comes after 20200101. Swap the two ends."),
        ("master", "20200301", "are the same commit"),
        ("side", "HEAD~2", "is not an ancestor of HEAD~2. Their common ancestor is "),
        ("island", "master", "They share no history."),
    ],
)
def test_impossible_range(
    repo: Repo, history: dict[str, str], good: str, bad: str, message: str
) -> None:
    tree = repo.git("mktree")
    repo.git("branch", "island", repo.git("commit-tree", tree, "-m", "island"))
    with pytest.raises(UsageError, match=re.escape(message)):
        git.first_parent_range(repo.path, good, bad)


def test_merge_parents(repo: Repo, history: dict[str, str]) -> None:
    assert git.merge_parents(repo.path, history["merge"]) == [history["second"], history["side2"]]
    assert git.merge_parents(repo.path, history["side2"]) == [history["side1"]]
    assert git.merge_parents(repo.path, history["first"]) == []


def test_release_tags(repo: Repo, history: dict[str, str]) -> None:
    tags = git.release_tags(repo.path)
    assert [(tag.label, tag.sha) for tag in tags] == [
        ("20200101", history["first"]),
        ("20200301", history["last"]),
    ]
    assert [tag.date[:10] for tag in tags] == ["2020-01-01", "2020-01-06"]


def test_shallow_clone(repo: Repo, history: dict[str, str], tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    repo.git("clone", "--quiet", "--depth=1", repo.path.as_uri(), str(clone))
    assert git.is_shallow(clone)
    assert not git.is_shallow(repo.path)
    for rev in ("20200101", history["first"]):
        with pytest.raises(SourceError, match="git fetch --unshallow"):
            git.resolve(clone, rev)


def test_not_a_repository(tmp_path: Path, repo: Repo) -> None:
    for place in (tmp_path, repo.path / "src"):
        with pytest.raises(SourceError, match=r": not a git repository\. Give the root"):
            git.resolve(place, "HEAD")
    with pytest.raises(SourceError, match="nowhere: no such directory"):
        git.resolve(tmp_path / "nowhere", "HEAD")


def test_git_is_missing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MachineError, match=r"git: program not found\. Install it"):
        git.resolve(repo.path, "HEAD")


def test_surroundings_do_not_interfere(
    repo: Repo, history: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = empty_repository(tmp_path / "other")
    config = "[log]\n showSignature = true\n[color]\n ui = always\n[core]\n quotePath = true\n"
    (tmp_path / ".gitconfig").write_text(config)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_TRACE", "1")
    assert git.resolve(repo.path, "HEAD") == history["last"]
    assert git.commit_info(repo.path, "HEAD").files == ("src/übel.cpp",)


def test_glslang_submodule_revision(repo: Repo) -> None:
    assert git.glslang_submodule_revision(repo.path, "HEAD") is None
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},glslang")
    repo.git("commit", "--quiet", "--message", "submodule")
    assert git.glslang_submodule_revision(repo.path, "HEAD") == "1" * 40


def test_damaged_repository_gives_gits_reason(repo: Repo) -> None:
    sha = repo.remove_object("HEAD:src")
    with pytest.raises(HarnessError, match=f"git diff-tree failed: .*{sha}.*git fsck"):
        git.commit_info(repo.path, "HEAD")


@pytest.mark.parametrize("url", ["ext::sh -c true", "fd::0"])
def test_transports_that_start_programs_are_refused(url: str, tmp_path: Path) -> None:
    # Not so in a repository's own configuration either, whatever that allows.
    words = git.command(None, "-c", "protocol.allow=always", "ls-remote", url)
    done = capture(words, timeout=git.LOCAL_SECONDS, env=git.ENVIRONMENT)
    assert not done.ok
    assert "not allowed" in done.stderr
