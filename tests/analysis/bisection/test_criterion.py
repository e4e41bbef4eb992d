import math

import pytest
from pydantic import ValidationError

from harness.analysis.bisection.criterion import Criterion, Metric, Observation, criterion_between
from harness.config.rules import Rules
from harness.domain.outcomes import Event, Outcome
from harness.util.errors import UsageError


def measured(value: float) -> Observation:
    return Observation(Event.MEASURED, value)


CRASH = Observation(Event.RUN_FAILED, detail="SIGSEGV")
NAN = Observation(Event.NAN)
NO_BUILD = Observation(Event.BUILD_FAILED)


@pytest.mark.parametrize(
    ("metric", "good", "bad", "threshold"),
    [
        (Metric.SCALE_RELATIVE, 1e-6, 1e-2, 1e-4),
        (Metric.MAX_ABS, 1e-2, 1e-6, 1e-4),
        (Metric.SNR_DB, 120.0, 40.0, 80.0),
        (Metric.COSINE, 1 - 1e-10, 1 - 1e-4, 1 - 1e-7),
        (Metric.SCALE_RELATIVE, 0.0, 2.0**-13, 2.0**-18),
        (Metric.SNR_DB, math.inf, 20 * math.log10(2**13), 20 * math.log10(2**18)),
    ],
)
def test_default_threshold(metric: Metric, good: float, bad: float, threshold: float) -> None:
    criterion = criterion_between(measured(good), measured(bad), metric=metric)
    assert isinstance(criterion, Criterion)
    assert criterion.threshold == pytest.approx(threshold, rel=1e-6)
    rulings = [criterion.judge(measured(value)) for value in (good, bad)]
    assert {each.outcome for each in rulings} == {Outcome.GOOD, Outcome.BAD}
    assert not any(each.near for each in rulings)


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        (measured(1.1e-3), measured(2.5e-3), ["0.0011", "0.0025", "factor of 4"]),
        (measured(0.0), measured(1e-7), ["0", "1e-7", "not reproducible"]),
        (NO_BUILD, measured(1.0), ["build-failed", "bad end gives 1"]),
        (CRASH, NAN, ["run-failed (SIGSEGV)", "nan"]),
    ],
)
def test_no_question(good: Observation, bad: Observation, words: list[str]) -> None:
    refusal = criterion_between(good, bad, metric=Metric.MAX_ABS)
    assert isinstance(refusal, str)
    assert all(word in refusal for word in words)


@pytest.mark.parametrize(
    ("good", "bad", "limit", "threshold"),
    [
        (1e-7, 1e-3, 4e-5, 4e-5),
        (1e-3, 1e-7, 4e-5, 4e-5),
        (1e-7, 10.0, 4e-5, 4e-5),
        (2e-5, 1e-3, 4e-5, 4e-5),
        (1e-7, 4.1e-5, 4e-5, 4e-5),
        # A good end just within the limit, or beyond it: half way.
        (3.9e-5, 3.9e-3, 4e-5, 3.9e-4),
        (1e-3, 1e-1, 4e-5, 1e-2),
        (1e-6, 1e-2, None, 1e-4),
    ],
)
def test_threshold_is_never_below_the_limit(
    good: float, bad: float, limit: float | None, threshold: float
) -> None:
    criterion = criterion_between(
        measured(good), measured(bad), metric=Metric.SCALE_RELATIVE, limit=limit
    )
    assert isinstance(criterion, Criterion)
    assert criterion.threshold == pytest.approx(threshold)


@pytest.mark.parametrize(("good", "bad"), [(1.3e-7, 6e-7), (1e-7, 3.9e-5), (6e-7, 1.3e-7)])
def test_ends_within_tolerance_accuse_nobody(good: float, bad: float) -> None:
    ends = measured(good), measured(bad)
    refusal = criterion_between(*ends, metric=Metric.SCALE_RELATIVE, limit=4e-5)
    assert isinstance(refusal, str)
    assert all(word in refusal for word in ("within tolerance", *map(str, ends), "4e-5", "--thres"))
    own = criterion_between(*ends, metric=Metric.SCALE_RELATIVE, limit=4e-5, threshold=3e-7)
    assert isinstance(own, Criterion)
    assert own.threshold == 3e-7


@pytest.mark.parametrize(
    ("value", "outcome", "near"),
    [
        (1e-6, Outcome.GOOD, False),
        (0.8e-3, Outcome.GOOD, True),
        (1.2e-3, Outcome.BAD, True),
        (math.inf, Outcome.BAD, False),
        (math.nan, Outcome.SKIP, False),
    ],
)
def test_explicit_threshold(value: float, outcome: Outcome, near: bool) -> None:
    ends = measured(1.0e-3), measured(1.1e-3)
    criterion = criterion_between(*ends, metric=Metric.MAX_ABS, threshold=1e-3)
    assert isinstance(criterion, Criterion)
    judgement = criterion.judge(measured(value))
    assert (judgement.outcome, judgement.near) == (outcome, near)


def test_snr_is_better_when_larger() -> None:
    criterion = Criterion(metric=Metric.SNR_DB, threshold=60, rules=Rules())
    assert criterion.judge(measured(90)).outcome is Outcome.GOOD
    assert criterion.judge(measured(30)).outcome is Outcome.BAD
    assert criterion.judge(measured(59)).near


@pytest.mark.parametrize("event", [e for e in Event if e is not Event.MEASURED])
def test_nothing_but_numbers_decides_by_default(event: Event) -> None:
    rules = Rules()
    criterion = Criterion(metric=Metric.MAX_ABS, threshold=1.0, rules=rules)
    assert criterion.judge(Observation(event)).outcome is Outcome.SKIP
    if event is Event.MACHINE:
        return  # nobody can wish otherwise
    strict = Rules.model_validate({event.replace("-", "_"): "bad"})
    criterion = Criterion(metric=Metric.MAX_ABS, threshold=1.0, rules=strict)
    assert criterion.judge(Observation(event)).outcome is Outcome.BAD


def test_what_the_bad_end_shows_is_what_is_looked_for() -> None:
    criterion = criterion_between(measured(0.5), CRASH, metric=Metric.MAX_ABS)
    assert isinstance(criterion, Criterion)
    seen = [criterion.judge(each).outcome for each in (CRASH, measured(9.0), NAN, NO_BUILD)]
    assert seen == [Outcome.BAD, Outcome.GOOD, Outcome.SKIP, Outcome.SKIP]


def test_a_failed_build_is_looked_for_only_on_request() -> None:
    rules = Rules(build_failed=Outcome.BAD)
    criterion = criterion_between(measured(0.5), NO_BUILD, metric=Metric.MAX_ABS, rules=rules)
    assert isinstance(criterion, Criterion)
    assert criterion.judge(NO_BUILD).outcome is Outcome.BAD


@pytest.mark.parametrize(
    "wrong", [{"near": 3.0}, {"apart": 1.0}, {"nan": "awful"}, {"crashed": "bad"}]
)
def test_wrong_rules(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate(wrong)


def test_threshold_that_means_nothing() -> None:
    with pytest.raises(UsageError, match="no error at all"):
        criterion_between(measured(1.0), measured(0.5), metric=Metric.COSINE, threshold=1.0)


def test_number_goes_with_measurement() -> None:
    with pytest.raises(ValueError, match="does not go with"):
        Observation(Event.NAN, 1.0)
