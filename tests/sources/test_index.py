import re
import tarfile
from pathlib import Path

import pytest

from harness.domain.spec import Revision
from harness.sources import SourceTree, obtain
from harness.sources.index import index_version
from harness.util.errors import SourceError
from tests.local_index import NCNN, make_sdist, use_find_links

GLSLANG = {"glslang/CMakeLists.txt": "project(glslang)", "glslang/a.cpp": "", "glslang/.git": ""}


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "links"
    folder.mkdir()
    use_find_links(monkeypatch, folder)
    return folder


def get(tmp_path: Path, name: str = "20250503", *, with_glslang: bool = False) -> SourceTree:
    revision = Revision(label=name, kind="index", name=name)
    log = tmp_path / "log"
    return obtain(revision, store=tmp_path / "store", log=log, with_glslang=with_glslang)


def test_release(links: Path, tmp_path: Path) -> None:
    archive = make_sdist(links, "1.0.20250503", {**NCNN, **GLSLANG, "setup.py": "raise SystemExit"})
    tree = get(tmp_path)
    written = {
        str(path.relative_to(tree.path)): path.read_text()
        for path in tree.path.rglob("*")
        if path.is_file()
    }
    assert written == NCNN
    assert tree.date == "2025-05-03"
    assert tree.glslang is None
    assert tree.description.startswith(f"{archive.name} from the package index, SHA-256 ")
    archive.unlink()
    assert get(tmp_path) == tree == get(tmp_path, "1.0.20250503")


def test_glslang_is_apart_and_reachable(links: Path, tmp_path: Path) -> None:
    make_sdist(links, "1.0.20250503", {**NCNN, **GLSLANG})
    plain, tree = get(tmp_path), get(tmp_path, with_glslang=True)
    assert tree.glslang is not None
    assert (tree.path / "glslang").resolve() == tree.glslang
    assert sorted(path.name for path in tree.glslang.iterdir()) == ["CMakeLists.txt", "a.cpp"]
    assert plain.digest == tree.digest
    assert get(tmp_path, with_glslang=True) == tree


def test_release_without_glslang(links: Path, tmp_path: Path) -> None:
    make_sdist(links, "1.0.20250503", NCNN)
    with pytest.raises(SourceError, match="no glslang in it"):
        get(tmp_path, with_glslang=True)


def test_wrapper_only_release_is_refused(links: Path, tmp_path: Path) -> None:
    make_sdist(links, "1.0.20241226", {"setup.py": "", "python/ncnn/__init__.py": ""})
    for name in ("20241226", "1.0.20241226"):
        with pytest.raises(SourceError, match=r"take tag 20241226 of the git repository"):
            get(tmp_path, name)


def test_tag_that_the_index_has_under_another_date(links: Path, tmp_path: Path) -> None:
    make_sdist(links, "1.0.20260114", NCNN)
    with pytest.raises(SourceError, match=re.escape("Nearest: 1.0.20260114.")):
        get(tmp_path, "20260113")


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (tarfile.TarInfo("ncnn-1.0.20250503/src/../../../evil"), "leads outside"),
        (tarfile.TarInfo("/evil-root/evil"), "leads outside"),
        (tarfile.TarInfo("../evil"), "leads outside"),
        (link("ncnn-1.0.20250503/src/l", tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
        (link("ncnn-1.0.20250503/src/l", tarfile.LNKTYPE, "../../x"), "is a link"),
        (link("ncnn-1.0.20250503/src/fifo", tarfile.FIFOTYPE, ""), "is a link or device"),
    ],
)
def test_malicious_archive(
    links: Path, tmp_path: Path, member: tarfile.TarInfo, message: str
) -> None:
    make_sdist(links, "1.0.20250503", NCNN, raw=[member])
    with pytest.raises(SourceError, match=message):
        get(tmp_path)
    assert not list(tmp_path.rglob("evil"))
    assert not list((tmp_path / "store").glob("index-*"))


@pytest.mark.parametrize("keep", [0, 30, 200])
def test_truncated_archive(links: Path, tmp_path: Path, keep: int) -> None:
    big = {**NCNN, "src/big.cpp": "".join(str(number) for number in range(5000))}
    archive = make_sdist(links, "1.0.20250503", big)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:keep])
    with pytest.raises(SourceError, match="truncated or damaged"):
        get(tmp_path)
    assert not list((tmp_path / "store").glob("index-*"))
    archive.write_bytes(whole)
    assert (get(tmp_path).path / "src" / "big.cpp").is_file()


@pytest.mark.parametrize(("name", "version"), [("20250503", "1.0.20250503"), ("1.0.1", "1.0.1")])
def test_index_version(name: str, version: str) -> None:
    assert index_version(name) == version
