import contextlib
import errno
import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from harness.config.lock_file import Lock, PinnedFile
from harness.config.pinning import pinned_by
from harness.sources import index_client
from harness.sources.download import (
    distribution,
    fetch_files,
    list_versions,
)
from harness.util.errors import HarnessError, MachineError, ModelError, SourceError
from harness.util.files import disk_trouble_explained, sha256_of
from tests.local_index import make_sdist, use_find_links


def fetch(cache: Path, project: str = "ncnn", version: str = "1.0.20200101") -> Path:
    with distribution(project, version, kind="sdist", cache=cache) as path:
        return path


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "links"
    for version in ("1.0.20200101", "1.0.20200301", "1.0.20210101"):
        make_sdist(folder, version, {"setup.py": "raise SystemExit('executed')"})
    for tag in ("py3-none-any", "cp27-cp27m-win32"):
        (folder / f"other_tool-1.0-{tag}.whl").write_bytes(tag.encode())
    (folder / "other_tool-2.0-cp27-cp27m-win32.whl").write_bytes(b"")
    use_find_links(monkeypatch, folder)
    return folder


def use_index(monkeypatch: pytest.MonkeyPatch, root: Path, archive: Path, sha256: str) -> None:
    """Make a simple index in a directory, which states this hash for the archive."""
    page = root / "ncnn" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{archive.as_uri()}#sha256={sha256}">{archive.name}</a>')
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", root.as_uri())


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (b"\xff\xfe\x80" * 99, "not a page of an index"),
        (b"<a href='http://[x'>x</a>", "not a page of an index"),
        (b"<a>", "has no source distribution"),
        (b"", "has no source distribution"),
        (b"<a href='x'>x</a>" * 5000, "more than 0.0477 MiB"),
    ],
)
def test_page_that_is_none(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: bytes, message: str
) -> None:
    use_index(monkeypatch, tmp_path / "index", links / "ncnn-1.0.20200101.tar.gz", "0" * 64)
    (tmp_path / "index" / "ncnn" / "index.html").write_bytes(page)
    monkeypatch.setattr(index_client, "PAGE_BYTES", 50_000)
    with pytest.raises(SourceError, match=message):
        fetch(tmp_path / "cache")


