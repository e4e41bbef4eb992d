from pathlib import Path

import pytest

from harness.build.trim import layers_off, listed_layers, required_layers
from harness.util.errors import LacksLayerError
from tests.source_tree import write_tree

FILES = {
    "src/CMakeLists.txt": "\n".join(
        f"ncnn_add_layer({name})"
        for name in (
            "Input",
            "Packing",
            "Cast",
            "Flatten",
            "Padding",
            "Interp",
            "Conv",
            "ConvX",
            "B",
            "Gemm",
            "Pool",
        )
    )
    + "\nncnn_add_layer(Rare OFF)",
    "src/mat.cpp": """
void copy_make_border(const Mat& src, Mat& dst)
{
    Layer* padding = create_layer(LayerType::Padding);
}

void resize(const Mat& src, Mat& dst)
{
    Layer* interp = create_layer(LayerType::Interp);
}
""",
    "src/layer/conv.cpp": "int f() { copy_make_border(a, b); }",
    "src/layer/convx.cpp": "int f() { resize(a, b); }",
    "src/layer/x86/conv_x86.cpp": '#include "conv_gemm.h"',
    "src/layer/x86/conv_gemm.h": "op = create_layer_cpu(LayerType::B);",
    "src/layer/arm/conv_arm.cpp": "op = create_layer(LayerType::ConvX);",
    "src/layer/pool.cpp": "// like relu_x86.cpp, Pool_x86",
    "src/layer/x86/pool_x86.cpp": "Gemm_x86_avx2_utility::pack(A); Vector_x86 v;",
    "src/layer/arm/pool_arm.cpp": '#include "../convx.h"\n#include "gemm_3x3.h"',
    "src/layer/vulkan/pool_vulkan.cpp": "op = create_layer_vulkan(LayerType::B);",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_tree(tmp_path, FILES)
    return tmp_path


def test_listed(tree: Path) -> None:
    assert listed_layers(tree)[:2] == ("Input", "Packing")


@pytest.mark.parametrize(
    ("arch", "extra"),
    [("x86", {"Padding", "B"}), ("arm", {"Padding", "ConvX", "Interp"})],
)
def test_layers_made_inside_are_found(tree: Path, arch: str, extra: set[str]) -> None:
    always = {"Input", "Packing", "Cast", "Flatten"}
    assert required_layers(tree, ["Conv"], arch=arch) == always | {"Conv"} | extra


@pytest.mark.parametrize(
    ("layer", "arch", "vulkan", "extra"),
    [
        ("Pool", "x86", False, {"Gemm"}),
        ("Pool", "x86", True, {"Gemm", "B"}),
        ("Pool", "arm", False, {"ConvX", "Interp"}),
    ],
)
def test_layers_used_inside_are_found(
    tree: Path, layer: str, arch: str, vulkan: bool, extra: set[str]
) -> None:
    found = required_layers(tree, [layer], arch=arch, vulkan=vulkan)
    assert found - {"Input", "Packing", "Cast", "Flatten"} == {layer} | extra


@pytest.mark.parametrize(
    ("learned", "extra"),
    [
        ({("B", "Conv")}, {"Conv", "Padding"}),
        ({("", "Gemm")}, {"Gemm"}),
        ({("Gemm", "Conv")}, set()),
        ({("B", "GoneSince")}, set()),
    ],
)
def test_what_linkers_said_counts(
    tree: Path, learned: set[tuple[str, str]], extra: set[str]
) -> None:
    found = required_layers(tree, ["B"], arch="mips", learned=learned)
    assert found - {"Input", "Packing", "Cast", "Flatten"} == {"B"} | extra


def test_layers_off_by_default(tree: Path) -> None:
    assert layers_off(tree) == {"Rare"}
    assert "Rare" in required_layers(tree, ["Rare"], arch="x86")


def test_missing_layer(tree: Path) -> None:
    with pytest.raises(LacksLayerError, match="no layer MatMul, Softmax"):
        required_layers(tree, ["Softmax", "Conv", "MatMul"], arch="x86")
