from pathlib import Path

import pytest

from harness.domain.spec import Revision
from harness.sources import SourceTree, obtain, obtain_tests
from harness.util.errors import SourceError
from tests.local_index import NCNN
from tests.sources.test_tree import plant


def get(root: Path, *, with_glslang: bool = False) -> SourceTree:
    revision = Revision(label="mine", kind="directory", name=str(root))
    log = root.parent / "log"
    return obtain(revision, store=root.parent / "store", log=log, with_glslang=with_glslang)


def test_used_as_it_is(tmp_path: Path) -> None:
    root = plant(tmp_path / "ncnn", NCNN)
    tree = get(root)
    assert tree.path == root
    assert str(root) in tree.description
    assert tree.commit == ""
    (root / "src/net.cpp").write_text("changed")
    assert get(root).digest != tree.digest
    assert list(tmp_path.iterdir()) == [root]


def test_glslang_of_the_directory(tmp_path: Path) -> None:
    root = plant(tmp_path / "ncnn", NCNN)
    with pytest.raises(SourceError, match="git submodule update --init glslang"):
        get(root, with_glslang=True)
    plant(root, {"glslang/CMakeLists.txt": ""})
    tree = get(root, with_glslang=True)
    assert tree.glslang == root / "glslang"
    assert tree.glslang_digest


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such directory"):
        get(tmp_path / "nowhere")
    root = plant(tmp_path / "ncnn", {"CMakeLists.txt": "", "src/CMakeLists.txt": ""})
    with pytest.raises(SourceError, match=r"ncnn: no src/layer, so this is not the C\+\+ source"):
        get(root)


def test_tests_of_the_directory(tmp_path: Path) -> None:
    root = plant(tmp_path / "ncnn", NCNN)
    revision = Revision(label="mine", kind="directory", name=str(root))
    assert obtain_tests(revision, store=tmp_path, log=tmp_path / "log") is None
    plant(root, {"tests/CMakeLists.txt": ""})
    assert obtain_tests(revision, store=tmp_path, log=tmp_path / "log") == root / "tests"


def test_releases_of_the_index_have_no_tests(tmp_path: Path) -> None:
    revision = Revision(label="20250503", kind="index", name="20250503")
    assert obtain_tests(revision, store=tmp_path, log=tmp_path / "log") is None
