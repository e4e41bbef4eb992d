"""Remotes and archives that nobody should give."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from harness.config.ranges import known_repository
from harness.sources import tree
from harness.sources.checkout import open_repository
from harness.util.errors import HarnessError, SourceError
from tests.local_index import NCNN, make_sdist, use_find_links
from tests.sources.test_index import get

if TYPE_CHECKING:
    from pathlib import Path

REMOTES = [
    "ext::sh -c touch% pwned",
    "ext::sh://x",
    "fd::0",
    "transport::address",
    "-uxx:y",
    "--upload-pack=touch:x",
    "ssh://-oProxyCommand=x/y",
    "ftp://host/x",
    "javascript://x",
    "host:a\nb",
]


@pytest.mark.parametrize("where", REMOTES)
def test_git_is_not_asked(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HarnessError):
        open_repository(where, store=tmp_path / "store", log=tmp_path / "log")
    assert not (tmp_path / "log").exists()
    assert not (tmp_path / "store").exists()
    with pytest.raises(ValueError, match=r"\w"):
        known_repository(where)


@pytest.mark.parametrize(
    "where",
    ["https://host/x", "ssh://me@host:22/x", "host:x", "me@host:x", "../ncnn", "", "file:///x"],
)
def test_usual_remotes(where: str) -> None:
    assert known_repository(where) == where


@pytest.mark.parametrize("kind", ["file", "null", "none", "long"])
def test_paths_that_are_no_repository(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "null").symlink_to("/dev/null")
    where = "n" * 300 if kind == "long" else kind
    with pytest.raises(HarnessError, match=r"not a directory|no such directory|no usable path"):
        open_repository(f"{tmp_path}/{where}", store=tmp_path / "s", log=tmp_path / "log")


def test_an_archive_that_unpacks_to_more_than_a_source_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = tarfile.TarInfo("ncnn-1.0.20250503/not-needed")
    bomb.size = 1 << 20
    make_sdist(tmp_path / "links", "1.0.20250503", NCNN, raw=[bomb])
    use_find_links(monkeypatch, tmp_path / "links")
    monkeypatch.setattr(tree, "MOST_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="unpacks to more than"):
        get(tmp_path)
    monkeypatch.setattr(tree, "MOST_BYTES", 1 << 22)
    assert get(tmp_path).path.is_dir()
