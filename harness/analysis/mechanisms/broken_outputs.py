"""What shows in an output itself: nothing in it, a bound, a tail that was not written, a factor."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.analysis.mechanisms import narrow_formats as numbers
from harness.analysis.mechanisms.prediction import Hypothesis, assuming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun

    Array = NDArray[Any]

PACKS = (4, 8, 16)
"""Elements that vector code handles at once."""
MIN_EXTREMES = 3
"""Elements that have to be at a bound, and the elements that a number found in them has to fill."""
MIN_ROWS = 3
"""Results of a function from which on one factor for all says more than one for each."""

Fill = Literal["zeros", "the inputs", "one number"]
FILLS: tuple[Fill, ...] = ("zeros", "the inputs", "one number")


def nothing_in(output: Array) -> str:
    """Return what an output is that has nothing in it: one and the same value; or nothing."""
    if not output.size or not (np.isnan(output).all() or np.all(output == output.flat[0])):
        return ""
    value = float(output.flat[0])
    if value == 0:
        return "all outputs are zero"
    if not np.isfinite(value):
        return "all outputs are NaN" if np.isnan(value) else "all outputs are infinite"
    return f"all outputs are {value:g}" if output.size >= MIN_EXTREMES else ""


def without_content(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield that an output has nothing in it, if it should have."""
    words = nothing_in(case.output)
    if words and not nothing_in(case.exact):
        value = float(case.output.flat[0])
        known = value == 0 or not np.isfinite(value)
        yield assuming(words, partial(_filled, value), "everything", fitted=0 if known else 1)


def _filled(value: float, case: LayerRun) -> LayerRun:
    return case.then(lambda y: np.full_like(y, value))


def saturation(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield the bound that the largest elements share, and that of half precision."""
    finite = np.abs(case.output[np.isfinite(case.output)])
    bound = float(finite.max(initial=0))
    beyond = np.abs(case.finished(case.exact)) > bound * 1.001
    if np.count_nonzero(beyond) < MIN_EXTREMES or not np.all(np.abs(case.output[beyond]) == bound):
        return
    fitted = 0 if bound == numbers.FP16_MAX else 1
    name = f"saturation at {bound:g}"
    yield assuming(name, partial(_clipped, bound), "saturation", fitted=fitted)


def _clipped(bound: float, case: LayerRun) -> LayerRun:
    return case.then(lambda y: np.clip(y, -bound, bound))


def tails(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield axes whose last elements, fewer than vector code handles at once, were not written.

    What stands there must be plainly no result, in all of them: zeros, what the layer was fed, or
    one and the same number.
    """
    for axis, extent in enumerate(case.output.shape):
        # The smallest pack first: where two leave the same tail, it is one statement.
        ends = {extent // pack * pack: pack for pack in reversed(PACKS)}
        for done, pack in ends.items():
            for fill in FILLS if 0 < done < extent else ():
                name = f"the last {extent - done} of {extent} along axis {axis} not computed"
                yield Hypothesis(
                    f"{name}: {fill} there",
                    partial(_unwritten, axis, pack, fill),
                    frozenset({name}),
                    frozenset({"tail"}),
                    1 if fill == "one number" else 0,
                )


def _unwritten(axis: int, pack: int, fill: Fill, case: LayerRun) -> LayerRun | None:
    extent = case.output.shape[axis]
    tail = np.zeros(case.output.shape, bool)
    tail[(slice(None),) * axis + (slice(extent // pack * pack, None),)] = True
    content = _content(case, tail, fill) if 0 < tail.sum() < tail.size else None
    if content is None:
        return None
    return case.then(lambda y: np.where(tail, content, y))


def _content(case: LayerRun, tail: Array, fill: Fill) -> Array | float | None:
    """Return what would stand in a tail; None if nothing can be said of it."""
    if fill == "zeros":
        return 0.0
    if fill == "the inputs":
        x = case.inputs[0] if case.inputs else None
        return x if x is not None and x.shape == tail.shape else None
    found = case.output[tail]
    same = found.size >= MIN_EXTREMES and nothing_in(found)
    return float(found[0]) if same and found[0] != 0 else None


def factors(case: LayerRun) -> Iterator[Hypothesis]:
    """Yield the one factor that all elements may be off by, taken from every second of them."""
    y = case.finished(case.exact).ravel()[::2].astype(np.float64)
    given = case.output.ravel()[::2].astype(np.float64)
    usable = np.isfinite(given) & np.isfinite(y)
    power = float(np.sum(y[usable] ** 2))
    factor = float(np.sum(y[usable] * given[usable])) / power if power > 0 else 1.0
    if factor > 0 and usable.sum() >= MIN_EXTREMES:
        name = f"one constant factor, {factor:.7g}"
        yield assuming(name, partial(_multiplied, factor), "scale", fitted=1)


def _multiplied(factor: float, case: LayerRun) -> LayerRun:
    return case.then(lambda y: y * factor)
