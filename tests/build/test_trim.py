from pathlib import Path

import pytest

from harness.build.trim import listed_layers, required_layers
from harness.util.errors import LacksLayerError

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
        )
    ),
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
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
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


def test_missing_layer(tree: Path) -> None:
    with pytest.raises(LacksLayerError, match="no layer MatMul, Softmax"):
        required_layers(tree, ["Softmax", "Conv", "MatMul"], arch="x86")
