from pathlib import Path

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
    assert grown_layer(good, bad, Metric.SCALE_RELATIVE, Rules()) == "b"
    assert grown_layer(bad, bad, Metric.SCALE_RELATIVE, Rules()) is None


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

    def found() -> tuple[int, int]:
        return ends_among(
            points(len(errors)), measure, metric=Metric.MAX_ABS, rules=Rules(), threshold=None
        )

    if ends:
        assert found() == ends
    else:
        with pytest.raises(NotReproducibleError, match=r"no release before .*change"):
            found()
