from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.model.layouts import layout
from harness.model.param import Layer, Param, parse
from harness.model.weights import (
    TAG_FP16,
    TAG_INT8,
    Tensor,
    read_tensors,
    read_weights,
    write_weights,
)
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

LINES = {
    "Convolution c 0=4 1=3 11=2 5=1 6=72": ["weight 4x3x2x3 tag", "bias 4"],
    "Convolution c 0=4 1=1 5=1 6=8 8=102": [
        "weight 4x2x1x1 tag", "bias 4", "weight_scale 4", "input_scale 1", "output_scale 1",
    ],
    "Convolution c 0=4 1=3 19=1": [],
    "Convolution1D c 0=2 1=3 6=12": ["weight 2x2x3 tag"],
    "Convolution3D c 0=2 1=2 6=16": ["weight 2x1x2x2x2 tag"],
    "ConvolutionDepthWise d 0=6 1=3 6=54 7=6": ["weight 6x1x3x3 tag"],
    "ConvolutionDepthWise d 0=6 1=1 6=6 7=6 8=1": [
        "weight 6x1x1x1 tag", "weight_scale 6", "input_scale 1",
    ],
    "Deconvolution d 0=2 1=2 5=1 6=24 18=1 19=1": ["weight 2x3x2x2 tag", "bias 2"],
    "InnerProduct i 0=3 1=1 2=12": ["weight 3x4 tag", "bias 3"],
    "BatchNorm b 0=5": ["slope 5", "mean 5", "variance 5", "bias 5"],
    "Scale s 0=3 1=1": ["scale 3", "bias 3"],
    "Scale s 0=-233": [],
    "Bias b 0=3": ["bias 3"],
    "PReLU p 0=3": ["slope 3"],
    "LayerNorm l 0=7": ["gamma 7", "beta 7"],
    "LayerNorm l 0=7 2=0": [],
    "GroupNorm g 0=2 1=6": ["gamma 6", "beta 6"],
    "InstanceNorm i 0=6": ["gamma 6", "beta 6"],
    "RMSNorm r 0=6": ["gamma 6"],
    "Normalize n 3=4": ["scale 4"],
    "Embed e 0=3 1=5 2=1 3=15": ["weight 5x3 tag", "bias 3"],
    "MemoryData m 0=3 1=2": ["data 2x3"],
    "MemoryData m 0=3 21=0": ["data 3 tag"],
    "MemoryData m": [],
    "Gemm g 2=1 4=1 5=1 6=1 7=2 8=3 9=4 10=4": ["A 4x2 tag", "B 4x3 tag", "C 1x3 tag"],
    "Gemm g 3=1 5=1 8=3 9=40 18=400": ["B 3x20 tag", "B_scale 3x2"],
    "MultiHeadAttention a 0=4 1=2 2=24 3=5": [
        "q_weight 4x6 tag", "q_bias 4", "k_weight 4x5 tag", "k_bias 4",
        "v_weight 4x4 tag", "v_bias 4", "out_weight 6x4 tag", "out_bias 6",
    ],
    "LSTM l 0=2 1=48 2=2 3=3": [
        "weight_xc 2x12x2 tag", "bias_c 2x4x3 tag", "weight_hc 2x12x2 tag", "weight_hr 2x2x3 tag",
    ],
    "GRU g 0=2 1=18": ["weight_xc 1x6x3 tag", "bias_c 1x4x2 tag", "weight_hc 1x6x2 tag"],
    "RNN r 0=2 1=6": ["weight_xc 1x2x3 tag", "bias_c 1x1x2 tag", "weight_hc 1x2x2 tag"],
    "ReLU r 0=0.1": [],
}  # fmt: skip


def layer(line: str) -> Layer:
    kind, name, *pairs = line.split()
    return parse(f"7767517\n1 1\n{kind} {name} 0 1 out {' '.join(pairs)}").layers[0]


