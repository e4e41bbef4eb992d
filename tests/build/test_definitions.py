from pathlib import Path

import pytest

from harness.build.definitions import Definitions, Missing
from harness.build.linker_output import undefined_symbols
from tests.source_tree import write_tree

LAYERS = ("Input", "Conv", "Conv1D", "Gemm", "Pool")
FILES = {
    "src/CMakeLists.txt": "".join(f"ncnn_add_layer({name})\n" for name in LAYERS),
    "src/mat.cpp": "namespace ncnn {\nvoid fill(int) {}\n}\n",
    "src/mat_pixel.cpp": "namespace ncnn {\nvoid resize(const unsigned char* a, int b)\n{\n}\n}\n",
    "src/layer/gemm.h": "class Gemm : public Layer { void forward(); };\nvoid pack(int a);\n",
    "src/layer/gemm.cpp": "namespace ncnn {\nGemm::Gemm()\n    : a(1), b(2)\n{\n}\n"
    "void Gemm::forward() const\n{\n    pack(1);\n}\n}\n",
    "src/layer/conv.cpp": "extern void pack(int a);\nstatic void tile(int a)\n{\n}\n"
    "void f()\n{\n    pack(1);\n    if (pack(2)) {\n    }\n}\n",
    "src/layer/conv1d.cpp": '#include "shared.h"\nint width;\n',
    "src/layer/shared.h": "void transpose(const Mat& a, Mat& b)\n{\n}\n",
    "src/layer/pool.cpp": "static inline int pack(int a) { return a; }\n"
    "template<typename T>\nint tile(int a, int b) { return 1; }\n",
    "src/layer/x86/gemm_x86.cpp": "// pack(int a)\n{\n}\n"
    "namespace ncnn {\nvoid pack(int a)\n{\n}\n"
    "namespace Gemm_x86_utility {\nvoid tile(const Mat& a, std::pair<int, int> b)\n{\n}\n}\n}\n",
    "src/layer/x86/pool_x86_avx2.cpp": "void pack(int a, int b)\n{\n}\n#if A\nint table[] = {1};\n",
    "src/layer/arm/pool_arm.cpp": "void pack(int a)\n{\n}\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_tree(tmp_path, FILES)
    return tmp_path


def missing(
    tree: Path, symbol: str, *, referrer: str = "conv_x86.cpp", arch: str = "x86"
) -> Missing:
    output = f"ld: libncnn.a({referrer}.o):(.text+0x1): undefined reference to `{symbol}'"
    definitions = Definitions(tree=tree, arch=arch)
    return definitions.missing(undefined_symbols(output), present=["Input", "Conv"])


@pytest.mark.parametrize(
    ("symbol", "layer"),
    [
        # Not those that are static, inline, only declared, called, or have other parameters.
        ("ncnn::pack(int)", "Gemm"),
        ("ncnn::pack(int, int)", "Pool"),
        ("ncnn::Gemm_x86_utility::tile(ncnn::Mat const&, std::pair<int, int>)", "Gemm"),
        ("ncnn::Gemm::Gemm()", "Gemm"),
        ("ncnn::Gemm::forward() const", "Gemm"),
        ("vtable for ncnn::Gemm", "Gemm"),
        ("_ZN4ncnn4Gemm7forwardEv", "Gemm"),
        ("ncnn::table", "Pool"),
        ("ncnn::width", "Conv1D"),
        # Of a header that belongs to no layer: who includes it.
        ("ncnn::transpose(ncnn::Mat const&, ncnn::Mat&)", "Conv1D"),
        # Of a file that CMake derives from another: by its name.
        ("ncnn::Gemm_x86_avx512_utility::tile(int)", "Gemm"),
        ("ncnn::Pool_x86_fma::forward(int)", "Pool"),
    ],
)
def test_layer_that_defines_a_symbol(tree: Path, symbol: str, layer: str) -> None:
    assert missing(tree, symbol) == Missing(layers=frozenset({("Conv", layer)}))


def test_kernels_of_another_processor(tree: Path) -> None:
    found = missing(tree, "ncnn::pack(int)", arch="arm", referrer="conv_arm.cpp")
    assert found.layers == {("Conv", "Pool")}


@pytest.mark.parametrize("referrer", ["net.cpp", "pool.cpp"])
def test_what_no_compiled_layer_refers_to_is_needed_always(tree: Path, referrer: str) -> None:
    assert missing(tree, "ncnn::pack(int)", referrer=referrer).layers == {("", "Gemm")}


def test_file_of_no_layer(tree: Path) -> None:
    found = missing(tree, "ncnn::resize(unsigned char const*, int)")
    assert found == Missing(files=frozenset({"mat_pixel.cpp"}))


@pytest.mark.parametrize("symbol", ["ncnn::nowhere(int)", "ncnn::Conv::nowhere()"])
def test_what_nothing_defines(tree: Path, symbol: str) -> None:
    found = missing(tree, symbol)
    assert (found.layers, found.files) == (frozenset(), frozenset())
    assert len(found.unknown) == 1
