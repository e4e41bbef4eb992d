"""Reciprocals and square roots by the estimates that CPUs offer (`rcpps`, `rsqrtps`, 12 bits).

The exact bits differ from one CPU to another: Intel and AMD guarantee an error of at most
1.5·2⁻¹² and have tables of their own. So nothing is emulated. The numbers that a function gave are
worked out from the output, each from one half of the elements that depend on it, and have to
explain the other half. What they are is read from them: a table gives numbers of few bits, with
errors of a certain size that differ from one to the next. Numbers that are all off by one factor,
that follow from another epsilon, or that half precision has, are no estimates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.mechanisms.broken_outputs import MIN_ROWS
from harness.analysis.mechanisms.prediction import Hypothesis, Prediction, assuming
from harness.definition.arithmetic import EXACT
from harness.definition.parameters import number as layer_number
from harness.domain.formatting import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun

    Array = NDArray[Any]

LARGEST = 1.6 * 2**-12
"""The deviation that is still taken for an estimate: what CPUs guarantee, and what a fit costs."""
TABLE_BITS = 13
"""Fraction bits of an estimate's result at most; AMD's have 12, Intel's 11 or 12."""
HALF_BITS = 10
"""Fraction bits of half precision: what has no more is not known to come from a table."""
PRECISION = 2.0**-20
"""How precisely a number has to be known for its bits to be counted."""
MIN_NUMBERS = 4
"""Numbers from which on they can be seen to differ as errors of a table do."""
MIN_PER_NUMBER = 8
"""Elements that one fitted number has to explain at least."""
MIN_COVERED = 0.25
"""Share of the elements that a learnt table has to predict at least."""
MIN_HALVES = 16
"""Results from which on it is no coincidence that each has a bit less than a table's."""
EPSILON_KEYS = {"LayerNorm": 1, "RMSNorm": 1, "InstanceNorm": 1, "BatchNorm": 1, "GroupNorm": 2}
"""The parameter that is a normalisation's epsilon: it is added to what the root is taken of."""
FUNCTIONS = {"reciprocal": "reciprocal", "rsqrt": "reciprocal square root"}


