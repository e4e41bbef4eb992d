import math
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.bisection.criterion import Metric, Observation
from harness.analysis.bisection.history import Point
from harness.analysis.bisection.layer_selection import grown_layer, worst_beyond
from harness.analysis.bisection.measurement import Measurement, Memory
from harness.analysis.bisection.release_ends import ends_among
from harness.config.rules import Rules
from harness.domain.outcomes import Event
from harness.domain.records import LayerRecord, Metrics
from harness.domain.verdict import Tolerance
from harness.util.errors import NotReproducibleError
from tests.analysis.bisection.fake import error, measured, points


def layers(**errors: float | Metrics) -> Measurement:
    """A run of a whole model with these errors of single layers."""
    found = [
        LayerRecord(
            index=number,
            name=name,
            type=name.rstrip("0123456789"),
            blob=name,
            aligned="name",
            alone=value if isinstance(value, Metrics) else error(value),
        )
        for number, (name, value) in enumerate(errors.items())
    ]
    return Measurement(
        point="p", event=Event.MEASURED, layers=tuple(found), output=error(0.5), latency_ms=7.0
    )


SCALED = error(1e-3).model_copy(update={"max_abs": 50 * 1e-3, "snr_db": 20 * math.log10(50)})
"""Of a layer whose largest value is 50 and whose deviation has 2 % of the signal's amplitude."""
NAN = error(0.0).model_copy(update={"nan": 3})


@pytest.mark.parametrize(
    ("found", "watched", "metric", "expected"),
    [
        (
            layers(a=1e-3, b=2e-3),
            ("a", "b"),
            Metric.SCALE_RELATIVE,
            Observation(Event.MEASURED, 2e-3),
        ),
        (layers(a=1e-3, b=2e-3), ("a",), Metric.MAX_ABS, Observation(Event.MEASURED, 1e-3)),
        (layers(a=1e-3), (), Metric.SCALE_RELATIVE, Observation(Event.MEASURED, 0.5)),
        (layers(a=1e-3), (), Metric.LATENCY, Observation(Event.MEASURED, 7.0)),
        (layers(a=NAN), ("a",), Metric.MAX_ABS, Observation(Event.NAN, detail="3 NaN, 0 infinite")),
        (layers(a=1.0), ("z",), Metric.MAX_ABS, Observation(Event.RUN_FAILED, detail="no number")),
        (
            Measurement(point="p", event=Event.TIMEOUT, detail="60 s"),
            ("a",),
            Metric.MAX_ABS,
            Observation(Event.TIMEOUT, detail="60 s"),
        ),
    ],
)
def test_what_a_measurement_says(
    found: Measurement, watched: tuple[str, ...], metric: Metric, expected: Observation
) -> None:
    assert found.observation(watched, metric) == expected


def test_memory_survives_a_torn_line(tmp_path: Path) -> None:
    memory = Memory(path=tmp_path / "m.jsonl")
    assert memory.by_point() == {}
    for value in (1e-3, float("inf")):
        memory.append(measured("p", value, alone=True))
    with memory.path.open("a") as stream:
        stream.write('{"point": "p", "eve')
    assert [each.errors()["fc"].max_abs for each in memory.by_point()["p"]] == [1e-3, float("inf")]


def test_guilty_layer() -> None:
    limits = Tolerance()
    assert worst_beyond(layers(a=1e-3, b=2e-3), limits) == "b"
    assert worst_beyond(layers(a=1e-6), limits) is None
    good, bad = layers(a=1e-3, b=1e-6, c=1e-6), layers(a=2e-3, b=1e-4, c=2e-6)
    asked: dict[str, Any] = {"metric": Metric.SCALE_RELATIVE, "rules": Rules(), "tolerance": limits}
    assert grown_layer(good, bad, **asked) == "b"
    assert grown_layer(bad, bad, **asked) is None
    # What grew most is not at fault as long as it is within its limit.
    assert grown_layer(layers(a=1e-7, b=1e-5), layers(a=2e-5, b=1e-4), **asked) == "b"


@pytest.mark.parametrize(
    ("found", "watched", "metric", "expected"),
    [
        (layers(a=1e-3), ("a",), Metric.SCALE_RELATIVE, 4e-5),
        (layers(a=1e-3, b=1e-7), ("a", "b"), Metric.SCALE_RELATIVE, 4e-5),
        (layers(a=SCALED), ("a",), Metric.MAX_ABS, 50 * 4e-5),
        (layers(a=SCALED), ("a",), Metric.SNR_DB, 0.02 * 4e-5 / 1e-3),
        (layers(a=SCALED), ("a",), Metric.LATENCY, None),
        (layers(a=1e-3), (), Metric.SCALE_RELATIVE, 2e-5),
        (layers(a=1e-3), ("z",), Metric.SCALE_RELATIVE, None),
        (layers(a=1e-3, floor=1e-4), ("a",), Metric.SCALE_RELATIVE, 4e-5),
        (layers(a=1e-3, floor=1e-4), ("floor",), Metric.SCALE_RELATIVE, 4e-4),
    ],
)
def test_limit_in_the_unit_of_the_metric(
    found: Measurement, watched: tuple[str, ...], metric: Metric, expected: float | None
) -> None:
    """The layer `floor` has a noise floor of 1e-4."""
    known = tuple(
        each.model_copy(update={"floor": 1e-4 if each.name == "floor" else None})
        for each in found.layers
    )
    limit = found.model_copy(update={"layers": known}).limit(watched, metric, Tolerance())
    assert limit == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("errors", "ends"),
    [
        ("ggggbb", (3, 5)),
        ("gggggb", (4, 5)),
        ("gbbbbb", (0, 5)),
        ("gbbssb", (0, 5)),
        ("b", None),
        ("bbbbbb", None),
        ("ssssss", None),
    ],
)
def test_ends_among_releases(errors: str, ends: tuple[int, int] | None) -> None:
    kinds = {
        "g": Observation(Event.MEASURED, 1e-6),
        "b": Observation(Event.MEASURED, 1e-2),
        "s": Observation(Event.BUILD_FAILED),
    }

    def measure(point: Point) -> Observation:
        return kinds[errors[int(point.id)]]

    def found(limit: float | None = None) -> tuple[int, int]:
        asked: dict[str, Any] = {"metric": Metric.MAX_ABS, "rules": Rules(), "threshold": None}
        return ends_among(points(len(errors)), measure, **asked, limit=limit)

    if ends:
        assert found() == ends
        assert found(limit=1e-3) == ends
        with pytest.raises(NotReproducibleError, match="within tolerance"):
            found(limit=0.1)
    else:
        with pytest.raises(NotReproducibleError, match=r"no release before .*change"):
            found()
