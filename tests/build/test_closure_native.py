"""What happens where a trimmed library does not link: a made-up ncnn, and the real one."""

import ctypes
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.__main__ import main
from harness.build import builder as building
from harness.build import plan as planning
from harness.build import trim
from harness.build.builder import LOG, Build, Builder
from harness.build.needs import Needs
from harness.build.plan import CORE_SOURCES, NATIVE, BuildPlan, plan_build
from harness.build.toolchain import find_compiler
from harness.domain.records import Verdict, read_records
from harness.domain.spec import BuildSpec, FlagSet, Revision
from harness.model.param import Layer, Param, write_param
from harness.model.value import Value
from harness.model.weights import write_weights
from harness.sources import SourceTree
from harness.sources.tree import tree_digest
from harness.util.build_store import Store
from harness.util.errors import BuildError
from tests.build import fake_ncnn

pytestmark = pytest.mark.native

COMPILED = re.compile(r"Building CXX object \S*?(\w+)\.cpp\.o")


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """Return a builder with a core that asks nothing of ncnn but to be there."""
    native = tmp_path / "native"
    native.mkdir()
    for name in CORE_SOURCES:
        shutil.copy(NATIVE / name, native)
    (native / "core.cpp").write_text(fake_ncnn.CORE)
    monkeypatch.setattr(planning, "NATIVE", native)
    monkeypatch.setattr(building, "find_compiler_cache", lambda *_, **__: None)
    return Builder(store=Store(root=tmp_path / "builds"), jobs=2, timeout=100)


def plan_of(builder: Builder, *layers: str) -> BuildPlan:
    tree = builder.store.root.parent / "tree"
    source = SourceTree(path=tree, digest=tree_digest(tree), description="")
    spec = BuildSpec(
        revision=Revision(label="1", kind="directory", name=str(tree)),
        flags=FlagSet(name="f"),
        layers=frozenset(layers),
    )
    needs = builder.needs.recall(source, "x86")
    return plan_build(spec, source, find_compiler(""), arch="x86", needs=needs)


def compiled(log: Path) -> dict[str, int]:
    return Counter(COMPILED.findall(log.read_text()))


def links(log: Path) -> int:
    return log.read_text().count("Linking CXX shared library")


def answer(build: Build) -> int:
    return int(ctypes.CDLL(str(build.core)).answer())


@pytest.mark.parametrize(
    ("used", "layers", "files", "rounds"),
    [
        ("tile", {"Pool"}, set(), 1),
        ("pack", {"Gemm", "Pool"}, set(), 2),
        ("resize", set(), {"mat_pixel"}, 1),
        ("hidden", {"Gemm", "Pool", "Relu", "Softmax"}, set(), 1),
    ],
)
def test_a_failed_link_costs_what_is_missing_and_one_more_link(
    builder: Builder, used: str, layers: set[str], files: set[str], rounds: int
) -> None:
    fake_ncnn.write(builder.store.root.parent / "tree", used)
    plan = plan_of(builder, "Conv")
    assert plan.layers == ("Conv", "Input")
    build = builder.build(plan)
    assert set(build.record.layers) == {"Conv", "Input"} | layers
    assert answer(build) == len(build.record.layers)
    assert bool(build.record.untrimmed) is (used == "hidden")
    log = build.core.with_name(LOG)
    counted = compiled(log)
    # Only the table of all layers is compiled again.
    assert counted.pop("layer") == rounds + 1 if layers else counted.pop("layer") == 1
    names = {"conv", "input", "net", "core"} | {name.lower() for name in layers} | files
    assert counted == dict.fromkeys(names, 1)
    assert links(log) == rounds + 1

    # The next plan is right, and what is there is found.
    again = plan_of(builder, "Conv")
    assert again.key == build.record.key
    assert again.layers == build.record.layers
    found = builder.find(again)
    assert found
    assert found.record == build.record

    # Other models profit.
    other = builder.build(plan_of(builder, "Conv", "Relu"))
    assert other.core == build.core or links(other.core.with_name(LOG)) == 1


