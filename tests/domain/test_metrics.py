import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from harness.domain.metrics import measure

Array = NDArray[Any]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    elements = st.floats(-1e6, 1e6, width=32, allow_subnormal=False) | st.sampled_from(
        [0.0, math.nan, math.inf, -math.inf]
    )
    arrays = hnp.arrays(np.float32, shape, elements=elements)
    return draw(arrays), draw(arrays)


def naive(actual: Array, reference: Array) -> dict[str, float]:
    known = [
        (float(a), float(r))
        for a, r in zip(actual.flat, reference.flat, strict=True)
        if math.isfinite(r)
    ]
    both = [(a, r) for a, r in known if math.isfinite(a)]
    errors = [abs(a - r) for a, r in both]
    scale = max((abs(r) for _, r in both), default=0.0)
    signal = math.fsum(r * r for _, r in both)
    power = math.fsum(a * a for a, _ in both)
    noise = math.fsum(e * e for e in errors)
    worst = max(errors, default=0.0)
    norms = math.sqrt(signal) * math.sqrt(power)
    return {
        "max_abs": worst,
        "mean_abs": math.fsum(errors) / len(errors) if errors else 0.0,
        "scale_relative": worst / scale if scale else worst,
        "cosine": math.fsum(a * r for a, r in both) / norms if norms else float(signal == power),
        "snr_db": decibels(signal, noise),
        "nan": sum(math.isnan(a) for a, _ in known),
        "inf": sum(math.isinf(a) for a, _ in known),
    }


def decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


@given(pairs())
def test_equals_naive_formulas(pair: tuple[Array, Array]) -> None:
    assert measure(*pair).model_dump() == pytest.approx(naive(*pair), rel=1e-9, abs=1e-9)


@given(pairs())
def test_an_array_is_no_error_away_from_itself(pair: tuple[Array, Array]) -> None:
    result = measure(pair[1], pair[1].astype(np.float64))
    assert (result.max_abs, result.snr_db, result.nan, result.inf) == (0, math.inf, 0, 0)
    assert result.cosine == pytest.approx(1)


def test_blocks_make_no_difference() -> None:
    random = np.random.default_rng(0)
    reference = random.normal(size=(3, 50_000))
    actual = reference + random.normal(scale=1e-3, size=reference.shape)
    actual[1, 7], actual[2, 9], reference[2, 49_999] = math.nan, -math.inf, math.nan
    assert measure(actual, reference).model_dump() == pytest.approx(
        naive(actual, reference), rel=1e-12
    )


@pytest.mark.parametrize(
    ("actual", "reference", "scale_relative", "cosine", "snr_db"),
    [
        ([], [], 0, 1, math.inf),
        ([0.0, 0.0], [0.0, 0.0], 0, 1, math.inf),
        ([0.0, 1e-9], [0.0, 0.0], 1e-9, 0, -math.inf),
        ([0.0, 0.0], [0.0, -2.0], 1, 0, 0),
        ([0.0, 1.9], [0.0, 2.0], 0.05, 1, 20 * math.log10(20)),
        ([-1.0, 2.0], [1.0, -2.0], 2, -1, -20 * math.log10(2)),
    ],
)
def test_edges(
    actual: list[float],
    reference: list[float],
    scale_relative: float,
    cosine: float,
    snr_db: float,
) -> None:
    result = measure(np.array(actual, np.float64), np.array(reference, np.float64))
    expected = pytest.approx((scale_relative, cosine, snr_db))
    assert (result.scale_relative, result.cosine, result.snr_db) == expected


def test_counts_only_where_reference_is_finite() -> None:
    actual = np.array([math.nan, math.inf, math.nan, math.inf, 1e200, 3.0])
    reference = np.array([1.0, 1.0, math.nan, math.inf, 2.0, 3.0])
    result = measure(actual, reference)
    assert (result.nan, result.inf, result.max_abs, result.cosine) == (1, 2, 0, 1)


def test_arguments_stay_as_they_are() -> None:
    actual, reference = np.ones(3), np.zeros(3)
    measure(actual, reference)
    assert actual.tolist() == [1, 1, 1]
    assert reference.tolist() == [0, 0, 0]


def test_small_errors_of_float32_are_not_rounded_away() -> None:
    reference = np.full(1000, 1.0)
    actual = np.full(1000, 1.0 + 1e-12)
    assert measure(actual, reference).mean_abs == pytest.approx(1e-12, rel=1e-3)


def test_shapes_must_be_equal() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\) against \(3, 2\)"):
        measure(np.zeros((2, 3)), np.zeros((3, 2)))
