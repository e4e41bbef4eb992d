from pathlib import Path

import pytest

from harness.build.needs import Needs, NeedsMemory, layer_key
from harness.domain.spec import FlagSet
from harness.sources import SourceTree
from harness.util.build_store import Store
from harness.util.sealed import SET_ASIDE, write_sealed

TREE = SourceTree(path=Path("tree"), digest="0123456789abcdef0", description="")
OTHER = SourceTree(path=Path("tree"), digest="f", description="")
GEMM = Needs(layers=frozenset({("Convolution", "Gemm")}))
PIXEL = Needs(files=frozenset({"mat_pixel.cpp"}), untrimmed=frozenset({("k", "why")}))


@pytest.fixture
def memory(tmp_path: Path) -> NeedsMemory:
    return NeedsMemory(store=Store(root=tmp_path))


def test_what_is_learned_is_kept_per_version_and_processor(memory: NeedsMemory) -> None:
    memory.add(TREE, "x86", GEMM)
    memory.add(TREE, "x86", PIXEL)
    assert memory.recall(TREE, "x86") == GEMM | PIXEL
    assert memory.recall(TREE, "arm") == memory.recall(OTHER, "x86") == Needs()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"null",
        b'{"layers": [["a"]], "files": [], "untrimmed": {}}',
        b"\x00\x01",
        b"\xff",
    ],
)
def test_damage_is_set_aside_and_repaired(memory: NeedsMemory, damage: bytes) -> None:
    memory.add(TREE, "x86", PIXEL)
    (file,) = memory.store.needs.iterdir()
    file.write_bytes(damage)
    assert memory.recall(TREE, "x86") == Needs()
    memory.add(TREE, "x86", GEMM)
    assert memory.recall(TREE, "x86") == GEMM
    assert {path.name for path in memory.store.needs.iterdir()} == {file.name, SET_ASIDE}


def test_what_does_not_say_needs_says_nothing(memory: NeedsMemory) -> None:
    memory.add(TREE, "x86", PIXEL)
    (file,) = memory.store.needs.iterdir()
    for text in ("null", "[]", "{}", '{"layers": [["a"]], "files": [], "untrimmed": {}}'):
        write_sealed(file, text)
        assert memory.recall(TREE, "x86") == Needs()


def test_reason() -> None:
    flags = FlagSet(name="f", options=(("NCNN_AVX2", "ON"),))
    needs = Needs(untrimmed=frozenset({(layer_key("B", flags), "why")}))
    assert needs.reason({"A", "B"}, flags) == "why"
    assert needs.reason({"A"}, flags) == ""
    assert needs.reason({"A", "B"}, FlagSet(name="f")) == ""
    always = Needs(untrimmed=frozenset({(layer_key("", flags), "why")}))
    assert always.reason({"A"}, flags) == "why"