@pytest.mark.parametrize(("line", "expected"), LINES.items())
def test_layouts_are_those_of_load_model(line: str, expected: list[str]) -> None:
    assert [
        f"{slot.name} {'x'.join(map(str, slot.shape))}{' tag' * slot.flagged}"
        for slot in layout(layer(line))
    ] == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("InnerProduct i 0=5 2=12", "do not divide"),
        ("InnerProduct i 2=12", "contradict each other"),
        ("Convolution c 0=4 1=3. 6=36", "Give it as an integer"),
    ],
)
def test_contradicting_parameters_are_named(line: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layout(layer(line))


def stored(size: int, kind: str, seed: int) -> Tensor:
    """A tensor of that many elements with arbitrary content, as a file could hold it."""
    random = np.random.default_rng(seed)
    raw = random.bytes
    if kind == "table":
        table = np.frombuffer(raw(1024), np.float32)
        return Tensor(np.frombuffer(raw(size), np.uint8), 0x01020304, table, raw(-size % 4))
    tags = {"f4": 0, "<f4": 0x0002C056, "f2": TAG_FP16, "i1": TAG_INT8}
    values = np.frombuffer(raw(size * np.dtype(kind).itemsize), kind)
    return Tensor(values, tags[kind], padding=raw(-values.nbytes % 4))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(sorted(LINES)), min_size=1, max_size=4),
    st.lists(st.sampled_from(["f4", "<f4", "f2", "i1", "table"]), min_size=1),
    st.integers(0, 2**32 - 1),
)
def test_every_file_comes_back_byte_for_byte(
    tmp_path: Path, lines: list[str], kinds: list[str], seed: int
) -> None:
    layers = []
    data = b""
    for at, line in enumerate(lines):
        kind, _, *pairs = line.split()
        layers.append(layer(" ".join((kind, f"layer{at}", *pairs))))
        for number, slot in enumerate(layout(layers[-1])):
            if slot.flagged:
                data += stored(slot.size, kinds[number % len(kinds)], seed + number).to_bytes()
            else:
                data += np.random.default_rng(seed).bytes(4 * slot.size)
    param = Param(tuple(layers))
    source = tmp_path / "in.bin"
    source.write_bytes(data)
    target = tmp_path / "out.bin"
    write_weights(param, read_tensors(param, source), target)
    assert target.read_bytes() == data


PARAM = parse(
    "7767517\n3 3\nInput x 0 1 x\nInnerProduct fc 1 1 x y 0=3 1=1 2=6\nPReLU act 1 1 y z 0=3\n"
)
WEIGHTS = {
    "fc": {
        "weight": np.arange(6, dtype=np.float32).reshape(3, 2),
        "bias": np.ones(3, np.float32),
    },
    "act": {"slope": np.array([0.1, 0.2, 0.3], np.float32)},
}


def test_arrays_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    write_weights(PARAM, WEIGHTS, path)
    assert path.stat().st_size == 4 + 24 + 12 + 12
    found = read_weights(PARAM, path)
    for name, tensors in WEIGHTS.items():
        for tensor, values in tensors.items():
            np.testing.assert_array_equal(found[name][tensor], values)
            assert found[name][tensor].dtype == np.float32


def test_half_precision_and_tables_give_their_values(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    half = WEIGHTS["fc"]["weight"].astype(np.float16)
    write_weights(PARAM, {**WEIGHTS, "fc": {**WEIGHTS["fc"], "weight": half}}, path)
    assert read_weights(PARAM, path)["fc"]["weight"].dtype == np.float16
    table = Tensor(
        np.array([5, 0, 1, 2, 3, 4], np.uint8), 7, np.arange(0, 128, 0.5, dtype=np.float32), b"ab"
    )
    write_weights(PARAM, {**WEIGHTS, "fc": {**WEIGHTS["fc"], "weight": table}}, path)
    np.testing.assert_array_equal(
        read_weights(PARAM, path)["fc"]["weight"], [[2.5, 0], [0.5, 1], [1.5, 2]]
    )


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (2, "layer fc: weight: 28 bytes expected at offset 0, 2 present"),
        (10, "layer fc: weight: 24 bytes expected at offset 4, 6 present"),
        (30, "layer fc: bias: 12 bytes expected at offset 28, 2 present"),
        (51, "layer act: slope: 12 bytes expected at offset 40, 11 present"),
        (55, "3 bytes follow the last tensor"),
    ],
)
def test_a_file_of_the_wrong_length_is_located(tmp_path: Path, size: int, message: str) -> None:
    path = tmp_path / "m.bin"
    write_weights(PARAM, WEIGHTS, path)
    path.write_bytes((path.read_bytes() + b"abc")[:size])
    with pytest.raises(ModelError, match=message):
        read_weights(PARAM, path)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"fc": WEIGHTS["fc"]}, "layer act: slope: no weights given"),
        ({**WEIGHTS, "other": {}}, "layers that are not there: other"),
        ({**WEIGHTS, "act": {**WEIGHTS["act"], "b": np.ones(1)}}, "a PReLU keeps no b"),
        ({**WEIGHTS, "act": {"slope": np.ones(2, np.float32)}}, r"\(3,\) expected, \(2,\) given"),
        ({**WEIGHTS, "act": {"slope": np.ones(3, np.float16)}}, "float16 cannot be stored here"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, weights: dict[str, dict[str, np.ndarray]], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        write_weights(PARAM, weights, tmp_path / "m.bin")
