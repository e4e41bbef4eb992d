"""Which layer is named where a model's files are wrong: the one that is, or a range with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.model.param import parse
from tests.analysis.conversion.network import Network
from tests.model.onnx_text import model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.model.conversion import Conversion

    Array = NDArray[Any]

WIDTH = 4
FIRST, SECOND = np.random.default_rng(3).normal(0, 0.6, (2, WIDTH, WIDTH)).astype(np.float32)
ADDED = np.array([0.5, -0.4, 0.9, 0.2], np.float32)
CONSTANTS = {
    "w": FIRST.T.copy(),
    "v": SECOND.T.copy(),
    "c": ADDED,
    "low": np.array(1e6, np.float32),
    "high": np.array(2e6, np.float32),
}
FULL = f"0={WIDTH} 1=0 2={WIDTH * WIDTH}"


@dataclass(frozen=True)
class Case:
    """An ONNX graph, a .param that is another model, and what is to be said of it."""

    nodes: str
    layers: str
    told: dict[str, str]
    """Layers that are to be named, and what of the sentence is to say why."""
    shape: tuple[int, ...] = (1, WIDTH)
    doubled: Sequence[str] = ()
    """Layers whose tensors are twice what they should be."""

    def conversion(self) -> Conversion:
        return converted(self.nodes, self.layers, self.shape, doubled=self.doubled)


def converted(
    nodes: str, layers: str, shape: tuple[int, ...] = (1, WIDTH), *, doubled: Sequence[str] = ()
) -> Conversion:
    """Return what is found about a .param whose tensors are the constants, by their names."""
    proto = model({"x": shape}, nodes, CONSTANTS)
    lines = ["Input x 0 1 x", *(line.strip() for line in layers.strip().splitlines())]
    outputs = sum(int(line.split()[3]) for line in lines)
    graph = parse("\n".join(["7767517", f"{len(lines)} {outputs}", *lines]) + "\n")
    tensors: dict[str, dict[str, Array]] = {}
    for layer in graph.layers:
        factor = np.float32(2 if layer.name in doubled else 1)
        if layer.type == "InnerProduct":
            weight = SECOND if layer.name.startswith("second") else FIRST
            tensors[layer.name] = {"weight": factor * weight}
        elif layer.type == "MemoryData":
            tensors[layer.name] = {"data": factor * ADDED}
    return Network(proto, graph, tensors, shape).conversion()


CASES = {
    "wrong-operand": Case(
        "m = MatMul(x, w) r = Relu(m) s = Sigmoid(r) t = Tanh(r) y = Add(s, t)",
        f"""InnerProduct fc 1 1 x r {FULL} 9=1
            Split split 1 3 r r0 r1 r2
            Sigmoid s 1 1 r0 s
            TanH t 1 1 r1 t
            BinaryOp y 2 1 s r2 y 0=0""",
        {"y": "it takes 'r', where the ONNX graph takes 't' (Tanh)"},
    ),
    "wrong-operation": Case(
        "a = Add(x, c) y = Relu(a)",
        """MemoryData c 0 1 c 0=4
           BinaryOp add 2 1 x c a 0=1
           ReLU y 1 1 a y""",
        {"add": "the operation is 0=1, where 0=0 would be right"},
    ),
    "wrong-constant": Case(
        "a = Add(x, c) y = Relu(a)",
        """MemoryData k 0 1 k 0=4
           BinaryOp add 2 1 x k a 0=0
           ReLU y 1 1 a y""",
        {"add": "it takes what MemoryData k gives, where the ONNX graph takes 'c'"},
        doubled=["k"],
    ),
    "other-axes": Case(
        "r = Relu(x) t = Transpose<perm=[0,2,1]>(r) y = Softmax<axis=2>(t)",
        """ReLU r 1 1 x r
           Permute t 1 1 r t 0=0
           Softmax y 1 1 t y 0=1 1=1""",
        {"t": "it turns 't': axes 1,0 of the value"},
        shape=(1, 4, 5),
    ),
    "activation-missing-before-two-outputs": Case(
        "m = MatMul(x, w) r = Relu(m) a, b = Split<axis=1>(r) y = Sub(a, b)",
        f"""InnerProduct fc 1 1 x m {FULL}
            Slice parts 1 2 m a b -23300=2,2,2 1=0
            BinaryOp y 2 1 a b y 0=1""",
        {"fc": "a ReLU is missing (9=1)"},
    ),
    "goes-on-after-the-end": Case(
        "m = MatMul(x, w) y = Sigmoid(m)",
        f"""InnerProduct fc 1 1 x m {FULL}
            Sigmoid s 1 1 m s
            Sigmoid again 1 1 s y""",
        {"again": "it goes on after 'y', with which the ONNX graph ends"},
    ),
    "skipped-layer": Case(
        "m = MatMul(x, w) r = Relu(m) n = MatMul(r, v) y = Tanh(n)",
        f"""Split split 1 2 x x0 x1
            InnerProduct fc 1 1 x0 r {FULL} 9=1
            InnerProduct second 1 1 x1 n {FULL}
            TanH y 1 1 n y""",
        {"second": "it takes 'x', where the ONNX graph takes 'r' (Relu)"},
    ),
    "somewhere-in-a-block": Case(
        "m = MatMul(x, w) y = Relu(m)",
        f"""InnerProduct fc 1 1 x f {FULL}
            BinaryOp up 1 1 f u 0=2 1=1 2=4.0
            BinaryOp down 1 1 u d 0=2 1=1 2=0.5
            ReLU y 1 1 d y""",
        {"up": "it, or a layer after it up to ReLU y, is wrong"},
    ),
    "two-at-once": Case(
        "m = MatMul(x, w) r = Relu(m) n = MatMul(r, v) y = Tanh(n)",
        f"""InnerProduct fc 1 1 x r {FULL} 9=1
            InnerProduct second 1 1 r n {FULL}
            TanH y 1 1 n y""",
        {"fc": "weight in the .bin", "second": "weight in the .bin"},
        doubled=["fc", "second"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_layer_that_is_wrong_is_named(case: Case) -> None:
    conversion = case.conversion()
    found = {difference.layer: difference.sentence for difference in conversion.differences}
    assert list(found) == list(case.told)
    for layer, words in case.told.items():
        assert words in found[layer]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_computes_nothing_is_never_named(case: Case) -> None:
    types = {difference.type for difference in case.conversion().differences}
    assert not types & {"Input", "MemoryData", "Split", "Noop", "Dropout"}


def test_outputs_that_do_not_show_what_a_layer_gives_are_told() -> None:
    """What is below a limit is the limit, whatever it was."""
    conversion = converted(
        "m = MatMul(x, w) far = Mul(m, c) y = Clip(far, low, high)",
        f"""InnerProduct fc 1 1 x f {FULL}
            BinaryOp far 1 1 f g 0=2 1=1 2=4.0
            Clip y 1 1 g y 0=1e6 1=2e6""",
        doubled=["fc"],
    )
    assert not conversion.differs
    (note,) = conversion.notes
    assert "saturated or constant to tell about 1 layer: InnerProduct fc." in note


def test_the_same_output_twice_is_no_difference() -> None:
    conversion = converted(
        "m = MatMul(x, w) y = Relu(m)",
        f"""InnerProduct fc 1 1 x m {FULL}
            Split split 1 2 m m0 m1
            ReLU y 1 1 m0 y
            ReLU again 1 1 m1 y2""",
    )
    assert (conversion.differs, conversion.unsettled, conversion.notes) == (False, "", ())
