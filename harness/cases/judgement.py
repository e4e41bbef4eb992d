"""Whether what a build made of a case is right."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.cases.expectation import NARROW
from harness.domain.base import StoredValue
from harness.domain.formatting import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.cases.expectation import Expectation, ExpectedOutput
    from harness.domain.records import Metrics
    from harness.domain.verdict import Tolerance

    Array = NDArray[Any]

AS_NARROW = 4.0
"""How many times what rounding to a narrow format costs at best an error may be, to be what that
format costs: sums are rounded on the way, too, and activations in between."""
EPSILON = {"fp16": 2.0**-11, "bf16": 2.0**-8}
"""Relative error of one rounding."""
_SWITCHES = {
    kind: frozenset(f"use_{kind}_{use}" for use in ("packed", "storage", "arithmetic"))
    for kind in NARROW
}
"""The options that have values kept in a narrow format. `use_fp16_uniform` is none of them: it is
about what shaders read, and on by default where all the others are off."""


class CaseOutcome(StrEnum):
    """What became of one case with one set of run options in one build."""

    OK = "ok"
    DROP = "drop"
    """Less precise than single precision need be."""
    BROKEN = "broken"
    """Wrong: NaN, infinities, or errors as large as the largest value."""
    UNSTABLE = "unstable"
    """Two passes over the same input differ."""
    CRASH = "crash"
    """A signal ended the process."""
    HANG = "hang"
    SHAPE = "shape"
    """The output has another shape than the layer's definition says."""
    REFUSED = "refused"
    """ncnn loads or computes it not, and says so."""
    UNSUPPORTED = "unsupported"
    """The build has not what is asked for: an option, a layer, a parameter."""
    UNJUDGED = "unjudged"
    """So much of the output depends on the roundings that nothing can be said."""

    @property
    def is_fault(self) -> bool:
        """Whether it is one of those that a layer should not have."""
        return self in _FAULTS


_FAULTS = frozenset(
    {
        CaseOutcome.DROP,
        CaseOutcome.BROKEN,
        CaseOutcome.UNSTABLE,
        CaseOutcome.CRASH,
        CaseOutcome.HANG,
    }
)


class CaseVerdict(StoredValue):
    """What became of a case, with the numbers."""

    outcome: CaseOutcome
    error: float = 0.0
    """Scale-relative error of the output, or of its worst channel if that is what counts; infinite
    for NaN and infinities."""
    limit: float = 0.0
    """What it may be."""
    narrow: str = ""
    """`fp16` or `bf16` where this is no more than what that format, which the options allow, costs
    at best, or some times that."""
    reason: str = ""
    lost: bool = False
    """Whether this machine kept it from being run: who goes on with the sweep runs it."""

    @property
    def is_fault(self) -> bool:
        """Whether there is something to explain: more than a format that the options allow."""
        return self.outcome.is_fault and not self.narrow


def judge_case(
    expectation: Expectation,
    passes: Sequence[Sequence[Array]],
    options: Mapping[str, bool | int],
    tolerance: Tolerance,
) -> CaseVerdict:
    """Decide whether what came out is right.

    Args:
        expectation: what should have come out.
        passes: the outputs of each pass over the same input.
        options: all of ncnn's options as they were in force.
        tolerance: the limits of a layer.
    """
    first, *others = passes
    for actual, expected in zip(first, expectation.outputs, strict=True):
        if actual.shape != expected.value.shape:
            return CaseVerdict(
                outcome=CaseOutcome.SHAPE,
                reason=f"shape {actual.shape} instead of {expected.value.shape}",
            )
    if any(not _same(first, other) for other in others):
        return CaseVerdict(
            outcome=CaseOutcome.UNSTABLE, error=_spread(passes), reason="two passes differ"
        )
    if not all(expected.is_judged for expected in expectation.outputs):
        return CaseVerdict(outcome=CaseOutcome.UNJUDGED, reason="other roundings give other values")
    errors = [
        expected.error(actual) for actual, expected in zip(first, expectation.outputs, strict=True)
    ]
    # A definition that gives NaN means it: where ncnn gives NaN too, and nowhere else, they agree.
    void = [
        error.is_void and (error.undefined > 0 or not expected.value.size)
        for error, expected in zip(errors, expectation.outputs, strict=True)
    ]
    if any(void):
        return CaseVerdict(
            outcome=CaseOutcome.UNJUDGED, reason="there is no number to compare with"
        )
    judged = [
        _Judged.of(error, expected, tolerance)
        for error, expected in zip(errors, expectation.outputs, strict=True)
    ]
    place = max(range(len(judged)), key=lambda at: judged[at].excess)
    worst = judged[place]
    if worst.excess <= 1:
        return CaseVerdict(outcome=CaseOutcome.OK, error=worst.error, limit=worst.limit)
    outcome = CaseOutcome.BROKEN if errors[place].is_wrong else CaseOutcome.DROP
    return CaseVerdict(
        outcome=outcome,
        error=worst.error,
        limit=worst.limit,
        narrow=_narrow(expectation, errors, options),
        reason=worst.reason,
    )


class _Judged:
    """One output's error and limit, of the whole or of its worst channel."""

    def __init__(self, error: float, limit: float, reason: str) -> None:
        self.error, self.limit, self.reason = error, limit, reason
        self.excess = error / limit

    @classmethod
    def of(cls, error: Metrics, expected: ExpectedOutput, tolerance: Tolerance) -> _Judged:
        limit = tolerance.layer_limit(expected.floor, blank=error.blank)
        if error.is_broken:
            counts = f"{error.nan} NaN, {error.inf} infinite" + (
                f", {error.finite} finite instead of infinite" if error.finite else ""
            )
            return cls(math.inf, limit, counts)
        whole = cls(error.scale_relative, limit, "")
        channel = tolerance.layer_limit(error.channel_floor)
        if error.channel is None or error.channel_relative / channel <= whole.excess:
            return whole
        return cls(
            error.channel_relative,
            channel,
            f"channel {error.channel}: {number(error.channel_relative)} of its scale",
        )


def _narrow(
    expectation: Expectation, errors: Sequence[Metrics], options: Mapping[str, bool | int]
) -> str:
    """Return the narrow format that explains the errors, of those that are switched on."""
    for kind in NARROW:
        if not any(options.get(name) for name in _SWITCHES[kind]):
            continue
        costs = expectation.narrow(kind)
        if all(
            cost == math.inf
            or (
                not error.is_broken and error.scale_relative <= AS_NARROW * max(cost, EPSILON[kind])
            )
            for cost, error in zip(costs, errors, strict=True)
        ):
            return kind
    return ""


def _same(one: Sequence[Array], other: Sequence[Array]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


def _spread(passes: Sequence[Sequence[Array]]) -> float:
    """Return the largest difference of passes, relative to the largest value of the first."""
    worst = 0.0
    for first, *others in zip(*passes, strict=True):
        scale = float(np.abs(first).max(initial=0)) or 1.0
        with np.errstate(invalid="ignore"):
            apart = [float(np.abs(first - other).max(initial=0)) / scale for other in others]
        worst = max([worst, *(each if np.isfinite(each) else math.inf for each in apart)])
    return worst
