"""The verdict rules: from what happened to a revision to good, bad, skip or unstable.

Metrics are compared as errors, a common scale on which larger is worse, 0 is perfect and a factor
means the same for each: `max_abs`, `mean_abs` and `scale_relative` as they are; `snr_db` as the
ratio of amplitudes, 10^(-snr/20); `cosine` as the chord between the two unit vectors,
√(2·(1 - cosine)); `latency` in any unit as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from harness.config.rules import Rules
from harness.domain.formatting import short
from harness.domain.outcomes import Event, Outcome
from harness.util.errors import UsageError

DIGITS = 4
"""Of what is compared with a threshold: two could look alike on either side of it."""


class Metric(StrEnum):
    """What is measured; the names are those of `harness.domain.records.Metrics`."""

    MAX_ABS = "max_abs"
    MEAN_ABS = "mean_abs"
    SCALE_RELATIVE = "scale_relative"
    COSINE = "cosine"
    SNR_DB = "snr_db"
    LATENCY = "latency"

    def error(self, value: float) -> float:
        """Return a value of this metric as an error, see the head of this module."""
        if self is Metric.SNR_DB:
            return float(10 ** (-value / 20))
        if self is Metric.COSINE:
            return math.sqrt(max(0.0, 2 * (1 - value)))
        return value

    def check(self, threshold: float) -> None:
        """Refuse a threshold that no value of this metric could be on both sides of.

        Raises:
            UsageError: it is of that kind.
        """
        try:
            error = self.error(threshold)
        except OverflowError:
            error = math.inf
        if not 0 < error < math.inf:
            raise UsageError(
                f"--threshold {threshold:g}: no value of {self.value} is worse, or none is better. "
                "Give one between those of the two ends."
            )

    def from_error(self, error: float) -> float:
        """Return the value of this metric that stands for an error greater than 0."""
        if self is Metric.SNR_DB:
            return -20 * math.log10(error)
        if self is Metric.COSINE:
            return 1 - error * error / 2
        return error


@dataclass(frozen=True)
class Observation:
    """What one measurement of one revision came to."""

    event: Event
    value: float | None = None
    """The value of the metric; set if and only if the event is `MEASURED`."""
    detail: str = ""
    """The first error of the log, the signal, the missing layer."""

    def __post_init__(self) -> None:
        """Refuse a number without a measurement and the reverse (`ValueError`)."""
        if (self.value is not None) != (self.event is Event.MEASURED):
            raise ValueError(f"a value of {self.value} does not go with {self.event}")

    def __str__(self) -> str:
        """Return the number, or the event with its detail."""
        if self.value is not None:
            return short(self.value, DIGITS)
        return f"{self.event} ({self.detail})" if self.detail else str(self.event)


@dataclass(frozen=True)
class Judgement:
    """The verdict of one measurement and why."""

    outcome: Outcome
    near: bool
    """The value lies within the band around the threshold."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """What makes a revision good or bad in one bisection."""

    metric: Metric
    threshold: float | None
    """In the unit of the metric; None where the question is whether the run fails."""
    rules: Rules

    @cached_property
    def _limit_in_words(self) -> str:
        return short(self.threshold or 0.0, DIGITS)

    def judge(self, observation: Observation) -> Judgement:
        """Return the verdict of one measurement."""
        if observation.value is None:
            return Judgement(self.rules.of(observation.event), near=False, reason=str(observation))
        if math.isnan(observation.value):
            return self.judge(Observation(Event.NAN, detail=f"{self.metric} is NaN"))
        if self.threshold is None:
            return Judgement(
                Outcome.GOOD, near=False, reason=f"{self.metric} {observation}: it runs"
            )
        error = max(self.metric.error(observation.value), self.rules.floor)
        limit = self.metric.error(self.threshold)
        bad = error > limit
        return Judgement(
            Outcome.BAD if bad else Outcome.GOOD,
            near=limit / self.rules.near < error < limit * self.rules.near,
            reason=f"{self.metric} {observation} is {'beyond' if bad else 'within'} "
            f"{self._limit_in_words}",
        )


_SOUGHT = frozenset({Event.RUN_FAILED, Event.NAN})


def criterion_between(
    good: Observation,
    bad: Observation,
    *,
    metric: Metric,
    rules: Rules | None = None,
    threshold: float | None = None,
    limit: float | None = None,
) -> Criterion | str:
    """Return the question that tells the two ends apart, or why there is none.

    The threshold, if none is given, is the limit where it lies clearly between both errors, else
    their geometric mean, provided they are at least `rules.apart` apart. So it is never below the
    limit: what is within tolerance is never bad, and of several steps the one that crosses the
    limit is the answer. The order does not matter, so that swapped ends are recognised by
    the search and not here. If one end gives a number and the other crashes or gives NaN, that
    event becomes bad and every number good (unless a threshold says more): it is what the user is
    after. A revision that does not build is never taken for the thing looked for, unless the
    rules say so.

    Args:
        good: what the good end gives.
        bad: what the bad end gives.
        metric: what is measured.
        rules: what each event means.
        threshold: what the user says divides good from bad; it may be below the limit.
        limit: error, as `Metric.error` has it, up to which nothing is wrong; None if unknown.

    Raises:
        UsageError: a threshold that no error of this metric can exceed.
    """
    rules = rules or Rules()
    if threshold is not None and not metric.error(threshold) > 0:
        raise UsageError(
            f"--threshold {threshold} of {metric} stands for no error at all: give the value "
            "that divides good from bad"
        )
    numbers = [each.value for each in (good, bad) if each.value is not None]
    failed = {each.event for each in (good, bad) if each.value is None}
    if len(numbers) == 1:
        sought = {event.replace("-", "_"): Outcome.BAD for event in failed & _SOUGHT}
        rules = rules.model_copy(update=sought)
    if failed:
        if len(numbers) == 1 and rules.of(next(iter(failed))).decides:
            return Criterion(metric=metric, threshold=threshold, rules=rules)
        return f"not both ends can be tested: the good end gives {good}, the bad end gives {bad}"
    if threshold is None:
        errors = [max(metric.error(value), rules.floor) for value in numbers]
        if limit is not None and max(errors) <= limit:
            return within_tolerance(metric, good, bad, limit)
        if not max(errors) >= rules.apart * min(errors):
            return (
                f"not reproducible: {metric} is {good} at the good end and {bad} at the bad end, "
                f"less than a factor of {rules.apart:g} apart; name other ends or a --threshold"
            )
        threshold = metric.from_error(_dividing(min(errors), max(errors), limit, rules))
    return Criterion(metric=metric, threshold=threshold, rules=rules)


def within_tolerance(metric: Metric, good: Observation, bad: Observation, limit: float) -> str:
    """Return why two ends that are both within tolerance leave nothing to look for."""
    return (
        f"both ends are within tolerance: {metric} is {good} at the good end and {bad} at the bad "
        f"end, and {short(metric.from_error(limit), DIGITS)} is allowed, so that no revision is at "
        "fault. Name other ends, another --layer or --run, or give a --threshold between the two "
        "to learn which revision made this difference"
    )


def _dividing(low: float, high: float, limit: float | None, rules: Rules) -> float:
    """Return the error that divides a good end from a bad one, of which one is beyond the limit."""
    if limit is not None and low * rules.near <= limit:
        return limit
    return math.sqrt(low * high)
