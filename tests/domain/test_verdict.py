import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pydantic import ValidationError

from harness.domain.metrics import measure
from harness.domain.records import LayerRecord, Metrics, Verdict
from harness.domain.verdict import Tolerance, judge, own_excess, worst_output

Array = NDArray[Any]

DEFAULT = Tolerance()
OUT = "out"


def error(relative: float, *, scale: float = 1.0, **counts: int) -> Metrics:
    return Metrics(
        max_abs=relative * scale,
        mean_abs=0,
        scale_relative=relative,
        cosine=1,
        snr_db=math.inf,
        **{"nan": 0, "inf": 0, **counts},
    )


def layer(
    metrics: Metrics | None, name: str = "fc", *, blob: str = "b", floor: float | None = None
) -> LayerRecord:
    return LayerRecord(
        index=0,
        name=name,
        type="InnerProduct",
        blob=blob,
        aligned="name",
        chain=metrics,
        floor=floor,
    )


@pytest.mark.parametrize(
    ("output", "inner_product", "verdict"),
    [
        # Measured with and without fp16 weights, see docs/tolerance.md.
        (8.9e-6, 3.5e-6, Verdict.OK),
        (8.7e-6, 3.9e-6, Verdict.OK),
        (8.9e-6, 4.0e-6, Verdict.OK),
        (2.0e-6, 3.3e-6, Verdict.OK),
        (2.0e-4, 2.2e-3, Verdict.DROP),
        (3.3e-4, 2.5e-3, Verdict.DROP),
        (4.1e-5, 4.4e-4, Verdict.DROP),
        (1.4e-4, 7.4e-4, Verdict.DROP),
    ],
)
def test_measured_cases(output: float, inner_product: float, verdict: Verdict) -> None:
    both = judge({OUT: error(output)}, [layer(error(inner_product))], DEFAULT)
    assert both[0] == verdict
    assert judge({OUT: error(output)}, [], DEFAULT)[0] == verdict
    assert judge({OUT: error(0)}, [layer(error(inner_product))], DEFAULT)[0] == verdict
    assert bool(both[1]) == (verdict is Verdict.DROP)


def test_reason_of_a_drop_names_the_worst_layer_and_the_numbers() -> None:
    layers = [layer(error(1e-3), "one"), layer(error(2e-3), "two"), layer(error(1e-6), "fine")]
    assert judge({OUT: error(1e-4)}, layers, DEFAULT) == (
        Verdict.DROP,
        "output: scale-relative error 1.0e-4 above 2.0e-5; InnerProduct two: scale-relative "
        "error 2.0e-3 above 4.0e-5, the worst of 2 layers beyond their limits",
    )


def test_a_layer_that_only_passes_on_what_it_gets_is_not_named() -> None:
    """Behind it, a Softmax shows four times the error of the layer that made it."""
    guilty = layer(error(1e-3), "guilty").model_copy(update={"alone": error(9e-4)})
    after = layer(error(4e-3), "after").model_copy(update={"alone": error(1e-7)})
    _, reason = judge({OUT: error(1e-7)}, [guilty, after], DEFAULT)
    assert reason == (
        "InnerProduct guilty: scale-relative error 1.0e-3 above 4.0e-5, at fault by itself, "
        "one of 2 layers beyond their limits"
    )


@pytest.mark.parametrize(
    ("output", "layers", "reason"),
    [
        (error(0, nan=3), [], "the output has 3 NaN values"),
        (error(0, nan=1, inf=2), [], "the output has 1 NaN and 2 infinite values"),
        (error(1), [layer(error(0, inf=5))], "InnerProduct fc has 5 infinite values"),
        (error(0, finite=2), [], "the output has 2 finite instead of infinite values"),
        (
            error(0, nan=1),
            [layer(error(0, inf=5)), layer(error(1))],
            "the output has 1 NaN values, and 1 more",
        ),
    ],
)
def test_broken(output: Metrics, layers: list[LayerRecord], reason: str) -> None:
    assert judge({OUT: output}, layers, DEFAULT) == (Verdict.BROKEN, reason)


def test_layers_without_measures_do_not_count() -> None:
    assert judge({OUT: error(0)}, [layer(None)], DEFAULT) == (Verdict.OK, "")


def test_noise_floor_raises_the_limit_of_its_blob_only() -> None:
    def verdict(output: float, inner: float, **floors: float) -> Verdict:
        layers = [
            layer(error(inner), "a", blob="va", floor=floors.get("va")),
            layer(error(output), "y", blob=OUT, floor=floors.get(OUT)),
        ]
        return judge({OUT: error(output)}, layers, DEFAULT)[0]

    assert verdict(0, 1e-4, va=3e-5) == Verdict.OK
    assert verdict(0, 1e-4, va=2e-5) == Verdict.DROP
    assert verdict(0, 1e-4, **{OUT: 1}) == Verdict.DROP
    assert verdict(1e-4, 0, **{OUT: 3e-5}) == Verdict.OK


