from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.param import Layer, Param, parse, read_param, write, write_param
from harness.model.param_structure import check_structure
from harness.model.value import Value
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

TOOL_WRITTEN = """7767517
5 6
Input                    in0                      0 1 in0
Convolution              conv                     1 1 in0 a 0=8 1=3 6=216 9=2 -23310=1,1.0e-01
Split                    splitncnn_0              1 2 a a_splitncnn_0 a_splitncnn_1
Slice                    slice                    1 1 a_splitncnn_0 b -23300=2,4,-233 1=0
BinaryOp                 add                      2 1 b a_splitncnn_1 out 0=0 1=1 2=.5e+0
"""

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda word: not word[0].isdigit() and word[0] not in "+-" and not any(map(str.isspace, word))
)
integers = st.integers(-(2**31), 2**31 - 1)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
strings = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=30)
plains = (
    integers
    | floats
    | strings
    | st.lists(integers, max_size=5).map(tuple)
    | st.lists(floats, max_size=5).map(tuple)
)
layers = st.builds(
    Layer,
    type=words,
    name=words,
    inputs=st.lists(words, max_size=3).map(tuple),
    outputs=st.lists(words, min_size=1, max_size=3).map(tuple),
    params=st.lists(st.tuples(st.integers(0, 31), plains.map(Value.of)), max_size=5).map(tuple),
)
params = st.lists(layers, min_size=1, max_size=6).map(lambda found: Param(tuple(found)))


@given(params)
def test_what_is_written_is_read_again(param: Param) -> None:
    assert parse(write(param)) == param


@given(params, st.lists(st.sampled_from([" ", "\n", "\t", "\r\n", "  "]), min_size=1))
def test_line_breaks_mean_nothing(param: Param, gaps: list[str]) -> None:
    plain = [word for layer in write(param).split("\n") for word in layer.split(" ") if word]
    # ncnn ends a value at a space or line feed only.
    text = "".join(f"{word} {gaps[at % len(gaps)]}" for at, word in enumerate(plain))
    assert parse(text) == param


@given(floats)
def test_floats_keep_all_their_bits_in_15_characters(number: float) -> None:
    value = Value.of(number)
    assert struct.pack("f", value.plain) == struct.pack("f", number)
    assert len(value.text) <= 15
    assert len(value.text.lstrip("-").partition(".")[0]) == 1


def test_a_file_of_ncnns_tools_comes_back_byte_for_byte(tmp_path: Path) -> None:
    source = tmp_path / "in.param"
    source.write_text(TOOL_WRITTEN)
    target = tmp_path / "out.param"
    write_param(read_param(source), target)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("pair", "key", "plain"),
    [
        ("0=1", 0, 1),
        ("0=-5", 0, -5),
        ("1=1.250000", 1, 1.25),
        ("1=.5", 1, 0.5),
        ("1=1e-3", 1, 1e-3),
        ("-23303=3,1,2,3", 3, (1, 2, 3)),
        ("-23303=0", 3, ()),
        ("3=0.1,0.2", 3, (0.1, 0.2)),
        ("3=7,", 3, (7,)),
        ("6=word", 6, "word"),
        ('6="two words, quoted"', 6, "two words, quoted"),
    ],
)
def test_every_form_of_value_is_understood_and_kept(pair: str, key: int, plain: object) -> None:
    text = f"7767517\n1 1\nAny                      x                        0 1 a {pair}\n"
    param = parse(text)
    assert param.layers[0].get(key) == plain
    assert write(param) == text


