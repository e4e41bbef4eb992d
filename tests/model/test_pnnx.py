"""Conversion by a program that stands in for pnnx."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from harness.config.tables import DEFAULT_CONVERTER
from harness.domain.spec import ModelSpec
from harness.model import pnnx
from harness.model.prepared_model import prepare_model
from harness.util.build_store import Store
from harness.util.errors import ModelError, SourceError
from harness.util.sealed import SEAL
from tests.local_index import use_find_links

VERSION = "20240101"
PARAM = """7767517
2 2
Input in0 0 1 in0
ReLU relu 1 1 in0 out0
"""
OWN = """7767517
3 2
pnnx.Input in1 0 1 0 #0=(1,4)f32
nn.ReLU relu 1 1 0 1
pnnx.Output out0 1 0 1 #1=(1,4)f32
"""
FAKE = """#!/bin/sh
echo "$@" >> {calls}
test -f "$1" || exit 9
printf '{said}'
test {code} = 0 || exit {code}
cat > model.ncnn.param <<'X'
{param}X
cat > model.pnnx.param <<'X'
{own}X
: > model.ncnn.bin
: > model_ncnn.py
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "builds")


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return model_of(tmp_path, x=[1, 4])


def model_of(folder: Path, **inputs: list[int | str]) -> ModelSpec:
    """An ONNX file whose last input goes through a Relu."""
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a) for n, a in inputs.items()]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    relu = helper.make_node("Relu", [list(inputs)[-1]], ["y"])
    proto = helper.make_model(
        helper.make_graph([relu], "g", values, out),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.save(proto, folder / "m.onnx")
    return ModelSpec(name="m", onnx=str(folder / "m.onnx"), converter=f"pnnx {VERSION}")


def install(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    said: str = "",
    code: int = 0,
    param: str = PARAM,
    own: str = "",
    member: str = "pnnx/pnnx",
) -> Path:
    """Put a wheel with a program that does as told where pip finds it; return its calls."""
    calls = folder / "calls"
    script = FAKE.format(calls=calls, said=said, code=code, param=param, own=own)
    (folder / "dist").mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "dist" / f"pnnx-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pnnx/__init__.py", "")
        wheel.writestr(member, script)
    use_find_links(monkeypatch, folder / "dist")
    return calls


def test_converted_once(
    spec: ModelSpec, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch)
    for _ in range(2):
        model = prepare_model(spec, store)
    assert calls.read_text() == "model.onnx inputshape=[1,4]f32 fp16=0\n"
    assert (model.inputs, model.outputs) == ({"in0": "x"}, ("out0",))
    assert dict(model.spec.names) == {"in0": "x", "out0": "y"}
    assert model.notes == (f"m.onnx: converted by pnnx {VERSION} for x [1, 4]",)
    assert sorted(path.name for path in model.param.parent.iterdir()) == [
        "conversion.json",
        "model.ncnn.bin",
        "model.ncnn.param",
        SEAL,
    ]
    assert list(tmp_path.glob("*_ncnn.py")) == []


@pytest.mark.parametrize(
    ("axes", "shapes", "arguments"),
    [
        ([1, 4], [], "[1,4]f32"),
        (["n", 4], [(2, 4)], "[2,4]f32"),
        (["n", "m"], [(1, 4), (1, 6), (2, 6)], "[1,4]f32 inputshape2=[2,6]f32"),
    ],
)
def test_shapes(
    axes: list[int | str],
    shapes: list[tuple[int, ...]],
    arguments: str,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = install(tmp_path, monkeypatch)
    spec = replace(model_of(tmp_path, x=axes), shapes=tuple((("", s),) for s in shapes))
    prepare_model(spec, store)
    assert calls.read_text() == f"model.onnx inputshape={arguments} fp16=0\n"


def test_a_dropped_input_is_not_confused_with_another(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, own=OWN)
    model = prepare_model(model_of(tmp_path, unused=[1, 4], x=[1, 4]), store)
    assert dict(model.spec.names) == {"in0": "x", "out0": "y"}


@pytest.mark.parametrize(
    ("axes", "shapes", "message"),
    [
        ({"x": ["n"]}, {}, r"input x has the shape \[n\], and nothing is given"),
        ({"x": [4, "n"]}, {"": (3, 1)}, r"shape \[4, n\], and \[3, 1\] is given"),
        ({"a": ["n"], "x": ["n"]}, {"": (3,)}, r"several inputs \(a, x\).*Give `shapes`"),
    ],
)
def test_shapes_that_do_not_fit(
    axes: dict[str, list[int | str]],
    shapes: dict[str, tuple[int, ...]],
    message: str,
    store: Store,
    tmp_path: Path,
) -> None:
    spec = replace(model_of(tmp_path, **axes), shapes=(tuple(shapes.items()),) if shapes else ())
    with pytest.raises(ModelError, match=message):
        prepare_model(spec, store)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"code": 3, "said": "### pass\\nort failed: no such op\\n### end\\n"},
            r"did not convert it \(exit code 3: ort failed: no such op\) \(log: .*\.log\)\. Try",
        ),
        ({"code": 3, "said": "\\033[1mlast\\n"}, r"\(exit code 3: last\) \(log"),
        (
            {"param": PARAM.replace("ReLU", "Resize"), "said": "ignore Resize r param mode=x\\n"},
            r"could not convert Resize, and wrote what no ncnn has a layer",
        ),
        ({"param": PARAM.replace("ReLU", "torch.eq")}, r"could not convert torch\.eq, and"),
        ({"param": PARAM.replace("ReLU", "Split")}, r"made no layers of it"),
        ({"param": PARAM.replace("ReLU", "Eltwise")}, r"wrote what ncnn cannot use \(.*at least 2"),
        ({"member": "pnnx/other"}, r"pnnx cannot be taken out of it"),
    ],
)
def test_failures_are_one_line(
    settings: dict[str, str],
    message: str,
    spec: ModelSpec,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(tmp_path, monkeypatch, **settings)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=message) as caught:
        prepare_model(spec, store)
    assert "\n" not in str(caught.value)
    assert not list(store.models.glob("pnnx-*/conversion.json"))


def test_doubts_are_told_every_time(
    spec: ModelSpec, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, said="slice with step 2 is not supported\\n" * 2)
    for _ in range(2):
        _, doubt = prepare_model(spec, store).notes
        assert doubt.startswith("pnnx says 'slice with step 2 is not supported' (2 times): ")


def test_no_wheel_for_this_machine(
    spec: ModelSpec, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    (wheel,) = (tmp_path / "dist").iterdir()
    wheel.rename(wheel.with_name(f"pnnx-{VERSION}-py3-none-win_arm64.whl"))
    with pytest.raises(SourceError, match=r"no wheel for this platform.*give param and bin"):
        prepare_model(spec, store)


@pytest.mark.native
def test_the_real_one(tmp_path: Path) -> None:
    spec = replace(model_of(tmp_path, unused=[1, 4], x=["n", "m"]), converter=DEFAULT_CONVERTER)
    spec = replace(spec, shapes=((("x", (1, 4)),), (("x", (1, 6)),)))
    model = prepare_model(spec, Store(root=tmp_path / "builds"))
    assert [layer.type for layer in model.graph.layers] == ["Input", "ReLU"]
    assert dict(model.spec.names) == {"in0": "x", "out0": "y"}
    about = json.loads((model.param.parent / "conversion.json").read_text())
    assert f"pnnx {pnnx.VERSION} for unused [1, 4], x [1, 4] and" in about["made"]