def test_where_any_output_would_do_there_is_no_verdict() -> None:
    def judged(output: float, floor: float, inner: float = 0) -> tuple[Verdict, str]:
        wide = layer(error(output), "y", blob=OUT, floor=floor)
        return judge({OUT: error(output)}, [wide, layer(error(inner), "a")], DEFAULT)

    verdict, reason = judged(0.9, 0.3)
    assert verdict is Verdict.SKIPPED
    assert reason.startswith(f"not judged: '{OUT}' is 0.9 of its largest value off")
    # It is right all the same, the floor leaves something to judge, or a layer is at fault.
    assert judged(1e-6, 0.3)[0] is Verdict.OK
    assert judged(0.5, 0.2)[0] is Verdict.OK
    assert judged(0.9, 0.3, inner=1e-3)[0] is Verdict.DROP


def test_rounding_that_added_up_on_the_way_is_no_drop() -> None:
    def verdict(chain: float, *own: float | None, output: float = 1e-6) -> Verdict:
        layers = [
            layer(error(chain), str(at)).model_copy(
                update={"alone": None if alone is None else error(alone)}
            )
            for at, alone in enumerate(own)
        ]
        return judge({OUT: error(output)}, layers, DEFAULT)[0]

    assert verdict(1e-4, 1e-6, 2e-6) is Verdict.OK
    # A layer is at fault, one was not measured, it is far beyond, or it reaches the output.
    assert verdict(1e-4, 1e-6, 1e-4) is Verdict.DROP
    assert verdict(1e-4, 1e-6, None) is Verdict.DROP
    assert verdict(1e-3, 1e-6, 2e-6) is Verdict.DROP
    assert verdict(1e-4, 1e-6, 2e-6, output=1e-4) is Verdict.DROP


def test_the_worst_of_several_outputs_counts_and_is_named() -> None:
    outputs = {"a": error(1e-6), "b": error(1e-3), "c": error(1e-4)}
    assert worst_output(outputs, [], DEFAULT) == ("b", DEFAULT.output)
    verdict, reason = judge(outputs, [], DEFAULT)
    assert verdict is Verdict.DROP
    assert reason.startswith("output b: scale-relative error 1.0e-3")
    assert (
        judge({"a": error(0), "b": error(0, nan=2)}, [], DEFAULT)[1] == "output b has 2 NaN values"
    )


def alone_too(metrics: Metrics, **update: Any) -> LayerRecord:
    return layer(metrics).model_copy(update={"alone": metrics, **update})


def channel(relative: float, floor: float = 0.0, *, error_of_all: float = 1e-6) -> Metrics:
    return error(error_of_all).model_copy(
        update={"channel": 3, "channel_relative": relative, "channel_floor": floor}
    )


def test_a_single_channel_counts_if_it_is_bad_alone_and_in_the_chain() -> None:
    def verdict(chain: Metrics, alone: Metrics | None) -> Verdict:
        return judge({OUT: error(0)}, [alone_too(chain, alone=alone)], DEFAULT)[0]

    bad, fine = channel(1e-2), channel(1e-5)
    assert verdict(bad, bad) is Verdict.DROP
    # What layers before it left there, or what the chain takes back, or nobody knows.
    assert verdict(bad, fine) is Verdict.OK
    assert verdict(fine, bad) is Verdict.OK
    assert verdict(bad, None) is Verdict.OK
    # It is as far off as honest arithmetic may be.
    assert verdict(channel(1e-2, 3e-3), channel(1e-2, 3e-3)) is Verdict.OK
    assert judge({OUT: error(0)}, [alone_too(bad), layer(error(0), "b")], DEFAULT)[1] == (
        "InnerProduct fc: channel 3 alone is 1.0e-2 of its scale off, above 4.0e-5"
    )


def test_a_layers_own_error_is_that_of_its_worst_channel() -> None:
    both = alone_too(channel(4e-3))
    assert own_excess(both, channel(4e-3), DEFAULT) == pytest.approx(100)
    assert own_excess(alone_too(channel(0)), channel(4e-3), DEFAULT) == pytest.approx(1e-6 / 4e-5)


ZERO = np.zeros((2, 9))


@pytest.mark.parametrize(
    ("off", "floor", "verdict"),
    [
        (0.0, None, Verdict.OK),
        # What is lost below the smallest normal number is no fault.
        (1e-38, None, Verdict.OK),
        (1e-30, None, Verdict.DROP),
        (1e-9, 1e-9, Verdict.OK),
        (1e-9, 1e-10, Verdict.DROP),
        (1e3, 1e3, Verdict.OK),
    ],
)
def test_beside_zeros_noise_is_the_only_scale(
    off: float, floor: float | None, verdict: Verdict
) -> None:
    one = layer(measure(ZERO + off, ZERO), floor=floor)
    found, reason = judge({OUT: error(0)}, [one], DEFAULT)
    assert found is verdict
    assert found is Verdict.OK or "where all should be 0" in reason
    output = layer(None, blob=OUT, floor=floor)
    assert judge({OUT: measure(ZERO + off, ZERO)}, [output], DEFAULT)[0] is verdict