def test_crlf_and_a_generous_blob_count_are_legal_and_corrected() -> None:
    param = parse("7767517\r\n2 9\r\nInput x 0 1 x 0=4\r\nReLU r 1 1 x y 0=0.1\r\n")
    assert write(param).splitlines()[1] == "2 2"
    assert param.layers[1].get(0) == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f:1: magic number: the file ends here"),
        ("7767516\n", "f:1: magic number: the file does not begin with 7767517"),
        ("7767517\nx 1", "f:2: layer count: 'x' is not an integer"),
        ("7767517\n1 1\nInput x 0", "f:3: output count of x: the file ends here"),
        ("7767517\n1 1\nInput x 0 -1 x", "f:3: output count of x: -1 is negative"),
        ("7767517\n1 1\nInput x 0 2 x 0=1", "f:3: output of x 1: 0=1 stands where a blob"),
        ("7767517\n2 1\nInput x 0 1 x\nReLU r 1 1 x y", "2 blobs found"),
        ("7767517\n1 1\nInput x 0 1 x 32=1", "f:3: parameter 32 of x: no such id"),
        ("7767517\n1 1\nInput x 0 1 x 0= 1", "f:3: parameter 0 of x: '' is not a number"),
        ("7767517\n1 1\nInput x 0 1 x 0=0.1234567890123456", "longer than the 15 characters"),
        ("7767517\n1 1\nInput x 0 1 x 0=2147483648", "does not fit into 32 bits"),
        ("7767517\n1 1\nInput x 0 1 x -23301=3,1,2", "an array of 3 elements with 2"),
        ("7767517\n1 1\nInput x 0 1 x -23301=2,1,q", "'q' is not a number"),
        ("7767517\n1 1\nInput x 0 1 x 0=\u0661", "f:3: parameter 0 of x: '\u0661' is not a number"),
        ("7767517\n1 1\nInput x 0 1 x -23301=\u0661,1", "an array of \u0661 elements with 1"),
        ("7767517\n\u0661 1\nInput x 0 1 x", "f:2: layer count: '\u0661' is not an integer"),
        (f"7767517\n1 {2**31}\nInput x 0 1 x", "f:2: blob count: 2147483648 does not fit into 32"),
        (f"7767517\n1 {2**31 - 1}\nInput x 0 1 x", "f:2: blob count: 1 layers and 2147483647"),
        pytest.param(
            "7767517\n1 1\nInput x 0 1 x " + "9" * 5000 + "=1", "of x: no such id", id="long id"
        ),
        pytest.param(
            "7767517\n1 1\nInput x 0 1 x 0=" + "9" * 5000, "is longer than the 15", id="long number"
        ),
        pytest.param(
            "7767517\n1 1\nInput " + "\u00e9" * 128, "longer than 255 bytes", id="long name"
        ),
        ("7767517\n1 1\nInput x 0 1 a\0b", "f:3: output of x 0: a zero byte"),
        (
            "\ufeff7767517\n1 1\nInput x 0 1 x",
            "f:1: magic number: '\\ufeff7767517' is not an integ",
        ),
    ],
)
def test_a_wrong_file_is_one_message_with_line_and_field(text: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse(text, "f")
    assert message in str(caught.value)


def test_activations_that_are_fused_need_their_layers() -> None:
    text = "7767517\n2 2\nInput in 0 1 x 0=3\nInnerProduct fc 1 1 x y 0=2 1=0 2=6 9=3"
    assert parse(text).layer_types() == {"Input", "InnerProduct", "Clip"}


def test_edits_recount_layers_and_blobs() -> None:
    param = parse(TOOL_WRITTEN)
    edited = (
        param.replace_layer("conv", param.layer("conv"), Layer("ReLU", "relu", ("a",), ("a_relu",)))
        .set_param("conv", 9, 0)
        .set_param("conv", 31, 2)
        .replace_layer("slice")
    )
    assert write(edited).splitlines()[1] == "5 7"
    assert edited.layer("conv").params[-1] == (31, Value("2"))
    assert edited.layer("conv").get(9) == 0
    assert param == parse(TOOL_WRITTEN)
    plain = {"Input", "Convolution", "Split", "Slice", "BinaryOp"}
    assert param.set_param("conv", 9, 0).layer_types() == plain
    assert param.set_param("conv", 9, 1).layer_types() == plain | {"ReLU"}


@pytest.mark.parametrize(
    ("name", "message"),
    [("convv", "Did you mean conv?"), ("twice", "2 layers are named twice")],
)
def test_an_edit_needs_exactly_one_layer(name: str, message: str) -> None:
    twice = Layer("ReLU", "twice", ("a",), ("a",))
    param = parse(TOOL_WRITTEN)
    param = param.replace_layer("conv", param.layer("conv"), twice, twice)
    with pytest.raises(ModelError, match=message.replace("?", r"\?")):
        param.replace_layer(name)


@pytest.mark.parametrize("plain", [float("nan"), 1e39, 2**31, 'a"b'])
def test_values_that_ncnn_cannot_read_are_refused(plain: float | str) -> None:
    with pytest.raises(ModelError):
        Value.of(plain)


def test_an_array_with_one_float_becomes_all_float() -> None:
    assert Value.of((0, 0.5)).assignment(10) == "-23310=2,0.0e+00,5.0e-01"


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read .*Correct the path"):
        read_param(tmp_path / "none.param")


def test_layers_beyond_the_announced_count_are_not_read() -> None:
    """As in ncnn, one of whose own benchmark models is such a file."""
    param = parse("7767517\n1 1\nInput x 0 1 x\nReLU r 1 1 x y")
    assert [layer.name for layer in param.layers] == ["x"]
    assert param.unread == "r"


HEAD = "7767517\n{} 99\nInput in 0 1 x\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ReLU a 1 1 x y", "ReLU a 1 1 y z"], ":5: layer a: line 4 has a layer of this name too"),
        (["ReLU a 1 1 x y", "ReLU b 1 1 x y"], ":5: layer b: its output 'y' is an output of layer"),
        (["ReLU a 1 1 x x"], ":4: layer a: its output 'x' is an output of layer in too"),
        (["ReLU a 1 1 xx y"], "its input 'xx' is no output of any layer. Did you mean 'x'?"),
        (
            ["ReLU a 1 1 y z", "ReLU b 1 1 x y"],
            ":4: layer a: its input 'y' is only made by layer b",
        ),
        (["Eltwise a 2 1 x z y", "ReLU b 1 1 y z"], "by layer b, which does not come before it"),
        (["Eltwise a 2 1 x y y"], "only made by layer a, which does not come before it"),
        (["ReLU a 2 1 x x y"], ":4: layer a: input count: 2, and a ReLU takes 1"),
        (["ReLU a 0 1 y"], ":4: layer a: input count: 0, and a ReLU takes 1"),
        (["BinaryOp a 1 1 x y 0=0"], "input count: 1, and a BinaryOp takes at least 2"),
        (["MemoryData a 1 1 x y 0=1"], "input count: 1, and a MemoryData takes 0"),
        (["ReLU a 1 0 x"], ":4: layer a: every blob is used by a layer, so that the model has no"),
    ],
)
def test_layers_that_do_not_hang_together(lines: list[str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.param"
    path.write_text(HEAD.format(len(lines) + 1) + "\n".join(lines))
    with pytest.raises(ModelError) as caught:
        read_param(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        ["BinaryOp a 1 1 x y 0=0 1=1 2=0.5"],
        ["ReLU a 1 1 x y", "ReLU b 1 1 x z"],  # ncnn runs what several layers take without Split
        ["Noop a 1 0 x", "MemoryData b 0 1 y 0=1"],
        ["Mine a 7 2 x x x x x x x y z"],
        ["Concat a 1 1 x y", "Gemm b 0 1 z"],
    ],
)
def test_what_ncnn_runs_is_read(lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "m.param"
    path.write_text(HEAD.format(len(lines) + 1) + "\n".join(lines))
    assert len(read_param(path).layers) == len(lines) + 1


def test_a_file_in_another_encoding_is_located(tmp_path: Path) -> None:
    path = tmp_path / "m.param"
    path.write_bytes("7767517\n1 1\nInput \u00e9 0 1 x".encode("latin-1"))
    with pytest.raises(ModelError, match=r"m.param, line 3: not in UTF-8"):
        read_param(path)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    _read_or_refuse(b"7767517 " + data)


@given(
    st.lists(st.tuples(st.integers(0, len(TOOL_WRITTEN)), st.integers(0, 9), st.binary(max_size=4)))
)
def test_a_damaged_file_is_read_or_refused(edits: list[tuple[int, int, bytes]]) -> None:
    data = TOOL_WRITTEN.encode()
    for at, length, new in edits:
        data = data[:at] + new + data[at + length :]
    _read_or_refuse(data)


def _read_or_refuse(data: bytes) -> None:
    try:
        param = parse(data.decode(), "f")
        check_structure(param.layers, param.lines, "f")
    except (ModelError, UnicodeDecodeError):
        return
    assert parse(write(param)) == param
