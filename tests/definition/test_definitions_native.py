"""Every definition against real ncnn: one build of a release with all the layers, one process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.build.binding import build_binding
from harness.build.builder import Builder
from harness.build.resolver import BuildResolver
from harness.build.toolchain import find_compiler
from harness.build.trim import listed_layers
from harness.definition import DEFINITIONS, compute
from harness.domain.spec import BuildSpec, FlagSet, Revision
from harness.execution.session import ForwardPass, NativeSession, Setup
from harness.model.param import Layer, Param, read_param, write_param
from harness.model.weights import write_weights
from harness.util.build_store import Store
from tests.definition.chains import CHAINS
from tests.definition.table import CASES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.definition.cases import Case

    Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.native

RELEASE = "20260526"
FLAGS = FlagSet(
    name="portable",
    options=(
        ("NCNN_AVX", "OFF"),
        ("NCNN_AVX2", "OFF"),
        ("NCNN_AVX512", "OFF"),
        ("NCNN_F16C", "OFF"),
        ("NCNN_FMA", "OFF"),
        ("NCNN_RUNTIME_CPU", "OFF"),
    ),
)
PLAIN = {
    "use_bf16_storage": False,
    "use_fp16_arithmetic": False,
    "use_fp16_packed": False,
    "use_fp16_storage": False,
    "use_packing_layout": False,
    "use_sgemm_convolution": False,
    "use_winograd_convolution": False,
}
"""Options that change how layers are computed, all off."""


class Ncnn:
    """A build that runs models of a few layers."""

    def __init__(self, folder: Path) -> None:
        store = Store(root=folder / "builds")
        store.prepare()
        self.folder = folder
        self.binding = build_binding(store, find_compiler(""))
        builder = Builder(store=store, jobs=os.cpu_count() or 1, timeout=3600)
        revision = Revision(label=RELEASE, kind="index", name=RELEASE)
        resolver = BuildResolver(builder=builder)
        # By name, since ncnn leaves ArgMax out of a build that asks for no layers in particular.
        layers = frozenset(listed_layers(resolver.source(revision).path))
        spec = BuildSpec(revision=revision, flags=FLAGS, layers=layers)
        self.core = resolver.build(spec).core

    def run(
        self,
        layers: Sequence[Layer],
        tensors: Mapping[str, Mapping[str, Array]],
        feeds: Mapping[str, Array],
    ) -> tuple[Param, Mapping[str, Array]]:
        """Return the model as ncnn reads it, and the blobs of its last layer."""
        param = Param((*(Layer("Input", f"feed-{b}", (), (b,), ()) for b in feeds), *layers))
        write_param(param, self.folder / "m.param")
        write_weights(param, tensors, self.folder / "m.bin")
        setup = Setup(
            core=self.core,
            param=self.folder / "m.param",
            weights=self.folder / "m.bin",
            options=PLAIN,
        )
        # ncnn's blobs of int32 are handed over as the floats of the same bits.
        bits = {b: x.view(np.float32) for b, x in feeds.items()}
        request = ForwardPass(feeds=bits, blobs=layers[-1].outputs)
        (reply,) = NativeSession(self.binding, setup).run([request])
        assert not reply.failures
        return read_param(self.folder / "m.param"), reply.blobs


@pytest.fixture(scope="module")
def ncnn(tmp_path_factory: pytest.TempPathFactory) -> Ncnn:
    return Ncnn(tmp_path_factory.mktemp("definitions"))


def error(actual: Array, expected: Array) -> float:
    """Return the scale-relative error; NaN may stand where NaN is expected."""
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0) or 1
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0, np.abs(actual - expected)).max() / scale)


def test_every_type_is_compared() -> None:
    chained = {layer.kind for chain in CHAINS for layer in chain}
    # Input is fed: there is nothing to compute.
    assert {case.kind for case in CASES} | chained | {"Input"} == set(DEFINITIONS) - UNREACHABLE


UNREACHABLE = {"DeepCopy"}
"""What ncnn only adds to models by itself."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_definition_is_what_ncnn_computes(ncnn: Ncnn, case: Case) -> None:
    tensors, inputs = case.arrays()
    layer = case.layer
    feeds = dict(zip(layer.inputs, inputs, strict=True))
    param, blobs = ncnn.run([layer], {layer.name: tensors} if tensors else {}, feeds)
    # With the parameters as ncnn reads them: of as many digits as are in the file.
    outputs = compute(param.layer(layer.name), tensors, inputs)
    assert [y.shape for y in outputs] == [blobs[name].shape for name in layer.outputs]
    for y, name in zip(outputs, layer.outputs, strict=True):
        assert error(blobs[name], y) <= case.limit


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: ", ".join(c.kind for c in chain))
def test_blobs_of_int8_between_layers(ncnn: Ncnn, chain: tuple[Case, ...]) -> None:
    layers, weights = [], {}
    blob = "x"
    for index, case in enumerate(chain):
        made = case.layer
        layer = Layer(made.type, f"layer-{index}", (blob,), (f"y{index}",), made.params)
        layers.append(layer)
        weights[layer.name] = case.arrays()[0]
        (blob,) = layer.outputs
    x = chain[0].arrays()[1][0]
    param, blobs = ncnn.run(layers, {n: w for n, w in weights.items() if w}, {"x": x})
    for layer in layers:
        (y,) = compute(param.layer(layer.name), weights[layer.name], [x])
        x = y if layer is layers[-1] else y.astype(np.int8)
    assert error(blobs[blob], y) <= 1e-5
