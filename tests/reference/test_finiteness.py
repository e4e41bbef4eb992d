from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from harness.reference.evaluation import finite_values
from harness.util.errors import ModelError
from tests.model.onnx_text import model

if TYPE_CHECKING:
    from pathlib import Path

X = {"x": np.array([[1.0, 2.0, 1e30]], np.float32)}


def values(folder: Path, nodes: str, kind: str, **constants: list[float]) -> dict[str, np.ndarray]:
    arrays = {name: np.array(numbers, np.float32) for name, numbers in constants.items()}
    onnx.save(model({"x": (1, 3)}, nodes, arrays), folder / "m.onnx")
    return finite_values(folder / "m.onnx", X, ["y"], kind)


@pytest.mark.parametrize(
    ("nodes", "weight", "message"),
    [
        ("t = Add(x, w) y = Relu(t)", np.nan, "has 1 NaN of 3 values, first in value 't', by Add"),
        ("t = Add(x, w) y = Relu(t)", np.nan, "whose weight 'w' has such numbers"),
        ("m = Mul(x, w) t = Sub(m, m) y = Relu(t)", np.inf, "first in value 't', by Sub"),
        ("t = Mul(x, w) y = Neg(t)", -np.inf, "has 1 infinite of 3 values, first in value 't'"),
    ],
)
@pytest.mark.parametrize("kind", ["fp32", "float64"])
def test_outputs_that_are_no_numbers(
    nodes: str, weight: float, message: str, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=rf"m\.onnx: its output 'y' .*{message}.*non_finite = tr"):
        values(tmp_path, nodes, kind, w=[1, weight, 1])


def test_masks_inside_are_ordinary(tmp_path: Path) -> None:
    found = values(tmp_path, "t = Add(x, w) y = Softmax(t)", "fp32", w=[0, -np.inf, 0])
    assert np.isfinite(found["y"]).all()


def test_what_only_single_precision_cannot_hold(tmp_path: Path) -> None:
    values(tmp_path, "y = Mul(x, x)", "float64")
    with pytest.raises(ModelError, match="has 1 infinite of 3 values"):
        values(tmp_path, "y = Mul(x, x)", "fp32")
