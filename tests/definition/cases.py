"""One-layer models with random values: what definitions are compared with real ncnn on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from harness.model.layouts import layout
from harness.model.param import Layer
from harness.model.value import Plain, Value

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Params = Mapping[int, Plain]
Values = Callable[[np.random.Generator, Shape], Array]


def normal(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def positive(rng: np.random.Generator, shape: Shape) -> Array:
    return np.asarray(np.abs(normal(rng, shape)) + np.float32(0.2))


def within(low: float, high: float) -> Values:
    return lambda rng, shape: rng.uniform(low, high, shape).astype(np.float32)


def int8(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.integers(-127, 128, shape).astype(np.int8)


def int32(high: int) -> Values:
    """Whole numbers, whose bits ncnn gets as those of floats."""
    return lambda rng, shape: rng.integers(-high, high, shape).astype(np.int32)


@dataclass(frozen=True)
class Case:
    """One layer and the shapes of what it is fed."""

    kind: str
    params: Params
    shapes: tuple[Shape, ...]
    outputs: int = 1
    values: Values | tuple[Values, ...] = normal
    """Where inputs come from: the same for all, or one each."""
    tensors: Mapping[str, Values] = field(default_factory=dict)
    """Where tensors come from, where not from a normal distribution."""
    limit: float = 1e-5
    """Scale-relative error that is allowed."""

    @property
    def layer(self) -> Layer:
        pairs = tuple((key, Value.of(value)) for key, value in self.params.items())
        ins = tuple(f"in{i}" for i in range(len(self.shapes)))
        return Layer(self.kind, "it", ins, tuple(f"out{i}" for i in range(self.outputs)), pairs)

    @property
    def name(self) -> str:
        pairs = " ".join(f"{k}={v}".replace(" ", "") for k, v in self.params.items())
        return f"{self.kind} {pairs} on {' '.join('x'.join(map(str, s)) for s in self.shapes)}"

    def arrays(self) -> tuple[dict[str, Array], list[Array]]:
        """Return tensors and inputs, the same ones at each call."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        tensors = {
            slot.name: self.tensors.get(slot.name, normal)(rng, slot.shape)
            for slot in layout(self.layer)
        }
        each = self.values if isinstance(self.values, tuple) else (self.values,) * len(self.shapes)
        return tensors, [make(rng, shape) for make, shape in zip(each, self.shapes, strict=True)]


VECTOR, MATRIX, IMAGE, VOLUME = (7,), (5, 7), (4, 5, 7), (3, 4, 5, 7)
RANKS = (VECTOR, MATRIX, IMAGE, VOLUME)


def each(kind: str, params: list[Params], shapes: list[Shape] | tuple[Shape, ...]) -> list[Case]:
    return [Case(kind, given, (shape,)) for given, shape in product(params, shapes)]


ACTIVATIONS: list[Params] = [
    {9: 0},
    {9: 1},
    {9: 2, 10: (0.25,)},
    {9: 3, 10: (-0.5, 1.5)},
    {9: 4},
    {9: 5},
    {9: 6, 10: (0.2, 0.5)},
]
