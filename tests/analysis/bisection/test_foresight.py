"""Several revisions at the same time: the same answers as one by one, in less time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest

from harness.analysis.bisection.search_driver import SearchDriver, Terms
from harness.domain.outcomes import Event
from harness.util.errors import NotReproducibleError
from tests.analysis.bisection.fake import FakeTester, points, subject, variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.search_driver import Starting
    from harness.analysis.bisection.search_result import SearchResult
    from harness.analysis.bisection.submodel import Subject

GOOD, BAD = 1e-7, 1e-3


@dataclass
class Clocked(FakeTester):
    """A tester with some workers, each of which takes one unit of time for a measurement."""

    time: float = 0.0
    free: list[float] = field(default_factory=list)
    """When each worker is free."""
    under_way: dict[tuple[str, bool], float] = field(default_factory=dict)
    """When what has been begun ends."""

    def __post_init__(self) -> None:
        self.free = [0.0] * self.width

    def look_ahead(self, wanted: Sequence[tuple[Point, Subject]], how: Variant) -> None:
        waiting = {key: end for key, end in self.under_way.items() if end - 1 > self.time}
        asked = [(point.id, subject.alone) for point, subject in wanted]
        for key, end in waiting.items():
            if key not in asked:
                self.free[self.free.index(end)] -= 1
                del self.under_way[key]
        for key in asked:
            if key not in self.under_way:
                self._begin(key)

    def _begin(self, key: tuple[str, bool]) -> None:
        worker = self.free.index(min(self.free))
        self.free[worker] = max(self.free[worker], self.time) + 1
        self.under_way[key] = self.free[worker]

    def measure(self, where: Point, what: Subject, how: Variant) -> Measurement:
        key = (where.id, what.alone)
        if key not in self.under_way:
            self._begin(key)
        self.time = max(self.time, self.under_way.pop(key))
        return super().measure(where, what, how)


def searched(
    errors: Sequence[float | Event], width: int, seen: list[Starting] | None = None
) -> tuple[SearchResult | str, float]:
    history = points(len(errors))
    tester = Clocked(value=lambda point, *_: errors[int(point.id)], width=width)

    def listen(event: object) -> None:
        if seen is not None and hasattr(event, "beside"):
            seen.append(event)  # type: ignore[arg-type]

    driver = SearchDriver(
        tester=tester.real,
        subject=subject(alone=True),
        variant=variant(),
        points=history,
        terms=Terms(),
        listener=listen,
    )
    try:
        return driver.run(), tester.time
    except NotReproducibleError as error:
        return str(error), tester.time


def step(count: int, at: int) -> list[float | Event]:
    return [GOOD if i < at else BAD for i in range(count)]


def random_history(random: Random) -> list[float | Event]:
    count = random.randint(2, 200)
    errors: list[float | Event] = []
    level = GOOD
    for _ in range(count):
        level = random.choice((GOOD, BAD)) if random.random() < 3 / count else level
        errors.append(Event.BUILD_FAILED if random.random() < 0.1 else level)
    errors[0], errors[-1] = GOOD, BAD
    return errors


@pytest.mark.parametrize("seed", range(60))
def test_the_answer_is_the_same_with_any_number_of_workers(seed: int) -> None:
    errors = random_history(Random(seed))
    alone, _ = searched(errors, 1)
    for width in (2, 3, 8):
        found, _ = searched(errors, width)
        if isinstance(alone, str) or isinstance(found, str):
            assert found == alone
            continue
        assert found.answer == alone.answer
        assert found.standings == alone.standings
        assert found.count == alone.count


@pytest.mark.parametrize(("width", "factor"), [(2, 1.5), (3, 1.8), (7, 2.2)])
def test_with_more_workers_it_takes_less_time(width: int, factor: float) -> None:
    places = range(3, 1000, 83)
    serial, parallel = (
        math.fsum(searched(step(1000, at), workers)[1] for at in places) for workers in (1, width)
    )
    assert serial / parallel > factor


def test_it_tells_what_is_measured_beside() -> None:
    seen: list[Starting] = []
    searched(step(1000, 400), 3, seen)
    assert max(len(event.beside) for event in seen) == 2
    assert all(event.point not in event.beside for event in seen)