def estimates(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield what a layer's reciprocals or reciprocal square roots may have been."""
    for function, words in FUNCTIONS.items():
        if function not in case.functions or case.after:
            continue
        by_row = Rows.of(case, function)
        if by_row is not None:
            yield from _shared(case, by_row, function, words)
        size = by_row.arguments.size if by_row else 0
        for name, read in (
            (f"{words} by the CPU's estimate", _as_estimate),
            (f"{words} of a number in fp16", _of_half),
            (f"{words} rounded to fp16", _is_surely_half),
        ):
            change = partial(_fitted, function, read)
            yield assuming(name, change, function, fitted=max(1, size))
        name = f"{words} by the CPU's estimate, element by element"
        yield assuming(name, partial(learnt_table, function), function, fitted=2)


def results_of(case: LayerRun, function: str) -> int:
    """Return how many results of a function a layer uses."""
    if function not in case.functions:
        return 0
    probe = _Probe(case, function)
    probe.disturbed(0.0)
    return probe.size


def _shared(case: LayerRun, rows: Rows, function: str, words: str) -> Iterator[Hypothesis]:
    """Yield one factor, or one epsilon, for all results of a function."""
    if rows.arguments.size < MIN_ROWS:
        return
    factor = 1 + float(np.median(rows.deviations))
    name = f"one constant factor on the {words}, {factor:.7g}"
    yield assuming(name, partial(_scaled, function, factor), function, fitted=1)
    key = EPSILON_KEYS.get(case.layer.type)
    if function == "rsqrt" and key is not None:
        # The smallest argument is where an epsilon shows most.
        place = int(np.argmin(rows.arguments))
        value = rows.epsilon + float(rows.implied[place] - rows.arguments[place])
        if value >= 0:
            change = partial(_with_epsilon, key, value)
            yield assuming(f"epsilon about {value:.3g}", change, function, fitted=1)


def _with_epsilon(key: int, value: float, case: LayerRun) -> LayerRun:
    return replace(case, layer=case.layer.with_param(key, value))


def _scaled(function: str, factor: float, case: LayerRun) -> LayerRun:
    original = getattr(case.arithmetic, function)
    return case.with_function(function, lambda x: original(x) * factor)


@dataclass(frozen=True)
class Rows:
    """The results of a function that an output depends on linearly, each in elements of its own."""

    exact: Array
    """The output as it should be."""
    owner: NDArray[np.intp]
    slope: Array
    """What result each element depends on, and its change per relative change; flat."""
    odd: Array
    """Every second element of those that depend on one result."""
    arguments: Array
    results: Array
    """What the function should give."""
    deviations: Array
    """By how much each result was off, relatively, from all elements."""
    halves: tuple[Array, Array]
    """The same from every second element: from the odd ones, and from the even ones."""
    implied: Array
    """The arguments with which the results would be right."""
    epsilon: float
    """What the layer added to the arguments."""

    @classmethod
    def of(cls, case: LayerRun, function: str) -> Rows | None:
        """Return the fit; None where the output is not linear in few results."""
        probe = _Probe(case, function)
        y, slope = probe.slope()
        if slope is None or probe.size * MIN_PER_NUMBER > case.output.size:
            return None
        owner, flat = probe.owners(y, slope), slope.ravel()
        error = (case.output - y).ravel()
        if not np.isfinite(error).all() or probe.arguments is None:
            return None
        odd = np.zeros(owner.size, bool)
        # By size within each row, so that both halves have as much to tell.
        order = np.lexsort((np.abs(flat), owner))
        odd[order[1::2]] = True

        def fit(chosen: Array) -> Array:
            weight = np.where(chosen, flat, 0)
            power = np.bincount(owner, weight * weight, probe.size)
            return np.bincount(owner, weight * error, probe.size) / np.where(power > 0, power, 1)

        arguments = probe.arguments.ravel().astype(np.float64)
        deviations = fit(np.ones(owner.size, bool))
        key = EPSILON_KEYS.get(case.layer.type) if function == "rsqrt" else None
        return cls(
            exact=y,
            owner=owner,
            slope=flat,
            odd=odd,
            arguments=arguments,
            results=np.asarray(getattr(EXACT, function)(arguments)),
            deviations=deviations,
            halves=(fit(odd), fit(~odd)),
            implied=arguments / (1 + deviations) ** (2 if function == "rsqrt" else 1),
            epsilon=layer_number(case.layer, key, 0.001) if key is not None else 0.0,
        )

    @property
    def taken(self) -> Array:
        """The results as they were."""
        return np.asarray(self.results * (1 + self.deviations))

    @property
    def precision(self) -> float:
        """How precisely the results are known, as far as both halves tell."""
        return float(np.median(np.abs(self.halves[0] - self.halves[1]))) + 2.0**-24

    def crossed(self, noise: float) -> tuple[Array, Array]:
        """Return the output, each element by the fit to the elements that it is not among.

        Args:
            noise: absolute error of each element.

        Returns:
            The output, and how uncertain it is: an element that moves more than all those which
            its factor was taken from shows their noise enlarged.
        """
        factors, power = np.zeros(self.owner.size), np.zeros(self.owner.size)
        for half, fit in zip((self.odd, ~self.odd), self.halves, strict=True):
            squares = np.bincount(self.owner, np.where(half, self.slope, 0) ** 2, fit.size)
            factors = np.where(half, factors, fit[self.owner])
            power = np.where(half, power, squares[self.owner])
        shape = self.exact.shape
        spread = noise * np.abs(self.slope) / np.sqrt(np.where(power > 0, power, np.inf))
        output = self.exact + (factors * self.slope).reshape(shape)
        return np.asarray(output), np.asarray(spread.reshape(shape))


def _fitted(function: str, read: Any, case: LayerRun) -> Prediction | None:
    """Return the output with each result as it was, if these results can be read in a way."""
    rows = Rows.of(case, function)
    if rows is None or not read(rows):
        return None
    largest = float(np.abs(rows.deviations).max())
    y, spread = rows.crossed(2 * case.noise * case.scale)
    count = rows.arguments.size
    note = (
        f"{count} factors, one for {y.size // count} elements each, "
        f"off by up to {number(largest)} ({-math.log2(largest):.1f} bits)"
    )
    return Prediction(y, y - spread, y + spread, note=note)


def _as_estimate(rows: Rows) -> bool:
    return (
        looks_like_a_table(rows.deviations)
        and has_few_bits(rows.taken, TABLE_BITS, rows.precision)
        and not _is_half(rows)
        and not _of_half(rows)
    )


def _is_half(rows: Rows) -> bool:
    """Return whether half precision has all the results."""
    return _is_rounding(rows) and has_few_bits(rows.taken, HALF_BITS, rows.precision)


def _is_surely_half(rows: Rows) -> bool:
    """Return whether they are too many to be those of a table that happen to have a bit less."""
    return np.unique(rows.results).size >= MIN_HALVES and _is_half(rows)


def _of_half(rows: Rows) -> bool:
    """Return whether the results are those of arguments that half precision has.

    A variance may be rounded with its epsilon or before, or as the sum that it comes from.
    """
    size = rows.exact.size / rows.arguments.size
    return _is_rounding(rows) and any(
        has_few_bits(taken * times, HALF_BITS, 2 * rows.precision)
        for taken in (rows.implied, rows.implied - rows.epsilon)
        for times in (1.0, size)
    )


def _is_rounding(rows: Rows) -> bool:
    """Return whether the results are off by what half precision may cost a result."""
    return 0 < float(np.abs(rows.deviations).max()) <= 2.0**-10


def looks_like_a_table(deviations: Array) -> bool:
    """Return whether deviations have the size of an estimate's, and differ as those do.

    They differ in sign and size; there are neither few that are off among many that are right,
    nor only a handful of different ones.
    """
    size = np.abs(deviations)
    largest = float(size.max(initial=0))
    if size.size < MIN_NUMBERS or not 0 < largest <= LARGEST:
        return False
    positive = np.count_nonzero(deviations > 0)
    fewer = min(positive, deviations.size - positive)
    distinct = 1 + np.count_nonzero(np.diff(np.sort(deviations)) > 1e-3 * largest)
    return bool(
        fewer >= max(1, deviations.size // 16)
        and np.count_nonzero(size < 0.01 * largest) <= deviations.size / 4
        and largest <= 4 * np.sqrt(np.mean(size**2))
        and (distinct >= min(deviations.size / 2, 64))
    )


def has_few_bits(values: Array, bits: int, precision: float) -> bool:
    """Return whether numbers have so few fraction bits that it is no coincidence.

    Args:
        values: positive numbers.
        bits: fraction bits, after the leading one.
        precision: how precisely they are known, relatively.
    """
    mantissa, _ = np.frexp(values)
    # In units of the last bit that they may have.
    scaled = mantissa * 2.0 ** (bits + 1)
    off = np.abs(scaled - np.rint(scaled))
    allowed = 8 * precision * 2.0 ** (bits + 1)
    if precision > PRECISION or allowed > 1 / 8:
        return False
    chance = np.unique(values).size * math.log2(1 / (2 * allowed))
    return bool(np.all(off <= allowed)) and chance >= MIN_BITS


MIN_BITS = 16.0
"""How unlikely it has to be, in bits, that numbers have few bits by chance."""


def learnt_table(function: str, case: LayerRun) -> Prediction | None:
    """Return the output if the function is a table over the digits of its argument.

    The deviation at each second element is predicted from its two neighbours among the others, in
    the order of the argument's mantissa, where these two agree, that is, within one step of the
    table. Elsewhere only its size is known.

    Returns:
        None where the function is not called once per element, or too little can be predicted.
    """
    probe = _Probe(case, function)
    y, slope = probe.slope()
    if slope is None or probe.size != case.output.size or probe.arguments is None:
        return None
    flat = slope.ravel()
    usable = np.abs(flat) > 1e-3 * np.abs(flat).max(initial=0)
    arguments = probe.arguments.ravel()
    mantissa, exponent = np.frexp(arguments)
    # The square root of a number depends on whether its exponent is even.
    place = np.ldexp(mantissa, exponent % 2 if function == "rsqrt" else 0)
    exact = getattr(EXACT, function)(place)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = ((case.output - y) / slope).ravel()
    order = np.argsort(place)
    order = order[usable[order]]
    if order.size < MIN_PER_NUMBER or not looks_like_a_table(deviation[order]):
        return None
    # What the table holds: the same number everywhere within a step.
    entry = exact * (1 + deviation)
    left, middle, right = order[0:-2:2], order[1:-1:2], order[2::2]
    agree = np.abs(entry[left] / entry[right] - 1) < 2.0**-18
    known = middle[agree]
    if known.size < max(MIN_COVERED * middle.size, MIN_PER_NUMBER) or not _from_table(entry[known]):
        return None
    guess = (entry[left] + entry[right])[agree] / 2 / exact[known] - 1
    predicted, spread = y.ravel().copy(), np.abs(flat) * LARGEST
    predicted[known] += flat[known] * guess
    spread[known] = 0
    largest = float(np.abs(deviation[order]).max())
    note = f"{known.size} elements predicted from others, deviations up to {number(largest)}"
    low, high = (np.reshape(predicted + side * spread, y.shape) for side in (-1, 1))
    return Prediction(predicted.reshape(y.shape), low, high, note=note)


def _from_table(entries: Array) -> bool:
    """Return whether the steps that were found are those of a table, and not of half precision."""
    precision = 2.0**-20
    return has_few_bits(entries, TABLE_BITS, precision / 4) and not (
        has_few_bits(entries, HALF_BITS, precision)
        or has_few_bits(1 / entries, HALF_BITS, precision)
    )


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
        original = getattr(self.case.arithmetic, self.function)

        def call(x: Array) -> Array:
            self.calls += 1
            self.size = x.size
            self.arguments = x
            change = np.reshape(factor, x.shape) if np.size(factor) > 1 else factor
            return np.asarray(original(x) * (1 + change))

        return self.case.predict(arithmetic=self.case.arithmetic.replaced(self.function, call))

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