def test_small_values_are_no_excuse() -> None:
    """Seven parts in a thousand are as bad in a layer of tiny values as in any."""
    values = np.random.default_rng(0).normal(size=(2, 50))
    softmax = np.full((2, 6625), 1 / 6625)
    for reference in (values * 1e-5, values * 1e-30, values * 1e30, softmax):
        found = measure(reference * (1 + 0.007 * np.sign(reference)), reference)
        assert judge({OUT: error(0)}, [layer(found)], DEFAULT)[0] is Verdict.DROP


def test_zeros_in_the_place_of_anything_are_called_wrong() -> None:
    reference = np.linspace(1, 2, 8)
    _, reason = judge({OUT: measure(reference * 0, reference)}, [], DEFAULT)
    assert reason == "output: wrong values, scale-relative error 1 above 2.0e-5"
    _, reason = judge({OUT: measure(reference * 0.5, reference)}, [], DEFAULT)
    assert reason == "output: scale-relative error 0.5 above 2.0e-5"


ARRAYS = hnp.arrays(np.float64, (3, 8), elements=st.floats(-1, 1, allow_subnormal=False))


@given(ARRAYS, ARRAYS, st.floats(1e-9, 1), st.floats(0, 1e-3), st.integers(-60, 60))
def test_the_unit_of_a_layers_values_does_not_matter(
    reference: Array, error_: Array, size: float, floor: float, exponent: int
) -> None:
    """All that a layer has is multiplied by a power of two: values, errors and noise."""

    def judged(unit: float) -> tuple[Verdict, float]:
        actual, right = (reference + size * error_) * unit, reference * unit
        found = measure(actual, right, np.full(3, floor * unit))
        # A floor beside nothing but zeros is in the unit of the values.
        known = floor * unit if found.blank else floor
        record = alone_too(found, floor=known)
        return judge({OUT: error(0)}, [record], DEFAULT)[0], own_excess(record, found, DEFAULT)

    verdict, excess = judged(1.0)
    other = judged(2.0**exponent)
    assert other[0] is verdict
    # Below the smallest normal number there is another scale, that of the format.
    assert other[1] == pytest.approx(excess) or not reference.any()


@given(st.floats(1e-8, 10), st.floats(0, 1), st.floats(1, 1.01), st.floats(1, 1.01))
def test_limits_have_no_cliff(value: float, floor: float, more: float, wider: float) -> None:
    """More error is never better, more noise never worse, and a little of it changes little."""
    one = DEFAULT.layer_excess(error(value), floor)
    assert DEFAULT.layer_excess(error(value * more), floor) >= one
    eased = DEFAULT.layer_excess(error(value), floor * wider)
    assert one / 1.011 <= eased <= one


@given(
    st.lists(st.floats(0, 1e-2), max_size=4),
    st.floats(0, 1e-2),
    st.floats(1e-7, 1e-2),
    st.floats(1, 10),
)
def test_a_wider_tolerance_never_turns_ok_into_drop(
    layers: list[float], output: float, limit: float, factor: float
) -> None:
    records = [layer(error(value)) for value in layers]
    narrow = judge({OUT: error(output)}, records, Tolerance(layer=limit, output=limit))[0]
    wide = Tolerance(layer=limit * factor, output=limit * factor)
    if narrow is Verdict.OK:
        assert judge({OUT: error(output)}, records, wide)[0] is Verdict.OK
    expected = max([output, *layers]) <= limit
    assert (narrow is Verdict.OK) == expected


@pytest.mark.parametrize("settings", [{"layer": 0}, {"output": -1}, {"floors": 0.5}, {"lair": 1}])
def test_nonsense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Tolerance(**settings)


@pytest.mark.parametrize(
    ("outputs", "verdict"),
    [
        ({}, Verdict.SKIPPED),
        ({OUT: error(0, compared=0)}, Verdict.SKIPPED),
        ({OUT: error(0, compared=0, undefined=8)}, Verdict.SKIPPED),
        ({OUT: error(0, compared=8), "other": error(0, compared=0)}, Verdict.SKIPPED),
        ({OUT: error(1, compared=8), "other": error(0, compared=0)}, Verdict.DROP),
        ({OUT: error(0, compared=0, nan=8)}, Verdict.BROKEN),
        ({OUT: error(0, compared=8)}, Verdict.OK),
        ({OUT: error(0)}, Verdict.OK),  # an older record does not say it
    ],
)
def test_nothing_is_ok_where_nothing_was_compared(
    outputs: dict[str, Metrics], verdict: Verdict
) -> None:
    found, reason = judge(outputs, [], DEFAULT)
    assert (found, bool(reason)) == (verdict, verdict is not Verdict.OK)
