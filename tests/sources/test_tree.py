from pathlib import Path

import pytest

from harness.sources.tree import check_name, stored, tree_digest, write_file
from harness.util.errors import SourceError
from tests.local_index import NCNN


def plant(root: Path, files: dict[str, str] = NCNN) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_digest_sees_names_and_contents_of_parts_only(tmp_path: Path) -> None:
    base = tree_digest(plant(tmp_path / "base", NCNN))
    other = {**NCNN, "README.md": "x", "tools/x.cpp": "x"}
    assert tree_digest(plant(tmp_path / "same", other)) == base
    moved = {name.replace("net.cpp", "met.cpp"): text for name, text in NCNN.items()}
    edited = {**NCNN, "src/net.cpp": "int met;\n"}
    split = {**NCNN, "src/net.cpp": "int ", "src/net.cpp0": "net;\n"}
    digests = [
        tree_digest(plant(tmp_path / str(number), files))
        for number, files in enumerate((moved, edited, split))
    ]
    assert len({base, *digests}) == 4


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "", "a/\0"])
def test_names_that_lead_outside(name: str) -> None:
    with pytest.raises(SourceError, match="leads outside"):
        check_name(name, "archive")


def test_interrupted_filling_leaves_nothing(tmp_path: Path) -> None:
    def fill(root: Path) -> None:
        plant(root, NCNN)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path / "slot", fill)
    assert list(tmp_path.iterdir()) == []
    path, digest = stored(tmp_path / "slot", plant)
    assert digest == tree_digest(path)


@pytest.mark.parametrize("names", [("a/b", "a"), ("a", "a/b"), ("a", "a/b/c")])
def test_a_path_is_a_file_or_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    first, second = names
    write_file(tmp_path, first, b"", "x.tar")
    with pytest.raises(SourceError, match=rf"x\.tar: contains the path '{second}' as a file and"):
        write_file(tmp_path, second, b"", "x.tar")
