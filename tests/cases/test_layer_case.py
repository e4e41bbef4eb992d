"""Ids of cases: they say all of it, and only what is well formed is read."""

import pytest

from harness.cases.layer_case import LayerCase, parse_case
from harness.util.errors import UsageError

IDS = [
    "Softmax:0=1,1=1:3x7",
    "ReLU::5",
    "MemoryData:0=3",
    "Slice:-23300=2,-233,-233:8x5:out=2",
    "BinaryOp:0=2:4x5+5:x=normal+positive",
    "Convolution:0=16,1=3,5=1,6=1152:8x9x9:x=outlier,w=tiny,store=fp16,seed=5",
    "Reshape:6=%220w,2%22:4x5",
    "Clip:0=-1.0e+00,1=1.0e+00:2x3x4x5",
]


@pytest.mark.parametrize("text", IDS)
def test_an_id_is_read_and_written_the_same(text: str) -> None:
    assert parse_case(text).id == text


def test_an_id_has_no_character_that_a_shell_or_a_file_name_minds() -> None:
    for text in IDS:
        assert not set(text) & set(" '\"()*?[]{}$&|;<>\\`!#~/")


def test_what_is_as_usual_is_not_said() -> None:
    case = LayerCase.of("Softmax", {1: 1, 0: 0}, (3, 7), values=("normal",), seed=0)
    assert case.id == "Softmax:0=0,1=1:3x7"


def test_the_model_of_a_case() -> None:
    case = parse_case("Slice:-23300=2,-233,-233:8x5:out=2")
    assert case.layer.get(0) == (-233, -233)
    assert (case.layer.inputs, case.layer.outputs) == (("in0",), ("out0", "out1"))
    assert [layer.type for layer in case.param.layers] == ["Input", "Slice"]


def test_parameters_are_set_and_left_out() -> None:
    case = parse_case("Softmax:0=1,1=1:3x7").with_params({0: None, 2: (1, 2)})
    assert case.id == "Softmax:1=1,-23302=2,1,2:3x7"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("softmax:0=1:3x7", "is no layer type"),
        ("Softmax:zero=1:3x7", "is no parameter"),
        ("Softmax:0=:3x7", "is no parameter"),
        ("Softmax:0=1x:3x7", "is no parameter"),
        ("Slice:-23300=3,-233,-233:8x5", "an array of 3 elements with 2 of them"),
        ("Softmax:0=1:3x0", "is no shape"),
        ("Softmax:0=1:1x2x3x4x5", "is no shape"),
        ("Softmax:0=1:9999x9999x9999", "more than"),
        ("Softmax:0=1:3x7:x=strange", "is no distribution"),
        ("Softmax:0=1:3x7:store=fp8", "is none of"),
        ("Softmax:0=1:3x7:seed=-1", "is none of"),
        ("Softmax:0=1:3x7::", "more than four parts"),
    ],
)
def test_what_is_no_id_is_refused_with_the_part_at_fault(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_case(text)
