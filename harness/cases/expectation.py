"""What a case should give, and how far honest arithmetic may be off there.

The truth is ncnn's own definition of the layer, evaluated in float64. Beside it the same definition
is evaluated with what honest single precision may do: every step in float32, inputs off by half a
unit in the last place, denormal numbers taken for zero. What moves much by that alone is fickle
(the side of a rounding, an overflow on the way) and is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition import IllFormedError, NoDefinitionError, compute
from harness.definition.arithmetic import EXACT
from harness.domain.metrics import INFINITE, measure
from harness.domain.verdict import FAINTEST
from harness.model.integer_blobs import gives_int8, is_quantised
from harness.model.layouts import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from harness.cases.sample import Sample
    from harness.domain.records import Metrics

    Array = NDArray[Any]

FICKLE = 1e-3
"""Movement, relative to the scale, from which on an element is fickle."""
MANY = 0.25
"""Part of an output from which on it is not judged if that much is fickle."""
HALF_ULP = 2.0**-24
STEP = 1 / 127
"""What one rounding to int8 may move, relative to the scale."""
CANCELLED = 1e-4
"""What may be left of the largest input where all of an output should be zero."""
ROUNDS = 2
"""How often inputs are moved at random."""


class NotDefinedError(Exception):
    """There is no definition of this case, or it means nothing."""

    def __init__(self, reason: str, *, ill_formed: bool) -> None:
        super().__init__(reason)
        self.ill_formed = ill_formed
        """Whether its parameters and shapes do not fit together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpectedOutput:
    """One output blob."""

    value: Array
    """float64, in ncnn's layout."""
    noise: Array
    """Of each element, in its units: how far honest arithmetic was seen to move it."""
    step: float = 0.0
    """What one rounding to int8 on the way may move, relative to the scale."""

    @cached_property
    def scale(self) -> float:
        """The largest finite absolute value; 1 if all are zero."""
        return _scale(self.value)

    @cached_property
    def fickle(self) -> NDArray[np.bool_]:
        """Elements that are not judged."""
        return ~(self.noise <= max(FICKLE * self.scale, FAINTEST))

    @property
    def is_judged(self) -> bool:
        """Whether enough of it can be judged."""
        return float(self.fickle.mean()) <= MANY

    @cached_property
    def floor(self) -> float:
        """The noise of what is judged, relative to the scale."""
        noise = float(self.noise.max(initial=0, where=~self.fickle)) / self.scale
        return max(noise, self.step)

    @cached_property
    def channels(self) -> Array:
        """The noise of each channel, which are the first axis, as `measure` takes it."""
        calm = np.where(self.fickle, 0, self.noise)
        noise = np.asarray(calm.max(axis=tuple(range(1, calm.ndim))))
        return np.asarray(np.maximum(noise, self.step * self.scale))

    def error(self, actual: Array) -> Metrics:
        """Measure what came out against it.

        Raises:
            ValueError: it has another shape.
        """
        if actual.shape != self.value.shape:
            raise ValueError(f"shape {actual.shape} instead of {self.value.shape}")
        judged: Array = np.where(self.fickle, self.value, actual)
        return measure(judged, self.value, self.channels)


@dataclass(frozen=True, kw_only=True, eq=False)
class Expectation:
    """What a case should give."""

    outputs: tuple[ExpectedOutput, ...]
    sample: Sample
    _narrow: dict[str, tuple[float, ...]] = field(default_factory=dict, repr=False)

    def narrow(self, kind: str) -> tuple[float, ...]:
        """Return what a narrow format costs each output, scale-relative, at best.

        It is worked out once: a case is judged with many run options.

        Inputs, outputs and the tensors that ncnn may keep narrow are rounded once each.

        Args:
            kind: `fp16` or `bf16`.
        """
        if kind not in self._narrow:
            self._narrow[kind] = self._narrow_costs(kind)
        return self._narrow[kind]

    def _narrow_costs(self, kind: str) -> tuple[float, ...]:
        sample, rounded = self.sample, _ROUNDED[kind]
        stored = {slot.name for slot in layout(sample.case.layer) if slot.flagged}
        tensors = {
            name: rounded(array) if name in stored and array.dtype != np.int8 else array
            for name, array in sample.tensors.items()
        }
        inputs = [x if x.dtype.kind == "i" else rounded(x) for x in sample.inputs]
        try:
            outputs = compute(sample.case.layer, tensors, inputs)
        except NoDefinitionError:
            return (np.inf,) * len(self.outputs)
        costs = []
        for y, expected in zip(outputs, self.outputs, strict=True):
            error = expected.error(rounded(y).astype(np.float64))
            costs.append(np.inf if error.is_broken else error.scale_relative)
        return tuple(costs)


