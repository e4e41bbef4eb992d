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


HUGE = float(np.finfo(np.float32).max)
INFINITE = 1e37


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    elements = st.floats(-1e6, 1e6, width=32, allow_subnormal=False) | st.sampled_from(
        [0.0, math.nan, math.inf, -math.inf, HUGE, -HUGE]
    )
    arrays = hnp.arrays(np.float32, shape, elements=elements)
    return draw(arrays), draw(arrays)


def naive(actual: Array, reference: Array) -> dict[str, float]:
    """What `measure` says, written down element by element."""
    every = [(float(a), float(r)) for a, r in zip(actual.flat, reference.flat, strict=True)]
    both = [(a, r) for a, r in every if abs(a) < INFINITE and abs(r) < INFINITE]
    known = [(a, r) for a, r in every if not math.isnan(r)]
    numbers = [(a, r) for a, r in known if not math.isnan(a)]
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
        "inf": sum(
            abs(a) >= INFINITE and not (abs(r) >= INFINITE and a * r > 0) for a, r in numbers
        ),
        "finite": sum(abs(a) < INFINITE <= abs(r) for a, r in numbers),
        "undefined": sum(math.isnan(r) and not math.isnan(a) for a, r in every),
        "compared": len(both)
        + sum(abs(a) >= INFINITE and abs(r) >= INFINITE and a * r > 0 for a, r in numbers),
        "blank": bool(both) and scale == 0,
        "channel_relative": 0,
        "channel_floor": 0,
    }


def decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


