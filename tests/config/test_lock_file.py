import re
from pathlib import Path

import pytest

from harness.config.downloads import Distribution, Download, GitRevision, about_others, not_pinned
from harness.config.lock_file import (
    Lock,
    PinnedCommit,
    PinnedFile,
    builtin_lock,
    builtin_path,
    parse_lock,
    read_lock,
    without_credentials,
)
from harness.util.errors import ConfigError

URL = "https://example.org/ncnn.git"


def file(name: str, sha: str = "a") -> PinnedFile:
    return PinnedFile(project="ncnn", version="1.0.20250503", file=name, sha256=sha * 64, size=1)


def commit(revision: str, digit: str = "a") -> PinnedCommit:
    return PinnedCommit(repository=URL, revision=revision, commit=digit * 40)


SDIST, WHEEL = file("ncnn-1.0.20250503.tar.gz"), file("ncnn-1.0.20250503-cp311-any.whl")
LOCK = Lock(files=(SDIST, WHEEL), commits=(commit("master"), commit("v1")))


def test_text_and_back() -> None:
    assert parse_lock(LOCK.text(), "x.lock") == Lock(files=(WHEEL, SDIST), commits=LOCK.commits)
    assert parse_lock(LOCK.text(), "x.lock").text() == LOCK.text()
    odd = Lock(commits=(commit('a"\\\n'),))
    assert parse_lock(odd.text(), "x.lock") == odd


@pytest.mark.parametrize(
    ("project", "version", "kind", "found"),
    [
        ("ncnn", "1.0.20250503", "sdist", [SDIST.file]),
        ("NCNN", "1.0.20250503.0", "wheel", [WHEEL.file]),
        ("ncnn", "1.0.20250504", "sdist", []),
        ("pnnx", "1.0.20250503", "sdist", []),
    ],
)
def test_distributions(project: str, version: str, kind: str, found: list[str]) -> None:
    assert list(LOCK.distribution(project, version, kind)) == found  # type: ignore[arg-type]


def test_commits_whoever_asks() -> None:
    assert LOCK.commit("https://me:secret@example.org/ncnn.git", "master") == commit("master")
    assert LOCK.commit(URL, "v2") is None
    assert without_credentials("git@example.org:ncnn.git") == "git@example.org:ncnn.git"


def test_of_two_locks_the_nearer_one() -> None:
    other = Lock(files=(file(SDIST.file, sha="b"),), commits=(commit("v1", "b"), commit("v3")))
    both = LOCK.over(other)
    assert both.distribution("ncnn", "1.0.20250503", "sdist") == {SDIST.file: SDIST}
    assert [pin.revision for pin in both.commits] == ["v1", "v3", "master"]
    assert both.commit(URL, "v1") == commit("v1")
    assert LOCK.without(Lock(files=(SDIST, file(WHEEL.file, sha="b")))).files == (WHEEL,)


def test_downloads() -> None:
    known = Distribution(project="ncnn", version="1.0.20250503", kind="sdist")
    new = Distribution(project="ncnn", version="1.0.20300101", kind="sdist")
    branch = GitRevision(repository=URL, revision="master")
    wanted: list[Download] = [known, new, branch, new]
    assert not_pinned(wanted, LOCK) == [new]
    assert about_others(LOCK, wanted) == Lock(files=(WHEEL,), commits=(commit("v1"),))
    assert [each.is_called("20250503") for each in wanted] == [True, False, False, False]
    assert [each.is_called("ncnn") for each in wanted] == [True, True, False, True]
    assert [each.is_called("master") for each in wanted] == [False, False, True, False]


ENTRY = '[[files]]\nproject = "p"\nversion = "1"\nfile = "p-1.whl"\nsha256 = "{}"\nsize = 1\n'
GOOD = ENTRY.format("a" * 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 2", "x.lock: format:"),
        ("format = ", "x.lock: not valid TOML"),
        ("[" * 5000, "x.lock: not valid TOML"),
        ("files = 3", "x.lock: files:"),
        ("format = 1\n[[file]]\n", "file: unknown key, did you mean 'files'?"),
        (ENTRY.format("a" * 63), "x.lock: files.0.sha256: string should match"),
        (GOOD.replace("p-1.whl", "../p"), "x.lock: files.0.file: string should match"),
        (GOOD.replace("= 1\n", "= -1\n"), "x.lock: files.0.size"),
        (GOOD * 2, "x.lock: the file p-1.whl is pinned twice"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_lock(text, "x.lock")


def test_no_lock_pins_nothing(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "x.lock") == Lock()
    with pytest.raises(ConfigError, match="not a regular file"):
        read_lock(tmp_path)


def test_the_harness_own_lock() -> None:
    lock = builtin_lock()
    assert builtin_path().read_text() == lock.text()
    assert {pin.project for pin in lock.files} == {"ncnn", "pnnx", "rapidocr-onnxruntime"}
    assert {"x86_64", "aarch64"} <= {pin.file.rpartition("_2_17_")[2][:-4] for pin in lock.files}
