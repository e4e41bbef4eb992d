"""Which inputs a conversion is proved on, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from harness.analysis.conversion.preparation import CONVERSION
from harness.domain.spec import InputSpec, ModelSpec
from harness.util.build_store import Store
from tests import one_layer
from tests.model.onnx_text import model
from tests.proven import preparation

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (1, one_layer.ROWS, one_layer.NARROW)


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    one_layer.write_model(tmp_path)
    onnx, param, weights = (str(tmp_path / f"m.{key}") for key in ("onnx", "param", "bin"))
    return ModelSpec(name="m", onnx=onnx, param=param, bin=weights)


def blank(folder: Path, name: str, value: float) -> InputSpec:
    np.save(folder / f"{name}.npy", np.full(SHAPE, value, np.float32))
    return InputSpec(name=name, npy=str(folder / f"{name}.npy"))


@pytest.mark.parametrize("count", [1, 2])
def test_blank_inputs_prove_nothing_by_themselves(
    spec: ModelSpec, tmp_path: Path, count: int
) -> None:
    inputs = [blank(tmp_path, f"i{at}", float(at)) for at in range(count)]
    found = preparation(spec, inputs, Store(root=tmp_path / "builds")).model.conversion
    (output,) = (each for each in found.alignments if each.blob == "y")
    assert output.sure.endswith(f"over {count + 1} inputs")


def test_a_conversion_is_proved_once(
    spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(root=tmp_path / "builds")
    inputs = [InputSpec(name=name, random=at, shape=SHAPE) for at, name in enumerate("ab")]
    first = preparation(spec, inputs, store).model.conversion
    monkeypatch.setattr("harness.analysis.conversion.preparation.onnx_values", None)
    assert preparation(spec, inputs, store).model.conversion == first
    (file,) = store.models.glob(f"conversion-*/{CONVERSION}")
    file.write_text("{")
    with pytest.raises(TypeError):
        preparation(spec, inputs, store)


def test_inputs_that_are_exchanged_are_told(tmp_path: Path) -> None:
    shapes = {"a": (1, 6), "b": (1, 6)}
    onnx.save(model(shapes, "s = Sub(a, b) y = Sigmoid(s)", {}), tmp_path / "m.onnx")
    lines = [
        "Input first 0 1 a",
        "Input second 0 1 b",
        "BinaryOp minus 2 1 b a s 0=1",
        "Sigmoid y 1 1 s y",
    ]
    (tmp_path / "m.param").write_text("\n".join(["7767517", "4 4", *lines]) + "\n")
    (tmp_path / "m.bin").touch()
    onnx_file, param, weights = (str(tmp_path / f"m.{key}") for key in ("onnx", "param", "bin"))
    spec = ModelSpec(name="m", onnx=onnx_file, param=param, bin=weights)
    inputs = [
        InputSpec(name=str(seed), random=seed, shapes=tuple(shapes.items())) for seed in (1, 2)
    ]
    found = preparation(spec, inputs, Store(root=tmp_path / "builds"))
    assert found.model.inputs == {"a": "b", "b": "a"}
    assert not found.model.conversion.differs
    assert found.model.conversion.misnomers[0] == (
        "the input blob 'a' is the ONNX input 'b', not 'a': with it the outputs are right"
    )
