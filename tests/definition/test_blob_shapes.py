"""Shapes of a model's blobs, against those of the blobs themselves."""

from __future__ import annotations

import numpy as np
import pytest

from harness.definition.blob_shapes import blob_shapes
from harness.definition.evaluation import evaluate
from harness.model.layouts import layout
from harness.model.param import Param, parse

Shape = tuple[int, ...]
PICTURE = """
Input a 0 1 a
Convolution b 1 1 a b 0=8 1=3 3=2 4=1 5=1 6=216
ConvolutionDepthWise c 1 1 b c 0=16 1=3 11=5 2=2 4=-233 6=240 7=8 9=1
Deconvolution d 1 1 c d 0=4 1=4 3=2 4=1 6=1024
Split e 1 2 d e0 e1
Pooling f 1 1 e0 f 0=1 1=2 2=2
Permute g 1 1 f g 0=3
Reshape h 1 1 g h 0=4 1=-1
Softmax i 1 1 h i 0=1 1=1
Pooling j 1 1 e1 j 0=1 4=1
InnerProduct k 1 1 j k 0=5 1=1 2=20
"""
TEXT = """
Input a 0 1 a
Embed b 1 1 a b 0=12 1=9 3=108
LSTM c 1 1 b c 0=6 1=288
LayerNorm d 1 1 c d 0=6
MemoryData e 0 1 e 0=6
BinaryOp f 2 1 d e f 0=0
Convolution1D g 1 1 f g 0=5 1=2 6=70
"""
SOLID = """
Input a 0 1 a
Convolution3D b 1 1 a b 0=6 1=3 2=1 3=2 4=1 6=324
Concat c 2 1 b b c 0=0
"""


def param(lines: str) -> Param:
    body = lines.strip()
    return parse(f"7767517\n{len(body.splitlines())} 99\n{body}\n")


@pytest.mark.parametrize(
    ("lines", "shapes"),
    [
        (PICTURE, [(3, 33, 40), (3, 8, 9)]),
        (TEXT, [(7,)]),
        (SOLID, [(2, 5, 6, 7)]),
    ],
)
def test_shapes_are_those_of_the_blobs(lines: str, shapes: list[Shape]) -> None:
    model = param(lines)
    tensors = {
        layer.name: {s.name: np.zeros(s.shape, np.float32) for s in layout(layer)}
        for layer in model.layers
    }
    for shape in shapes:
        expected = evaluate(model, tensors, {"a": np.zeros(shape, np.float32)}).blobs
        found = blob_shapes(model, {"a": shape})
        assert not found.unknown
        assert found.shapes == {blob: array.shape for blob, array in expected.items()}
        assert len(found.shapes) == len(model.blobs)


def test_shapes_of_inputs_may_be_in_the_file() -> None:
    model = param("Input a 0 1 a 0=7 1=5 2=3\nReLU b 1 1 a b")
    assert blob_shapes(model, {}).shapes == {"a": (3, 5, 7), "b": (3, 5, 7)}
    assert blob_shapes(model, {"a": (4, 4)}).shapes["b"] == (4, 4)


@pytest.mark.parametrize(
    ("lines", "given", "reasons"),
    [
        ("Input a 0 1 a\nReLU b 1 1 a b\nReLU c 1 1 b c", {}, {"the shape of input a"}),
        ("Input a 0 1 a\nMine b 1 1 a b\nReLU c 1 1 b c", {"a": (3,)}, {"what Mine b gives"}),
        (PICTURE, {"a": (1, 33, 40)}, {"it wants 3 channels, its input has 1"}),
    ],
)
def test_what_is_not_known_says_why(lines: str, given: dict[str, Shape], reasons: set[str]) -> None:
    found = blob_shapes(param(lines), given)
    assert "c" in found.unknown
    assert len(set(found.unknown.values())) == 1
    assert all(any(reason in why for reason in reasons) for why in found.unknown.values())
    assert found.shapes.keys() | found.unknown.keys() == set(param(lines).blobs)


def test_an_input_layer_may_have_several_blobs() -> None:
    """As those of the language models in ncnn's benchmark."""
    param = parse("7767517\n1 2\nInput in 0 2 a b\n")
    assert blob_shapes(param, {"a": (3,), "b": (4,)}).shapes == {"a": (3,), "b": (4,)}
    assert blob_shapes(param, {"a": (3,)}).unknown.keys() == {"a", "b"}
