import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.domain.metrics import measure
from harness.domain.records import LayerRecord, Metrics, Verdict
from harness.domain.verdict import Tolerance, judge, noise_floors, worst_output

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


@pytest.mark.parametrize(
    ("output", "layers", "reason"),
    [
        (error(0, nan=3), [], "the output has 3 NaN values"),
        (error(0, nan=1, inf=2), [], "the output has 1 NaN and 2 infinite values"),
        (error(1), [layer(error(0, inf=5))], "InnerProduct fc has 5 infinite values"),
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


def test_noise_floors_of_float_values() -> None:
    wide: dict[str, Any] = {"y": np.array([2.0]), "shape": np.array([3]), "more": np.zeros(1)}
    narrow: dict[str, Any] = {"y": np.array([2.0 + 2**-13]), "shape": np.array([4])}
    assert noise_floors(narrow, wide) == {"y": 2**-14}


def test_noise_floor_that_is_no_rounding_excuses_nothing() -> None:
    assert noise_floors({"y": np.array([2.5])}, {"y": np.array([2.0])}) == {}


def test_values_near_zero_are_no_drop() -> None:
    zero = np.zeros(9)
    assert judge({OUT: error(0)}, [layer(measure(zero + 1e-9, zero))], DEFAULT)[0] == Verdict.OK
    assert judge({OUT: error(0)}, [layer(measure(zero + 1e-3, zero))], DEFAULT)[0] == Verdict.DROP
    # What is left where larger values cancel out.
    left = np.full(9, 1e-7)
    assert judge({OUT: error(0)}, [layer(measure(left * 2, left))], DEFAULT)[0] == Verdict.OK


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
    expected = max([output, *(value for value in layers if value > 1e-6)]) <= limit
    assert (narrow is Verdict.OK) == expected


@pytest.mark.parametrize(
    "settings", [{"layer": 0}, {"output": -1}, {"floors": 0.5}, {"absolute": -1}, {"lair": 1}]
)
def test_nonsense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Tolerance(**settings)
