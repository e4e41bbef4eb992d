"""A small network as ONNX and as ncnn, and the proof of one against the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.conversion.exact_run import ExactRun
from harness.analysis.conversion.onnx_side import OnnxSide
from harness.analysis.conversion.proof import ConversionProof
from harness.analysis.conversion.walk import ModelSide, Trial
from harness.definition.evaluation import evaluate as define
from harness.model.blob_layout import to_ncnn_layout
from harness.model.convert import convert
from tests.model.onnx_text import evaluate, model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import onnx
    from numpy.typing import NDArray

    from harness.model.conversion import Conversion
    from harness.model.param import Layer, Param

    Array = NDArray[Any]
    Weights = dict[str, dict[str, Array]]

CHANNELS = 6
SHAPE = (1, CHANNELS, 7, 9)
NODES = """
    c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
    r1 = Relu(c1)
    c2 = Conv<pads=[1,1,1,1]>(r1, w2, b2)
    r2 = Relu(c2)
    sum = Add(r2, r1)
    pool = GlobalAveragePool(sum)
    flat = Flatten(pool)
    product = MatMul(flat, w3)
    fc = Add(product, b3)
    mean = ReduceMean<axes=[1]>(fc) centre = Sub(fc, mean) square = Pow(centre, two)
    variance = ReduceMean<axes=[-1]>(square) wide = Add(variance, eps) root = Sqrt(wide)
    normal = Div(centre, root) scaled = Mul(normal, g) norm = Add(scaled, b)
    again = MatMul(norm, w4)
    fc2 = Add(again, b4)
    y = Sigmoid(fc2)
"""


def constants() -> dict[str, Array]:
    rng = np.random.default_rng(7)

    def draw(*shape: int) -> Array:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    return {
        "w1": draw(CHANNELS, CHANNELS, 3, 3),
        "b1": draw(CHANNELS),
        "w2": draw(CHANNELS, CHANNELS, 3, 3),
        "b2": draw(CHANNELS),
        "w3": draw(CHANNELS, CHANNELS),
        "b3": draw(CHANNELS),
        "two": np.array(2, np.float32),
        "eps": np.array(1e-5, np.float32),
        "g": draw(CHANNELS),
        "b": draw(CHANNELS),
        "w4": draw(CHANNELS, CHANNELS),
        "b4": draw(CHANNELS),
    }


@dataclass(frozen=True)
class Network:
    """Both sides; either may be changed."""

    proto: onnx.ModelProto
    graph: Param
    weights: Weights
    shape: tuple[int, ...] = SHAPE
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def made(
        cls,
        nodes: str = NODES,
        values: Mapping[str, Array] | None = None,
        shape: tuple[int, ...] = SHAPE,
    ) -> Network:
        """Return a network and its conversion, which is right."""
        proto = model({"x": shape}, nodes, constants() if values is None else values)
        graph, weights = convert(proto, {"x": shape})
        return cls(proto, graph, {k: dict(v) for k, v in weights.items()}, shape)

    def with_layer(self, name: str, change: Callable[[Layer], Layer]) -> Network:
        """Return a network with one layer changed."""
        return replace(self, graph=self.graph.replace_layer(name, change(self.graph.layer(name))))

    def with_tensor(self, layer: str, name: str, array: Array) -> Network:
        """Return a network with one tensor changed."""
        weights = {k: dict(v) for k, v in self.weights.items()}
        weights[layer][name] = array.astype(self.weights[layer][name].dtype)
        return replace(self, weights=weights)

    @property
    def side(self) -> ModelSide:
        return ModelSide(graph=self.graph, tensors=self.weights, names=self.names)

    def trials(self) -> list[Trial]:
        """Return two inputs on both sides."""
        (blob,) = (b for x in self.graph.layers if x.type == "Input" for b in x.outputs)
        found = []
        for seed in (1, 2):
            x = np.random.default_rng(seed).normal(size=self.shape).astype(np.float32)
            computed = {name for node in self.proto.graph.node for name in node.output}
            values = evaluate(self.proto, {"x": x})
            values = {k: v for k, v in values.items() if k in computed | {"x"}}
            found.append(Trial(feeds={blob: to_ncnn_layout(x)}, values=values))
        return found

    def run(self, *, wrong: Mapping[str, float] | None = None, cell: str = "v-f") -> ExactRun:
        """Return what a build computes: as defined, but for layers that add something."""
        inputs = []
        for trial in self.trials():
            given: dict[str, Array] = {}
            for layer in self.graph.layers:
                blobs = define(self.graph, self.weights, trial.feeds, given=given).blobs
                for blob in layer.outputs if layer.name in (wrong or {}) else ():
                    given[blob] = blobs[blob] + (wrong or {})[layer.name]
            blobs = define(self.graph, self.weights, trial.feeds, given=given).blobs
            inputs.append({name: array.astype(np.float32) for name, array in blobs.items()})
        return ExactRun(cell=cell, inputs=inputs)

    def proof(self, runs: Iterable[ExactRun] = (), *, against: bool = True) -> ConversionProof:
        """Return the proof, with builds to ask."""
        return ConversionProof(
            model=self.side,
            trials=self.trials(),
            onnx=OnnxSide(self.proto) if against else None,
            runs=iter(runs),
            limit=4e-5,
            floors=4,
        )

    def conversion(self) -> Conversion:
        """Return what is found with a build at hand that computes what is defined."""
        return self.proof([self.run()]).conversion()