def test_what_linked_before_more_was_learned_is_found(builder: Builder) -> None:
    fake_ncnn.write(builder.store.root.parent / "tree", "tile")
    plan = plan_of(builder, "Relu")
    build = builder.build(plan)
    builder.needs.add(plan.tree, "x86", Needs(layers=frozenset({("Relu", "Pool")})))
    again = plan_of(builder, "Relu")
    assert "Pool" in again.layers
    found = builder.find(again)
    assert found == build


def test_what_is_remembered_may_be_lost(builder: Builder) -> None:
    fake_ncnn.write(builder.store.root.parent / "tree", "pack")
    build = builder.build(plan_of(builder, "Conv"))
    (file,) = builder.store.needs.iterdir()
    file.write_text("{")
    again = builder.build(plan_of(builder, "Conv"))
    assert again.record.key == build.record.key
    assert plan_of(builder, "Conv").key == build.record.key


def test_what_nothing_defines_fails_at_last(builder: Builder) -> None:
    fake_ncnn.write(builder.store.root.parent / "tree", "nowhere")
    plan = plan_of(builder, "Conv")
    with pytest.raises(BuildError, match=r"undefined reference to .nowhere") as caught:
        builder.build(plan)
    log = Path(str(caught.value.log))
    assert max(n for name, n in compiled(log).items() if name != "layer") == 1
    assert links(log) == 2
    assert not builder.store.needs.exists()
    with pytest.raises(BuildError, match="remembered"):
        builder.build(plan_of(builder, "Conv"))


def test_a_layer_that_nobody_asked_for_is_not_blamed(builder: Builder) -> None:
    tree = builder.store.root.parent / "tree"
    fake_ncnn.write(tree, "nowhere")
    (tree / "src/layer/softmax.cpp").write_text("this does not compile")
    with pytest.raises(BuildError, match=r"undefined reference to .nowhere"):
        builder.build(plan_of(builder, "Conv"))


def write_convolution(folder: Path) -> None:
    """Write a model of one convolution with a ReLU in it, without a ReLU beside it."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["product"]),
            helper.make_node("Relu", ["product"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, 6, 6))],
        [numpy_helper.from_array(weight, "w")],
    )
    opset = [helper.make_opsetid("", 12)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "m.onnx")
    settings = tuple((key, Value.of(n)) for key, n in ((0, 4), (1, 3), (6, 108), (9, 1)))
    layers = (
        Layer("Input", "in", (), ("x",), ()),
        Layer("Convolution", "conv", ("x",), ("y",), settings),
    )
    param = Param(layers)
    write_param(param, folder / "m.param")
    write_weights(param, {"conv": {"weight": weight}}, folder / "m.bin")


CONFIG = """
[model]
name = "one-convolution"
onnx = "m.onnx"
param = "m.param"
bin = "m.bin"
[inputs.random]
random = 1
shape = [1, 3, 8, 8]
[matrix]
versions = ["20250503"]
flags = ["sse2"]
runs = ["default"]
"""


def test_a_convolution_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It uses Gemm's kernels, which the linker has to say if the sources are not asked."""
    monkeypatch.setattr(trim, "_used_by", lambda *_: set())
    write_convolution(tmp_path)
    (tmp_path / "c.toml").write_text(CONFIG)
    places = {"config": "c.toml", "builds": "builds", "results": "results"}
    arguments = ["matrix", *(f"--{key}={tmp_path / name}" for key, name in places.items())]
    assert main(arguments) == 0
    (folder,) = (tmp_path / "results").iterdir()
    (record,) = read_records([folder / "cells.jsonl"])
    assert record.verdict == Verdict.OK
    assert "Gemm" in record.build.layers
    assert not record.build.untrimmed
    assert record.build.cmake_cache["WITH_LAYER_gemm"] == "ON"
    (log,) = (tmp_path / "builds" / "modules").glob(f"2*/{LOG}")
    counted = compiled(log)
    assert counted.pop("layer") == 2
    assert set(counted.values()) == {1}
    capsys.readouterr()
    assert main([*arguments, "--fresh"]) == 0
    assert "cached    20250503-sse2" in capsys.readouterr().out
