"""Reciprocals and square roots by the estimates that CPUs offer (`rcpps`, `rsqrtps`, 12 bits).

The exact bits differ from one CPU to another: Intel guarantees an error of at most 1.5·2⁻¹², AMD
has tables of its own. So nothing is emulated. Either the few numbers that an estimate gave are
fitted (a normalisation takes one per row) and must explain all the elements that depend on
them; or, where each element has its own, a table learnt on one half of the elements has to predict
the other half. Both count only if the deviations are of the size that such an estimate has.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.mechanisms.prediction import Prediction
from harness.definition.arithmetic import EXACT
from harness.domain.formatting import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun

    Array = NDArray[Any]

LARGEST = 1.5 * 2**-11
"""The deviation that is still taken for an estimate: twice what Intel guarantees."""
MIN_PER_NUMBER = 8
"""Elements that one fitted number has to explain at least."""
MIN_COVERED = 0.25
"""Share of the elements that a learnt table has to predict at least."""


def fitted_rows(case: LayerRun, function: str) -> Prediction | None:
    """Return the output if each call of a function was off by some factor of its own.

    The output has to depend linearly on the function's results, as that of a normalisation does
    on its reciprocals; the factors are fitted by least squares.

    Returns:
        None where the output is not linear in them, or where there are too many of them.
    """
    probe = _Probe(case, function)
    y, slope = probe.slope()
    if slope is None or probe.size * MIN_PER_NUMBER > case.output.size:
        return None
    owner = probe.owners(y, slope)
    error = (case.output - y).ravel()
    flat = slope.ravel()
    power = np.bincount(owner, flat * flat, probe.size)
    factors = np.bincount(owner, flat * error, probe.size) / np.where(power > 0, power, 1)
    largest = float(np.abs(factors).max(initial=0))
    if not 0 < largest <= LARGEST:
        return None
    note = (
        f"{probe.size} factors, one for {case.output.size // probe.size} elements each, "
        f"off by up to {number(largest)} ({-math.log2(largest):.1f} bits)"
    )
    return Prediction(y + (factors[owner] * flat).reshape(y.shape), note=note)


def learnt_table(case: LayerRun, function: str) -> Prediction | None:
    """Return the output if the function is a table over the digits of its argument.

    The deviation at each second element is predicted from its two neighbours among the others, in
    the order of the argument's mantissa; it counts where these two agree, that is, within one
    step of the table.

    Returns:
        None where the function is not called once per element, or too little can be predicted.
    """
    probe = _Probe(case, function)
    y, slope = probe.slope()
    if slope is None or probe.size != case.output.size or probe.arguments is None:
        return None
    usable = np.abs(slope.ravel()) > 1e-3 * np.abs(slope).max(initial=0)
    mantissa, exponent = np.frexp(probe.arguments.ravel())
    # The square root of a number depends on whether its exponent is even.
    place = np.ldexp(mantissa, exponent % 2 if function == "rsqrt" else 0)
    exact = getattr(EXACT, function)(place)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = ((case.output - y) / slope).ravel()
    order = np.argsort(place)
    order = order[usable[order]]
    left, middle, right = order[0:-2:2], order[1:-1:2], order[2::2]
    if not middle.size or not np.abs(deviation[order]).max() <= LARGEST:
        return None
    # What the table holds: the same number everywhere within a step.
    entry = exact * (1 + deviation)
    agree = np.abs(entry[left] / entry[right] - 1) < 2.0**-18
    guess = (entry[left] + entry[right]) / 2 / exact[middle] - 1
    predicted = y.copy().ravel()
    predicted[middle] += slope.ravel()[middle] * guess
    where = np.zeros(y.size, bool)
    where[middle[agree]] = True
    if where.sum() < max(MIN_COVERED * middle.size, MIN_PER_NUMBER):
        return None
    largest = float(np.abs(deviation[order]).max())
    note = f"{where.sum()} elements predicted from others, deviations up to {number(largest)}"
    return Prediction(predicted.reshape(y.shape), where.reshape(y.shape), note)


class _Probe:
    """Disturbs the results of one elementary function and watches the output."""

    STEP = 1e-4

    def __init__(self, case: LayerRun, function: str) -> None:
        self.case = case
        self.function = function
        self.calls = 0
        self.size = 0
        self.arguments: Array | None = None

    def disturbed(self, factor: Array | float) -> Array:
        """Return the output with the function's results multiplied by `1 + factor`."""
        original = getattr(EXACT, self.function)

        def call(x: Array) -> Array:
            self.calls += 1
            self.size = x.size
            self.arguments = x
            change = np.reshape(factor, x.shape) if np.size(factor) > 1 else factor
            return np.asarray(original(x) * (1 + change))

        return self.case.predict(arithmetic=EXACT.replaced(self.function, call))

    def slope(self) -> tuple[Array, Array | None]:
        """Return the output and its change per relative change; None if that is not linear."""
        y, once, twice = (self.disturbed(k * self.STEP) for k in (0, 1, 2))
        if self.calls != 3 or self.case.error(twice - y, 2 * (once - y)) > 1e-9:
            return y, None
        return y, (once - y) / self.STEP

    def owners(self, y: Array, slope: Array) -> NDArray[np.intp]:
        """Return for each output element which of the function's results it depends on."""
        steps = np.arange(self.size) / max(1, self.size) + 1
        moved = self.disturbed(self.STEP * steps) - y
        reached = np.abs(slope) > 0
        ratio = moved / np.where(reached, slope, 1) / self.STEP
        index = np.rint((ratio - 1) * self.size).astype(np.intp)
        return np.where(reached, np.clip(index, 0, self.size - 1), 0).ravel()
