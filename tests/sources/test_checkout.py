import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.config.lock_file import Lock, PinnedCommit
from harness.config.pinning import pinned_by
from harness.domain.spec import Revision
from harness.sources import SourceTree, obtain, obtain_tests
from harness.sources.checkout import is_url
from harness.sources.tree import tree_digest
from harness.util.errors import SourceError
from tests.damage import OF_FILES
from tests.local_index import NCNN
from tests.sources.conftest import Repo, empty_repository


def get(where: Path | str, rev: str, tmp_path: Path, *, with_glslang: bool = False) -> SourceTree:
    revision = Revision(label="x", kind="git", name=rev, where=str(where))
    log = tmp_path / "log"
    return obtain(revision, store=tmp_path / "store", log=log, with_glslang=with_glslang)


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_bytes().decode()
        for path in root.rglob("*")
        if path.is_file()
    }


def missing(repo: Repo, clone: Path) -> set[str]:
    """Return the objects that a clone lacks, without fetching any."""
    found = repo.git("rev-list", "--objects", "--all", "--missing=print", cwd=clone)
    return {line[1:] for line in found.splitlines() if line.startswith("?")}


def test_only_what_a_build_needs(repo: Repo, tmp_path: Path) -> None:
    tree = get(repo.path, "20200101", tmp_path)
    sha = repo.git("rev-parse", "HEAD")
    assert contents(tree.path) == NCNN
    assert tree.digest == tree_digest(tree.path)
    assert tree.commit == sha
    assert tree.date == "2020-01-01T12:00:00+08:00"
    assert tree.description == f"commit {sha} (20200101) of {repo.path}"


def obtained(where: Path, rev: str, tmp_path: Path) -> Path | None:
    revision = Revision(label="x", kind="git", name=rev, where=str(where))
    return obtain_tests(revision, store=tmp_path / "store", log=tmp_path / "log")


def test_tests_are_apart_from_what_a_build_needs(repo: Repo, tmp_path: Path) -> None:
    assert obtained(repo.path, "20200101", tmp_path) is None
    repo.write("tests/CMakeLists.txt", "first")
    one = repo.commit("tests", tests__test_a="int a;", tests__perf__b="int b;")
    repo.write("tests/CMakeLists.txt", "second")
    two = repo.commit("more")
    folder = obtained(repo.path, one, tmp_path)
    assert folder is not None
    assert contents(folder) == {
        "CMakeLists.txt": "first",
        "test_a.cpp": "int a;",
        "perf/b.cpp": "int b;",
    }
    other = obtained(repo.path, two, tmp_path)
    assert other is not None
    assert contents(other)["CMakeLists.txt"] == "second"
    assert contents(get(repo.path, two, tmp_path).path) == NCNN


def test_users_repository_stays_as_it_is(repo: Repo, tmp_path: Path) -> None:
    second = repo.commit("second", src__net="int second;")
    repo.write("src/net.cpp", "int uncommitted;")
    repo.write("src/staged.cpp", "int staged;")
    repo.git("add", "src/staged.cpp")
    (repo.path / "src/layer/innerproduct.cpp").unlink()

    def state() -> tuple[object, ...]:
        git_files = {path: path.read_bytes() for path in repo.path.rglob("*") if path.is_file()}
        return git_files, repo.git("status", "--porcelain"), repo.git("for-each-ref")

    before = state()
    assert contents(get(repo.path, second, tmp_path).path)["src/net.cpp"] == "int second;"
    assert contents(get(repo.path, "HEAD~1", tmp_path).path) == NCNN
    assert state() == before


