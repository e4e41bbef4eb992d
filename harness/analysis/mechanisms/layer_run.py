"""One layer run alone, with all that is known about it: what hypotheses are tested on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition import NoDefinitionError, compute, has_definition
from harness.definition.arithmetic import EXACT, Arithmetic, functions_of
from harness.model.layouts import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.param import Layer

    Array = NDArray[Any]

ULP = 2.0**-23
"""Spacing of float32 numbers at 1: no fp32 result can be expected to be closer."""


@dataclass(frozen=True)
class LayerRun:
    """A layer, what it was fed, what it gave, and what the reference has there."""

    layer: Layer
    weights: Mapping[str, Array]
    """The tensors of the `.bin` file by name."""
    inputs: Sequence[Array]
    """What ncnn was fed, float32, in ncnn's layout."""
    output: Array
    """What ncnn gave."""
    expected: Array
    """The reference's float64 value, in ncnn's layout."""
    floor: float = 0.0
    """Scale-relative error of honest fp32 arithmetic here, for a layer without a formula."""
    initialisers: Mapping[str, Array] = field(default_factory=dict)
    """Constants of the ONNX graph by name."""
    arithmetic: Arithmetic = EXACT
    """How the formula computes; another one under a hypothesis."""
    after: tuple[Callable[[Array], Array], ...] = ()
    """What becomes of the formula's output under a hypothesis; each is monotone in each element."""

    @cached_property
    def has_formula(self) -> bool:
        """Whether the output can be computed from the inputs here."""
        if len(self.layer.outputs) != 1 or not has_definition(self.layer):
            return False
        try:
            return self.predict().shape == self.output.shape
        except NoDefinitionError:
            return False

    @cached_property
    def scale(self) -> float:
        """The largest absolute reference value: errors are relative to it."""
        return float(np.abs(self.expected).max(initial=0)) or 1.0

    @cached_property
    def exact(self) -> Array:
        """The float64 formula with the weights of the file; the reference where none is known."""
        return self.predict() if self.has_formula else self.expected

    def finished(self, y: Array) -> Array:
        """Return what becomes of an output of the formula."""
        for change in self.after:
            y = change(y)
        return y

    @cached_property
    def noise(self) -> float:
        """The noise floor, scale-relative: what single precision costs this layer.

        With a formula that is the rounding of each step, or of the inputs where these are nearly
        cancelled out; without, what was measured elsewhere.
        """
        if not self.has_formula:
            return max(ULP, self.floor)
        single = self.error(self.predict(dtype=np.float32), self.exact)
        signs = np.random.default_rng(0)
        nudged = [x * (1 + ULP / 2 * signs.choice((-1, 1), x.shape)) for x in self.inputs]
        moved = self.error(self.predict(inputs=nudged), self.exact)
        return max([ULP, *(cost for cost in (single, moved) if np.isfinite(cost))])

    @cached_property
    def functions(self) -> frozenset[str]:
        """Names of the elementary functions that the formula calls."""
        if not self.has_formula:
            return frozenset()
        return functions_of(lambda maths: self.predict(arithmetic=maths))

    def then(self, change: Callable[[Array], Array]) -> LayerRun:
        """Return the layer under the hypothesis that its output is changed in some way."""
        return replace(self, after=(*self.after, change))

    def with_function(self, name: str, function: Callable[..., Array]) -> LayerRun:
        """Return the layer under the hypothesis that an elementary function is another one."""
        return replace(self, arithmetic=self.arithmetic.replaced(name, function))

    @cached_property
    def stored(self) -> tuple[str, ...]:
        """Names of the tensors that ncnn may keep in a narrower format: not biases."""
        return tuple(slot.name for slot in layout(self.layer) if slot.flagged)

    def predict(
        self,
        *,
        layer: Layer | None = None,
        weights: Mapping[str, Array] | None = None,
        inputs: Sequence[Array] | None = None,
        arithmetic: Arithmetic | None = None,
        dtype: type[np.floating[Any]] = np.float64,
    ) -> Array:
        """Return the formula's output, with something changed."""
        (output,) = compute(
            layer or self.layer,
            self.weights if weights is None else weights,
            self.inputs if inputs is None else inputs,
            arithmetic or self.arithmetic,
            dtype=dtype,
        )
        return output

    def error(self, actual: Array, truth: Array) -> float:
        """Return the largest difference relative to the reference's scale; NaN counts as inf."""
        return float(np.max(distance(actual, truth), initial=0.0)) / self.scale


def distance(actual: Array, truth: Array) -> Array:
    """Return by how much elements differ; infinitely where only one of them is a number."""
    with np.errstate(invalid="ignore"):
        same = (actual == truth) | (np.isnan(actual) & np.isnan(truth))
        difference = np.where(same, 0.0, np.abs(np.subtract(actual, truth, dtype=np.float64)))
    return np.where(np.isnan(difference), np.inf, difference)
