"""Whether a layer meets a fault, by everything that it depends on."""

from __future__ import annotations

from typing import Any

import pytest

from harness.advisories.condition import Unknown
from harness.advisories.matching import meets
from harness.advisories.subject import LayerSubject, Setting
from harness.model.param import Layer
from harness.model.value import Plain, Value
from tests.advisories.entries import advisory

AVX2 = {"NCNN_RUNTIME_CPU": "OFF", "NCNN_AVX2": "ON", "NCNN_AVX512": "OFF"}
RUNTIME = {"NCNN_RUNTIME_CPU": "ON", "NCNN_AVX2": "ON"}
VULKAN = AVX2 | {"NCNN_VULKAN": "ON"}
ON_VULKAN = {"flags": VULKAN, "options": {"use_vulkan_compute": True}}


def setting(**changes: Any) -> Setting:
    usual: dict[str, Any] = {"version": "20250503", "arch": "x86", "threads": 2}
    return Setting(**usual | changes)


def subject(
    params: dict[int, Plain] | None = None, kind: str = "Softmax", **changes: Any
) -> LayerSubject:
    pairs = tuple((key, Value.of(value)) for key, value in (params or {}).items())
    layer = Layer(kind, "a", ("x",), ("y",), pairs)
    return LayerSubject(layer=layer, **({"inputs": ((3, 7),), "outputs": ((3, 7),)} | changes))


SHAPELESS: dict[str, Any] = {"inputs": (Unknown("shape"),), "outputs": (Unknown("shape"),)}


@pytest.mark.parametrize(
    ("entry", "layer", "run", "expected"),
    [
        ({}, {}, {}, True),
        ({}, {"kind": "ReLU"}, {}, False),
        ({}, {}, {"version": "20260113"}, False),
        ({}, {}, {"threads": 1}, False),
        ({}, {}, {"threads": None}, None),
        ({}, {"inputs": ((3, 8),)}, {"threads": None}, False),
        ({}, SHAPELESS, {}, None),
        ({}, SHAPELESS, {"threads": 1}, False),
        ({}, {}, {"version": "20251001"}, None),
        ({"needs": "a value beyond 65504"}, {}, {}, None),
        ({"needs": "a value beyond 65504"}, {}, {"threads": 1}, False),
        ({"expect": "ok", "bad": []}, {}, {}, False),
        # Names of shapes.
        ({"when": "dims == 2 and h == 3 and w == 7 and c == 0 and d == 0"}, {}, {}, True),
        ({"when": "in0.w == 7 and in1.dims == 0 and inputs == 1"}, {}, {}, True),
        ({"when": "in1.c == 5 and inputs == 2"}, {"inputs": ((3, 7), (5, 1, 1))}, {}, True),
        ({"when": "out.h == 9"}, {"outputs": ((9, 7),)}, {}, True),
        ({"when": "out.h == 9"}, {"outputs": ()}, {}, None),
        # Parameters, and what ncnn has where they are left out.
        ({"when": "p0 == 1", "defaults": {"p0": 1}}, {}, {}, True),
        ({"when": "p0 == 1", "defaults": {"p0": 1}}, {"params": {0: 2}}, {}, False),
        ({"when": "p11 == 3", "defaults": {"p11": "p1", "p1": 3}}, {}, {}, True),
        ({"when": "p11 == 3", "defaults": {"p11": "p1", "p1": 3}}, {"params": {1: 2}}, {}, False),
        ({"when": "len(p3) == 2", "defaults": {"p3": []}}, {"params": {3: (1, 2)}}, {}, True),
        ({"when": "len(p3) == 2", "defaults": {"p3": []}}, {"params": {3: 1}}, {}, None),
        # How weights are stored.
        ({"when": "store == 'fp16'"}, {}, {}, None),
        ({"when": "store == 'fp16'"}, {"storage": "fp16"}, {}, True),
        ({"when": "store == 'fp16'"}, {"storage": "fp32"}, {}, False),
        # Options: as set, by default, not there yet, masked by the layer.
        ({"when": "opt.use_packing_layout"}, {}, {}, True),
        ({"when": "opt.use_packing_layout"}, {}, {"options": {"use_packing_layout": False}}, False),
        ({"when": "opt.use_bf16_storage"}, {}, {}, False),
        ({"when": "opt.use_bf16_packed"}, {}, {}, None),
        ({"when": "opt.use_bf16_packed"}, {}, {"options": {"use_bf16_packed": True}}, True),
        ({"when": "opt.use_fp16_storage"}, {"params": {31: 3}}, {}, False),
        ({"when": "opt.use_fp16_arithmetic"}, {"params": {31: 2}}, {}, True),
        ({"when": "threads == 1"}, {"params": {31: 128}}, {}, True),
        # Build flags.
        ({"when": "flag.avx2"}, {}, {}, None),
        ({"when": "flag.avx2"}, {}, {"flags": AVX2}, True),
        ({"when": "flag.avx512"}, {}, {"flags": AVX2}, False),
        ({"when": "flag.f16c"}, {}, {"flags": AVX2}, None),
        ({"when": "flag.avx2"}, {}, {"flags": RUNTIME}, None),
        ({"when": "flag.arm82"}, {}, {}, False),
        ({"when": "flag.openmp"}, {}, {"flags": AVX2}, True),
        ({"when": "flag.openmp"}, {}, {"flags": AVX2 | {"NCNN_OPENMP": "OFF"}}, False),
        # Architectures.
        ({}, {}, {"arch": "arm"}, False),
        ({"arch": ["arm"]}, {}, {"arch": "arm"}, True),
        ({"arch": ["any"]}, {}, {"arch": "arm"}, True),
        ({"arch": ["vulkan"]}, {}, {"flags": VULKAN}, False),
        ({"arch": ["vulkan"]}, {}, ON_VULKAN, True),
        ({"arch": ["vulkan"]}, {}, ON_VULKAN | {"flags": AVX2}, False),
        ({"arch": ["x86"]}, {}, ON_VULKAN, None),
        ({"arch": ["x86"]}, {"params": {31: 16}}, ON_VULKAN, True),
        ({"arch": ["x86", "vulkan"]}, {}, ON_VULKAN, True),
    ],
)
def test_meets(
    entry: dict[str, Any], layer: dict[str, Any], run: dict[str, Any], expected: bool | None
) -> None:
    answer = meets(advisory(**entry), subject(**layer), setting(**run))
    assert answer.met is expected
    assert bool(answer.missing) is (expected is None)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("20200106", False), ("20200413", True), ("20190611", None)],
)
def test_defaults_of_options_are_those_of_the_version(version: str, expected: bool | None) -> None:
    found = advisory(when="opt.use_packing_layout", bad=["20190611"], good=["20260113"])
    found = found.model_copy(update={"bad": ("20190611", "20250916")})
    assert meets(found, subject(), setting(version=version)).met is expected


def test_all_that_is_missing_is_told() -> None:
    run = setting(version="20251001", threads=None)
    answer = meets(advisory(when="threads > 1 and w % 2"), subject(**SHAPELESS), run)
    assert answer.missing == (
        "whether it is repaired by commit c18cc6de6 in version 20251001",
        "the number of threads",
        "shape",
    )