def test_file_without_end(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = (links / "ncnn-1.0.20200101.tar.gz").as_uri()
    monkeypatch.setattr(index_client, "FILE_BYTES", 100)
    with (
        index_client.IndexClient() as client,
        client.get_stream(url) as answer,
        pytest.raises(httpx2.RequestError, match="more than"),
    ):
        answer.read()


def test_fetched_once_then_cached(links: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    cache = tmp_path / "cache"
    source = links / "ncnn-1.0.20200101.tar.gz"
    for _ in range(2):
        with distribution(
            "NCNN", "1.0.20200101", kind="sdist", cache=cache, session_log=log
        ) as path:
            assert path.name == source.name
            assert path.read_bytes() == source.read_bytes()
    assert log.read_text() == f"downloaded {source.as_uri()} sha256={sha256_of(source)}\n"
    source.unlink()
    assert fetch(cache) == path


def test_version_is_no_path(links: Path, tmp_path: Path) -> None:
    cache = tmp_path / "a" / "b" / "cache"
    with pytest.raises(SourceError):
        fetch(cache, version="../../pwned")
    assert {path.parent for path in tmp_path.rglob("*.lock")} == {cache / "ncnn"}


def test_damaged_cache_is_fetched_again(links: Path, tmp_path: Path) -> None:
    path = fetch(tmp_path / "cache")
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    again = fetch(tmp_path / "cache")
    assert again.read_bytes() == whole


def test_somebody_elses_store_is_used_without_its_lock(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch(tmp_path / "cache")
    lock = path.parent.with_name(f"{path.parent.name}.lock")
    lock.unlink()
    # What the system answers to who is not root.
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    assert fetch(tmp_path / "cache") == path
    assert not lock.exists()


def test_many_at_once(links: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(fetch, [tmp_path / "cache"] * 8))) == 1


def test_file_that_another_finds_unusable(links: Path, tmp_path: Path) -> None:
    """Who wants it too waits, and does not unpack what is being set aside."""
    cache = tmp_path / "cache"
    with (
        contextlib.suppress(ModelError),
        ThreadPoolExecutor(1) as pool,
        distribution("ncnn", "1.0.20200101", kind="sdist", cache=cache),
    ):
        other = pool.submit(fetch, cache)
        with pytest.raises(TimeoutError):
            other.result(timeout=0.1)
        raise ModelError("not one")
    assert other.result().is_file()
    assert len(list(cache.rglob("*.tar.gz"))) == 2


def test_wheel_that_suits_is_taken(links: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with distribution("other-tool", "1.0", kind="wheel", cache=cache) as path:
        assert path.read_bytes() == b"py3-none-any"
    with (
        pytest.raises(SourceError, match="no wheel for this platform"),
        distribution("other-tool", "2.0", kind="wheel", cache=cache),
    ):
        pass


def pinned(name: str, sha256: str, tmp_path: Path) -> Path:
    """Write a lock with one file of version 1.0.20200101, and return its configuration's path."""
    pin = PinnedFile(project="NCNN", version="1.0.20200101", file=name, sha256=sha256, size=7)
    (tmp_path / "mine.lock").write_text(Lock(files=(pin,)).text())
    return tmp_path / "mine.toml"


def test_what_is_pinned_is_verified(links: Path, tmp_path: Path) -> None:
    name = "ncnn-1.0.20200101.tar.gz"
    right = sha256_of(links / name)
    with pinned_by(pinned(name, right, tmp_path), locked=True):
        fetch(tmp_path / "cache")
    message = rf"SHA-256 is {right} \(\d+ bytes\), and {'0' * 64} \(7 bytes\) is pinned\. The file"
    # A file in the store that is not the pinned one is not used either.
    for cache in ("cache", "other"):
        with (
            pinned_by(pinned(name, "0" * 64, tmp_path)),
            pytest.raises(SourceError, match=message),
        ):
            fetch(tmp_path / cache)


@pytest.mark.parametrize("name", ["", "ncnn-1.0.20200101.zip"])
def test_what_is_not_pinned_is_told_or_refused(
    links: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = pinned(name, "0" * 64, tmp_path) if name else tmp_path / "mine.toml"
    for cache in ("empty", "warm"):
        with pinned_by(config, locked=True), pytest.raises(SourceError, match="--locked allows"):
            fetch(tmp_path / cache)
        with pinned_by(config):
            fetch(tmp_path / "warm")
    digest = sha256_of(links / "ncnn-1.0.20200101.tar.gz")
    assert [record.getMessage() for record in caplog.records] == [
        f"ncnn-1.0.20200101.tar.gz: SHA-256 is {digest}, which no lock has. Pin it with `python -m "
        f"harness lock --config {config}`; what the file does not name, with --version or "
        "--converter as well."
    ]


def test_all_files_of_a_version(links: Path, tmp_path: Path) -> None:
    found = fetch_files("other-tool", "1.0", "wheel", tmp_path)
    assert {path.name: path.read_bytes() for path in found} == {
        "other_tool-1.0-py3-none-any.whl": b"py3-none-any",
        "other_tool-1.0-cp27-cp27m-win32.whl": b"cp27-cp27m-win32",
    }


def test_hash_of_the_index(links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = links / "ncnn-1.0.20200101.tar.gz"
    right = sha256_of(archive)
    use_index(monkeypatch, tmp_path / "index", archive, right)
    path = fetch(tmp_path / "one")
    assert sha256_of(path) == right
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(SourceError, match="not have the hash that the index states"):
        fetch(tmp_path / "two")
    other = pinned(archive.name, hashlib.sha256(b"other").hexdigest(), tmp_path)
    with (
        pinned_by(other),
        pytest.raises(SourceError, match=f"the index states SHA-256 {right}, and"),
    ):
        fetch(tmp_path / "two")
    assert not [path for path in (tmp_path / "two").rglob("*") if path.name.endswith(".gz")]


def test_list_versions_newest_first(links: Path) -> None:
    versions = list_versions("ncnn", "sdist")
    assert [version for version, _, _ in versions] == [
        "1.0.20210101",
        "1.0.20200301",
        "1.0.20200101",
    ]
    _, name, size = versions[0]
    assert size == (links / name).stat().st_size


@pytest.mark.parametrize(
    ("project", "version", "message"),
    [
        ("ncnn", "1.0.20200229", "Nearest: 1.0.20200301, 1.0.20200101, 1.0.20210101."),
        ("ncnn", "1.0", "ncnn 1.0: the package index has no such source distribution"),
        ("ncmm", "1.0", "ncmm: the package index has no source distribution of it"),
    ],
)
def test_unknown(links: Path, tmp_path: Path, project: str, version: str, message: str) -> None:
    with pytest.raises(SourceError, match=re.escape(message)):
        fetch(tmp_path / "cache", project, version)


def test_no_network(links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setattr("harness.sources.download.time.sleep", lambda _: None)
    with pytest.raises(MachineError, match=r"cannot be reached .* Check the network"):
        fetch(tmp_path / "cache")


def test_nowhere_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_find_links(monkeypatch, tmp_path)
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(SourceError, match="nowhere to download from"):
        list_versions("ncnn", "sdist")


def test_bad_certificate_setting(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", "/no/such.pem")
    with pytest.raises(MachineError, match=r"/no/such\.pem: pip's certificate setting"):
        list_versions("ncnn", "sdist")


@pytest.mark.parametrize(
    ("number", "message"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "not writable")]
)
def test_disk_trouble(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, "trouble")

    monkeypatch.setattr("harness.sources.download.shutil.copyfile", fail)
    with pytest.raises(MachineError, match=message):
        fetch(tmp_path / "cache")


def test_other_trouble_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_trouble_explained(tmp_path):
        (tmp_path / "none").read_bytes()
    assert not issubclass(FileNotFoundError, HarnessError)