@given(pairs())
def test_equals_naive_formulas(pair: tuple[Array, Array]) -> None:
    assert measure(*pair).model_dump(exclude={"channel"}) == pytest.approx(
        naive(*pair), rel=1e-9, abs=1e-9
    )


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
    assert measure(actual, reference).model_dump(exclude={"channel"}) == pytest.approx(
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


@pytest.mark.parametrize(
    ("actual", "reference", "nan", "inf", "finite", "undefined"),
    [
        (math.nan, 1.0, 1, 0, 0, 0),
        (math.inf, 1.0, 0, 1, 0, 0),
        (math.nan, math.nan, 0, 0, 0, 0),
        (1.0, math.nan, 0, 0, 0, 1),
        (math.inf, math.nan, 0, 0, 0, 1),
        (-math.inf, -math.inf, 0, 0, 0, 0),
        (-HUGE, -math.inf, 0, 0, 0, 0),
        (-math.inf, -HUGE, 0, 0, 0, 0),
        (1e300, HUGE, 0, 0, 0, 0),
        (5.0, -math.inf, 0, 0, 1, 0),
        (math.inf, -math.inf, 0, 1, 0, 0),
        (HUGE, -HUGE, 0, 1, 0, 0),
        (math.nan, math.inf, 1, 0, 0, 0),
    ],
)
def test_what_is_not_finite_is_compared_and_counted(
    actual: float, reference: float, nan: int, inf: int, finite: int, undefined: int
) -> None:
    result = measure(np.array([actual, 3.0]), np.array([reference, 3.0]))
    assert (result.nan, result.inf, result.finite, result.undefined) == (
        nan,
        inf,
        finite,
        undefined,
    )
    assert (result.max_abs, result.cosine) == (0, 1)
    assert result.is_broken == bool(nan or inf or finite)


@pytest.mark.parametrize(
    ("actual", "reference", "wrong"),
    [
        ([0.0, 0.0], [1.0, 2.0], True),  # nothing was computed
        ([-1.0, -2.0], [1.0, 2.0], True),
        ([1.0, 1.5], [1.0, 2.0], False),
        ([1e-9, 5.0], [0.0, 0.0], False),  # beside zeros nothing says how much is much
        ([math.nan, 2.0], [1.0, 2.0], True),
    ],
)
def test_wrong_values(actual: list[float], reference: list[float], wrong: bool) -> None:
    assert measure(np.array(actual), np.array(reference)).is_wrong is wrong


def test_a_bad_channel_is_seen_beside_one_that_is_larger() -> None:
    reference = np.stack([np.linspace(1, 300, 40), np.linspace(0.1, 1, 40), np.full(40, 1e-9)])
    actual = reference * np.array([[1], [1.007], [1]])
    result = measure(actual, reference, np.full(3, 1e-9))
    assert result.scale_relative == pytest.approx(0.007 / 300)
    # The scale of a channel is not taken to be less than a 64th of the largest.
    assert result.channel == 1
    assert result.channel_relative == pytest.approx(0.007 / (300 / 64))
    assert result.channel_floor == pytest.approx(1e-9 / (300 / 64))


def test_the_worst_channel_is_the_one_furthest_beyond_its_noise() -> None:
    reference = np.ones((3, 5))
    actual = reference + np.array([[1e-3], [1e-2], [2e-3]])
    assert measure(actual, reference, np.array([0, 1e-2, 0])).channel == 2
    assert measure(actual, reference, np.array([1e-6, 1e-5, 1e-3])).channel == 1


@pytest.mark.parametrize(
    ("shape", "noises"), [((6,), 6), ((1, 6), 1), ((6, 1), 6), ((2, 3), 3), ((2, 3), 1)]
)
def test_where_channels_are_not_told_apart(shape: tuple[int, ...], noises: int) -> None:
    """Of one number each, of one alone, or of which the noise is not known."""
    result = measure(np.full(shape, 1.1), np.ones(shape), np.zeros(noises))
    assert (result.channel, result.channel_relative) == (None, 0)


@given(pairs(), st.integers(-60, 60), st.randoms(use_true_random=False))
def test_neither_unit_nor_order_matters(
    pair: tuple[Array, Array], exponent: int, random: Any
) -> None:
    actual, reference = (np.where(np.abs(x) >= 1e37, 0, x).astype(np.float64) for x in pair)
    order = list(range(actual.size))
    random.shuffle(order)
    unit = 2.0**exponent
    plain = measure(actual, reference)
    other = measure(actual.reshape(-1)[order] * unit, reference.reshape(-1)[order] * unit)
    counts = ("nan", "inf", "finite", "undefined", "blank")
    assert [getattr(other, name) for name in counts] == [getattr(plain, name) for name in counts]
    scale = unit if plain.blank else 1
    assert other.scale_relative == plain.scale_relative * scale
    assert other.max_abs == plain.max_abs * unit


@given(
    hnp.arrays(np.float64, (4, 6), elements=st.floats(-1e3, 1e3, width=32, allow_subnormal=False)),
    hnp.arrays(np.float64, (4, 6), elements=st.floats(-1, 1, width=32, allow_subnormal=False)),
    st.integers(-60, 60),
    st.permutations(range(4)),
)
def test_neither_unit_nor_order_matters_to_channels(
    reference: Array, error: Array, exponent: int, order: list[int]
) -> None:
    noise, unit = np.array([1e-6, 1e-4, 0, 1e-5]), 2.0**exponent
    plain = measure(reference + error, reference, noise)
    actual = ((reference + error) * unit)[order]
    other = measure(actual, reference[order] * unit, noise[order] * unit)
    if plain.channel is None:
        assert other.channel is None
        return
    known = [(each.channel_relative, each.channel_floor) for each in (plain, other)]
    # Of channels that are equally bad, it may be another.
    excesses = [relative / max(floor, 1e-5) for relative, floor in known]
    assert excesses[0] == pytest.approx(excesses[1], rel=1e-12)


def test_channels_of_any_width_are_measured_alike() -> None:
    random = np.random.default_rng(0)
    for shape in ((3, 70_000), (7, 17), (9, 16), (40_000, 2), (5, 3, 11)):
        reference = random.normal(size=shape)
        actual = reference + random.normal(scale=1e-3, size=shape)
        scales = np.abs(reference).reshape(shape[0], -1).max(axis=1)
        scales = np.maximum(scales, scales.max() / 64)
        errors = np.abs(actual - reference).reshape(shape[0], -1).max(axis=1) / scales
        result = measure(actual, reference, np.zeros(shape[0]))
        assert result.channel == int(errors.argmax())
        assert result.channel_relative == pytest.approx(float(errors.max()))


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


@pytest.mark.parametrize(
    ("actual", "reference", "void"),
    [
        ([], [], True),
        ([math.nan, math.nan], [math.nan, math.nan], True),
        ([1.0, math.nan], [math.nan, math.nan], True),
        ([1.0, math.nan], [1.0, math.nan], False),
        ([math.nan], [1.0], False),
        ([-math.inf], [-math.inf], False),
    ],
)
def test_where_nothing_was_compared(
    actual: list[float], reference: list[float], void: bool
) -> None:
    assert measure(np.array(actual), np.array(reference)).is_void == void