def _fp16(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


def _bf16(values: Array) -> Array:
    with np.errstate(over="ignore"):
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


_ROUNDED = {"fp16": _fp16, "bf16": _bf16}
NARROW = tuple(_ROUNDED)
"""Narrow formats by name."""


def expect(sample: Sample) -> Expectation:
    """Return what a case should give.

    Raises:
        NotDefinedError: there is no definition, or parameters, shapes and weights do not fit.
    """
    layer = sample.case.layer
    try:
        exact = compute(layer, sample.tensors, sample.inputs)
    except NoDefinitionError as error:
        raise NotDefinedError(str(error), ill_formed=isinstance(error, IllFormedError)) from error
    noises = [np.full(y.shape, FAINTEST) for y in exact]
    for moved in _moved(sample):
        for noise, y, other in zip(noises, exact, moved, strict=True):
            np.maximum(noise, _distance(y, other), out=noise)
    largest = max((float(np.abs(x).max(initial=0)) for x in sample.inputs), default=0.0)
    for noise, y in zip(noises, exact, strict=True):
        if not y.any():
            # Zeros by cancelling out: by another formula something is left of what goes in.
            np.maximum(noise, CANCELLED * largest, out=noise)
    steps = _steps(sample, exact)
    return Expectation(
        outputs=tuple(
            ExpectedOutput(value=y, noise=noise, step=step)
            for y, noise, step in zip(exact, noises, steps, strict=True)
        ),
        sample=sample,
    )


def _steps(sample: Sample, exact: Sequence[Array]) -> list[float]:
    """Return what one rounding to int8 may move in each output, relative to its scale."""
    layer = sample.case.layer
    if gives_int8(layer):
        return [max(STEP, 1 / _scale(y)) for y in exact]
    if not is_quantised(layer):
        return [0.0] * len(exact)
    if layer.type not in _FUSING:
        return [STEP] * len(exact)
    # What is rounded is larger than what an activation leaves of it.
    plain = sample.case.with_params(dict.fromkeys(ACTIVATION)).layer
    whole = compute(plain, sample.tensors, sample.inputs)
    return [STEP * max(1, _scale(x) / _scale(y)) for x, y in zip(whole, exact, strict=True)]


ACTIVATION = (9, 10)
"""The parameters of what these layers have fused."""
_FUSING = frozenset({"Convolution", "ConvolutionDepthWise", "InnerProduct"})


def _scale(y: Array) -> float:
    size = np.abs(y)
    return float(size.max(initial=0, where=size < INFINITE)) or 1.0


def _moved(sample: Sample) -> Iterator[Sequence[Array]]:
    """Yield outputs as honest single precision may have them."""
    case, tensors = sample.case, sample.tensors
    yield compute(case.layer, tensors, sample.inputs, _HONEST, dtype=np.float32)
    random = np.random.RandomState(case.seed)
    for _ in range(ROUNDS):
        yield compute(case.layer, tensors, [_nudged(x, random) for x in sample.inputs])
    if any(_has_denormals(x) for x in (*sample.inputs, *tensors.values())):
        flushed = {name: _flushed(array) for name, array in tensors.items()}
        yield compute(case.layer, flushed, [_flushed(x) for x in sample.inputs])


def _tanh(x: Array) -> Array:
    """Return the hyperbolic tangent by exponentials, exact to a unit of one, not of the result."""
    return np.asarray(1 - 2 / (1 + np.exp(2 * x) * x.dtype.type(1 + 4 * HALF_ULP)))


_HONEST = EXACT.replaced("tanh", _tanh)


def _nudged(x: Array, random: np.random.RandomState) -> Array:
    if x.dtype.kind == "i":
        return x
    signs = random.randint(0, 2, x.shape) * 2 - 1
    # In float64, which `compute` takes as it is: nothing is rounded back.
    return np.asarray(x * (1 + HALF_ULP * signs))


def _has_denormals(x: Array) -> bool:
    return x.dtype == np.float32 and bool(((x != 0) & (np.abs(x) < FAINTEST)).any())


def _flushed(x: Array) -> Array:
    return np.where(np.abs(x) < FAINTEST, 0, x).astype(x.dtype) if _has_denormals(x) else x


def _distance(y: Array, other: Array) -> Array:
    """Return by how much elements differ; infinitely where only one is finite in float32."""
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(y) >= INFINITE, np.abs(other) >= INFINITE
        same = (y == other) | (np.isnan(y) & np.isnan(other)) | (far[0] & far[1])
        distance = np.where(same, 0.0, np.abs(np.subtract(y, other, dtype=np.float64)))
        distance[far[0] ^ far[1]] = np.inf
    return np.where(np.isnan(distance), np.inf, distance)