def test_attributes_and_settings_change_nothing(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write(".gitattributes", "src/net.cpp export-ignore\n*.txt ident export-subst\n")
    repo.write("src/id.txt", "$Id$ $Format:%H$\n")
    repo.commit("attributes")
    (tmp_path / ".gitconfig").write_text("[core]\n autocrlf = true\n eol = crlf\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    tree = get(repo.path, "HEAD", tmp_path)
    assert contents(tree.path) == {**NCNN, "src/id.txt": "$Id$ $Format:%H$\n"}


def test_commits_with_the_same_source_share_a_tree(repo: Repo, tmp_path: Path) -> None:
    first = get(repo.path, "HEAD", tmp_path)
    repo.commit("documentation", docs__text="x")
    second = get(repo.path, "HEAD", tmp_path)
    repo.commit("change", src__net="x")
    third = get(repo.path, "HEAD", tmp_path)
    assert first.path == second.path != third.path
    assert first.digest == second.digest != third.digest
    assert first.commit != second.commit


def test_many_at_once(repo: Repo, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        trees = set(pool.map(lambda _: get(repo.path, "HEAD", tmp_path), range(8)))
    assert len(trees) == 1
    assert [path.name[:4] for path in (tmp_path / "store").iterdir()] == ["git-"]


def test_unrelated_missing_blob_does_no_harm(repo: Repo, tmp_path: Path) -> None:
    repo.remove_object("HEAD:examples/model.bin")
    assert contents(get(repo.path, "HEAD", tmp_path).path) == NCNN


def test_needed_missing_blob_is_named(repo: Repo, tmp_path: Path) -> None:
    repo.remove_object("HEAD:src/net.cpp")
    with pytest.raises(SourceError, match=r"this clone lacks src/net\.cpp\. Make a full clone"):
        get(repo.path, "HEAD", tmp_path)
    assert not list((tmp_path / "store").glob("git-*"))


def test_blobless_clone_fetches_only_what_is_needed(repo: Repo, tmp_path: Path) -> None:
    unrelated = repo.remove_object("HEAD:examples/model.bin")
    clone = tmp_path / "clone"
    options = ("--quiet", "--filter=blob:none", "--no-checkout")
    repo.git("clone", *options, repo.path.as_uri(), str(clone))
    assert len(missing(repo, clone)) == len(NCNN) + 1
    assert contents(get(clone, "20200101", tmp_path).path) == NCNN
    assert missing(repo, clone) == {unrelated}
    assert f"fetching {len(NCNN)} objects from origin" in (tmp_path / "log").read_text()


def test_blobless_clone_without_its_remote(repo: Repo, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    repo.git("clone", "--quiet", "--bare", "--filter=blob:none", repo.path.as_uri(), str(clone))
    repo.path.rename(tmp_path / "moved")
    with pytest.raises(SourceError, match=r"lacks 5 files of commit .*, and origin does not give"):
        get(clone, "20200101", tmp_path)


@pytest.mark.parametrize("filters", ["true", "false"])
def test_url(repo: Repo, tmp_path: Path, filters: str) -> None:
    repo.git("config", "uploadpack.allowFilter", filters)
    url = repo.path.as_uri()
    first = get(url, "20200101", tmp_path)
    assert contents(first.path) == NCNN
    repo.commit("second", src__net="int second;")
    repo.git("tag", "20200201")
    second = get(url, "20200201", tmp_path)
    assert contents(second.path)["src/net.cpp"] == "int second;"
    shutil.rmtree(repo.path)
    assert get(url, "20200101", tmp_path) == first
    with pytest.raises(SourceError, match="Check the address, the network and your access"):
        get(url, "20200301", tmp_path)


def test_hooks_of_the_user_do_not_run(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks/reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[core]\n hooksPath = {hook.parent}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert contents(get(repo.path.as_uri(), "HEAD", tmp_path).path) == NCNN
    assert not (tmp_path / "hook-ran").exists()


def test_url_that_is_wrong_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"file:///no/where: git failed: .*; the log is "):
        get("file:///no/where", "HEAD", tmp_path)
    assert not list((tmp_path / "store").rglob("*.git"))


def test_password_in_a_url_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        get("file://user:secret@host/no/where", "HEAD", tmp_path)
    assert str(caught.value).startswith("file://host/no/where: ")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("https://example.org/ncnn", True),
        ("git@example.org:ncnn.git", True),
        ("/home/me/ncnn", False),
        ("../ncnn", False),
        ("ncnn", False),
    ],
)
def test_is_url(where: str, expected: bool) -> None:
    assert is_url(where) is expected


def test_other_project_is_refused(tmp_path: Path) -> None:
    other = empty_repository(tmp_path / "other")
    other.commit("first", src__main="int main;")
    with pytest.raises(SourceError, match=r"no CMakeLists\.txt, so this is not the C"):
        get(other.path, "HEAD", tmp_path)


def test_symbolic_link_is_refused(repo: Repo, tmp_path: Path) -> None:
    (repo.path / "src/passwd").symlink_to("/etc/passwd")
    repo.commit("link")
    with pytest.raises(SourceError, match="src/passwd is a symbolic link"):
        get(repo.path, "HEAD", tmp_path)


def test_no_repository_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No repository given"):
        get("", "HEAD", tmp_path)


def add_glslang(repo: Repo, glslang: Path, url: str) -> Repo:
    module = empty_repository(glslang)
    module.write("CMakeLists.txt", "project(glslang)")
    module.write("Test/large.vert", "large")
    module.write("SPIRV/spirv.h", "int spirv;")
    sha = module.commit("glslang")
    repo.write(".gitmodules", f'[submodule "glslang"]\n\tpath = glslang\n\turl = {url}\n')
    repo.git("add", ".gitmodules")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{sha},glslang")
    repo.git("commit", "--quiet", "--message", "glslang")
    return module


@pytest.mark.parametrize("inside", [False, True])
def test_glslang_of_the_recorded_revision(repo: Repo, tmp_path: Path, inside: bool) -> None:
    place = repo.path / "glslang" if inside else tmp_path / "glslang"
    url = "file:///no/where" if inside else place.as_uri()
    module = add_glslang(repo, place, url)
    module.commit("later", SPIRV__later="x")
    tree = get(repo.path, "HEAD", tmp_path, with_glslang=True)
    assert tree.glslang is not None
    assert (tree.path / "glslang").resolve() == tree.glslang
    expected = {"CMakeLists.txt": "project(glslang)", "SPIRV/spirv.h": "int spirv;"}
    assert contents(tree.glslang) == expected
    assert get(repo.path, "HEAD", tmp_path).digest == tree.digest


def test_same_source_with_another_glslang(repo: Repo, tmp_path: Path) -> None:
    module = add_glslang(repo, tmp_path / "glslang", (tmp_path / "glslang").as_uri())
    old = get(repo.path, "HEAD", tmp_path, with_glslang=True)
    sha = module.commit("later", SPIRV__later="x")
    repo.git("update-index", "--cacheinfo", f"160000,{sha},glslang")
    repo.git("commit", "--quiet", "--message", "glslang moves")
    new = get(repo.path, "HEAD", tmp_path, with_glslang=True)
    assert new.digest == old.digest
    assert new.glslang_digest != old.glslang_digest
    assert (new.path / "glslang/SPIRV/later.cpp").is_file()
    assert not (old.path / "glslang/SPIRV/later.cpp").exists()
    assert not (get(repo.path, "HEAD", tmp_path).path / "glslang").exists()


def test_glslang_that_is_not_at_hand(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="records no glslang"):
        get(repo.path, "HEAD", tmp_path, with_glslang=True)
    add_glslang(repo, tmp_path / "elsewhere", "file:///no/where")
    expected = re.escape("Run `git submodule update --init glslang` in the clone, or build with")
    with pytest.raises(SourceError, match=expected):
        get(repo.path, "HEAD", tmp_path, with_glslang=True)


@pytest.mark.parametrize("pattern", ["*.pack", "*.idx", "HEAD", "config"])
def test_a_damaged_clone_of_a_url_is_cloned_again(repo: Repo, tmp_path: Path, pattern: str) -> None:
    where = repo.path.as_uri()
    tree = get(where, "20200101", tmp_path)
    for name, damage in OF_FILES.items():
        (clone,) = (tmp_path / "store" / "repositories").glob("*.git")
        damage(next(iter(clone.rglob(pattern))))
        shutil.rmtree(tree.path.parent)
        assert get(where, "20200101", tmp_path) == tree, name


def test_what_is_pinned_is_taken_though_the_branch_went_on(
    repo: Repo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, url = repo.git("rev-parse", "HEAD"), repo.path.as_uri()
    pin = PinnedCommit(repository=url, revision="master", commit=first)
    (tmp_path / "mine.lock").write_text(Lock(commits=(pin,)).text())
    second = repo.commit("second", src__net="int second;")
    with pinned_by(tmp_path / "mine.toml", locked=True):
        assert get(url, "master", tmp_path).commit == first
        assert get(url, second, tmp_path).commit == second
        with pytest.raises(SourceError, match="revision 20200101: not in a lock file"):
            get(url, "20200101", tmp_path)
        # A local clone is the user's own: nothing is downloaded.
        assert get(repo.path, "master", tmp_path).commit == second
    assert caplog.messages == []
    assert get(url, "master", tmp_path).commit == second
    assert caplog.messages[0].startswith(f"master of {url}: commit {second}, which no lock has.")
