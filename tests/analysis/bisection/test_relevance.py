from pathlib import Path

import pytest

from harness.analysis.bisection.history import Clone
from harness.analysis.bisection.relevance import (
    OWN_WEIGHT,
    CommitClasses,
    Relevance,
    classes_of,
)
from tests.sources.conftest import Repo, empty_repository

FILES = {
    "CMakeLists.txt": "project(ncnn)\n",
    "src/CMakeLists.txt": "".join(
        f"ncnn_add_layer({name})\n"
        for name in ("Input", "Packing", "InnerProduct", "Gemm", "Pooling", "Convolution")
    ),
    "src/layer/innerproduct.cpp": '#include "fused.h"\n',
    "src/layer/x86/innerproduct_x86.cpp": '#include "gemm_int8.h"\n#include "layer.h"\n',
    "src/layer/x86/gemm_int8.h": '#include "../pooling.h"\n',
    "src/layer/pooling.h": "int p;\n",
    "src/layer/convolution.cpp": '#include "innerproduct.h"\n',
}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = empty_repository(tmp_path / "ncnn")
    for name, text in FILES.items():
        made.write(name, text)
    made.commit("first")
    return made


@pytest.fixture
def relevance(repo: Repo) -> Relevance:
    return Relevance(trees=(repo.path,), wanted=frozenset({"InnerProduct"}), arch="x86")


@pytest.mark.parametrize(
    ("file", "takes_part"),
    [
        ("CMakeLists.txt", True),
        ("cmake/ncnn_add_layer.cmake", True),
        ("src/mat.h", True),
        ("src/layer/fused.h", True),
        ("src/layer/innerproduct.h", True),
        ("src/layer/x86/innerproduct_x86_f16c.cpp", True),
        ("src/layer/x86/gemm_int8.h", True),
        ("src/layer/pooling.cpp", True),
        ("src/layer/packing.cpp", True),
        ("src/layer/x86/x86_usability.h", True),
        ("src/layer/convolution.cpp", False),
        ("src/layer/x86/convolution_3x3.h", False),
        ("src/layer/arm/innerproduct_arm.cpp", False),
        ("src/layer/vulkan/shader/innerproduct.comp", False),
        ("README.md", False),
        ("tests/test_innerproduct.cpp", False),
        ("toolchains/arm.cmake", False),
    ],
)
def test_what_takes_part(relevance: Relevance, file: str, takes_part: bool) -> None:
    assert relevance.takes_part(file) is takes_part


@pytest.mark.parametrize(
    ("vulkan", "learned", "file", "takes_part"),
    [
        (False, frozenset({("InnerProduct", "Convolution")}), "src/layer/convolution.cpp", True),
        (False, frozenset({("Convolution", "Input")}), "src/layer/convolution.cpp", False),
        (True, frozenset(), "src/layer/vulkan/shader/innerproduct.comp", True),
        (True, frozenset(), "src/layer/vulkan/innerproduct_vulkan.cpp", True),
        (True, frozenset(), "src/layer/vulkan/shader/convolution.comp", False),
    ],
)
def test_what_takes_part_by_what_is_built(
    repo: Repo, vulkan: bool, learned: frozenset[tuple[str, str]], file: str, takes_part: bool
) -> None:
    wanted = frozenset({"InnerProduct"})
    relevance = Relevance(
        trees=(repo.path,), wanted=wanted, arch="x86", vulkan=vulkan, learned=learned
    )
    assert relevance.takes_part(file) is takes_part


def test_classes(repo: Repo, relevance: Relevance, tmp_path: Path) -> None:
    repo.commit("docs", README="x")
    repo.commit("kernel", src__layer__innerproduct="new")
    repo.commit("another layer", src__layer__convolution="new")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("inside", src__mat="new")
    repo.git("checkout", "-q", "master")
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    clone = Clone.open(str(repo.path), store=tmp_path / "store", log=tmp_path / "log")
    points = clone.commits("HEAD~4", "HEAD")
    found = classes_of(points, relevance, clone, ["InnerProduct"])
    assert found == CommitClasses(numbers=(0, 0, 1, 1, 2), weights=(0, 0, OWN_WEIGHT, 0, 1))
