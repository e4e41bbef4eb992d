"""Which parameters a version reads, and which cases it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.cases.generation.support import reads, unsupported
from harness.cases.layer_case import parse_case

if TYPE_CHECKING:
    from pathlib import Path

POOLING = """
Pooling::Pooling()
{
    one_blob_only = true;
}

int Pooling::load_param(const ParamDict& pd)
{
    kernel_w = pd.get(1, 0);
    kernel_h = pd.get(11, kernel_w); // pd.get(99, 0)
    if (kernel_w > 1)
    {
        scale = pd.get( 6 , 1.f / sqrtf(kernel_w / 2));
    }
    axes = pd.get(3,
                  Mat());
    /* pd.get(98, 0); */
    return 0;
}

int Pooling::forward(const Mat& bottom_blob, Mat& top_blob, const Option& opt) const
{
    return pd.get(97, 0);
}
"""


def test_parameters_are_read_in_load_param_alone() -> None:
    assert reads(POOLING) == {
        1: "0",
        11: "kernel_w",
        6: "1.f / sqrtf(kernel_w / 2)",
        3: "Mat()",
    }


@pytest.mark.parametrize("text", ["", "int AbsVal::forward() { return 0; }"])
def test_a_layer_may_read_nothing(text: str) -> None:
    assert reads(text) == {}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    layers = tmp_path / "src" / "layer"
    layers.mkdir(parents=True)
    (tmp_path / "src" / "CMakeLists.txt").write_text(
        "ncnn_add_layer(Softmax)\nncnn_add_layer(SPP OFF)\nncnn_add_layer(BinaryOp)\n"
        "ncnn_add_layer(GroupNorm)\n"
        "ncnn_add_layer(Split)\n"
    )
    (layers / "softmax.cpp").write_text(
        "int Softmax::load_param(const ParamDict& pd) { axis = pd.get(0, 0); return 0; }"
        "// dims == 4"
    )
    (layers / "spp.cpp").write_text("int SPP::load_param(const ParamDict&) { return 0; } a.d")
    (layers / "groupnorm.cpp").write_text("if (dims == 3) return 0;")
    (layers / "split.cpp").write_text("")
    (layers / "binaryop.h").write_text("enum { Operation_ADD = 0, Operation_MUL = 2 };")
    (layers / "binaryop.cpp").write_text(
        "int BinaryOp::load_param(const ParamDict& pd) { op_type = pd.get(0, 0); return 0; }"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("Softmax:0=1:3x7", ""),
        ("Softmax:0=1,1=1:3x7", "Softmax does not read parameter 1"),
        # What is not read need not be as if it were zero.
        ("Softmax:0=1,1=0:3x7", "Softmax does not read parameter 1"),
        ("Softmax:0=1:2x3x4x5", "Softmax does not know four axes"),
        ("SPP::2x3x4x5", ""),
        ("GroupNorm::2x3x4", ""),
        ("GroupNorm::2x3", "GroupNorm does not know blobs of so many axes"),
        ("Split::2x3x4x5:out=2", ""),
        ("RMSNorm::7", "there is no layer RMSNorm"),
        ("SP::7", "there is no layer SP"),
        ("BinaryOp:0=2:3x7+3x7", ""),
        ("BinaryOp:0=12:3x7+3x7", "BinaryOp does not know this operator"),
        ("BinaryOp:0=2:3x7+1", ""),
        ("BinaryOp:0=2:3x7+3x1", "BinaryOp does not know broadcasting in general"),
    ],
)
def test_what_a_version_does_not_know_is_unsupported(tree: Path, case: str, reason: str) -> None:
    assert unsupported(parse_case(case), tree) == reason
