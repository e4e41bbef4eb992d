from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.bisection.answers import AnswerKind
from harness.analysis.bisection.bed import Variant
from harness.analysis.bisection.history import Point
from harness.analysis.bisection.search import CHECKS
from harness.analysis.bisection.search_driver import Finished, SearchDriver, Starting, Terms
from harness.analysis.bisection.search_result import SearchResult
from harness.domain.outcomes import Event
from harness.util.errors import NotReproducibleError, UsageError
from tests.analysis.bisection.fake import FakeTester, Value, points, subject, variant

COUNT = 60


def jump(at: int, *, skips: frozenset[int] = frozenset()) -> Value:
    def value(point: Point, _: Variant, __: bool) -> float | Event:
        number = int(point.id)
        return Event.BUILD_FAILED if number in skips else 1e-2 if number >= at else 1e-6

    return value


def driver(
    tester: FakeTester,
    *,
    terms: Terms | None = None,
    seen: list[Finished | Starting] | None = None,
    classes: Sequence[int] = (),
) -> SearchResult:
    return SearchDriver(
        tester=tester.real,
        subject=subject(alone=True),
        variant=variant(),
        points=points(COUNT),
        terms=terms or Terms(),
        listener=(seen if seen is not None else []).append,
        classes=classes,
    ).run()


def test_answer_is_confirmed_on_the_whole_model() -> None:
    seen: list[Finished | Starting] = []
    result = driver(FakeTester(jump(23)), seen=seen)
    assert result.answer.kind is AnswerKind.FOUND
    assert result.answer.suspects == (23,)
    assert {int(point) for point in result.whole} == {22, 23}
    announced = [event for event in seen if isinstance(event, Starting)]
    assert [each.left for each in announced] == sorted((e.left for e in announced), reverse=True)
    assert announced[-1].steps >= 1


@settings(deadline=None, max_examples=60)
@given(st.integers(1, COUNT - 1), st.frozensets(st.integers(1, COUNT - 2), max_size=12), st.data())
def test_interrupted_anywhere_it_ends_at_the_same_answer(
    at: int, skips: frozenset[int], data: st.DataObject
) -> None:
    undisturbed = driver(FakeTester(jump(at, skips=skips)))
    tester = FakeTester(jump(at, skips=skips))
    while True:
        tester.patience = tester.measurements + data.draw(st.integers(1, 6))
        try:
            result = driver(tester)
        except KeyboardInterrupt:
            continue
        break
    assert set(result.answer.suspects) == set(undisturbed.answer.suspects)
    assert at in result.answer.suspects


def test_the_whole_model_has_the_last_word() -> None:
    def value(point: Point, _: Variant, alone: bool) -> float:
        number = int(point.id)
        return 1e-2 if number >= (30 if alone else 31) else 1e-6

    result = driver(FakeTester(value))
    assert result.answer.kind is AnswerKind.SUSPECTS
    assert result.answer.suspects == (30, 31)
    assert result.answer.unstable == (30,)


def test_layer_is_measured_again_where_the_whole_model_does_not_run() -> None:
    def value(point: Point, how: Variant, alone: bool) -> float | Event:
        return jump(9)(point, how, alone) if alone else Event.LACKS_LAYER

    result = driver(FakeTester(value))
    assert result.answer.suspects == (9,)
    assert not result.whole
    assert all(len(result.measurements[f"{n:040}"]) > 2 for n in (8, 9))


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (lambda *_: 1e-6, NotReproducibleError, ["1e-6", "change 0", "change 59"]),
        (lambda p, *_: 1e-6 if int(p.id) else 1e-2, UsageError, ["swapped", "0.01", "1e-6"]),
        (
            lambda p, *_: 1e-6 if int(p.id) else Event.BUILD_FAILED,
            NotReproducibleError,
            ["build-failed", "1e-6"],
        ),
    ],
)
def test_ends_that_answer_nothing(value: Value, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        driver(FakeTester(value))
    assert all(word in str(caught.value) for word in words)


def test_find_fix() -> None:
    def value(point: Point, _: Variant, __: bool) -> float:
        return 1e-6 if int(point.id) >= 41 else 1e-2

    result = driver(FakeTester(value), terms=Terms(find_fix=True))
    assert result.answer.suspects == (41,)


def classes_of_ten() -> list[int]:
    """Every tenth commit touches something."""
    return [number // 10 for number in range(COUNT)]


@pytest.mark.parametrize("at", [10, 20, 30, 40, 50])
def test_one_measurement_stands_for_all_that_give_the_same(at: int) -> None:
    tester = FakeTester(jump(at))
    result = driver(tester, classes=classes_of_ten())
    assert result.answer.suspects == (at,)
    assert {int(point) for point in result.whole} == {at - 1, at}
    # Both ends, three classes, the classes behind the answer, and both sides of it once more.
    assert len(result.measurements) <= 2 + 3 + CHECKS
    assert {int(point) for point in result.whole} == {at - 1, at}
    assert result.groups == 6


def test_untestable_class_does_not_use_up_the_patience() -> None:
    classes = [0, *([1] * 50), *range(2, COUNT - 49)]
    tester = FakeTester(jump(56, skips=frozenset(range(1, 51))))
    result = driver(tester, classes=classes)
    assert result.answer.suspects == (56,)


def test_only_commits_that_change_the_library_are_suspects() -> None:
    skips = frozenset(range(20, 30))
    result = driver(FakeTester(jump(30, skips=skips)), classes=classes_of_ten())
    assert result.answer.kind is AnswerKind.SUSPECTS
    assert result.answer.suspects == (20, 30)
    assert len([line for line in result.measurements if 20 <= int(line) < 30]) == 1


@pytest.mark.parametrize("at", [15, 19, 25, 51])
def test_commit_that_was_held_to_change_nothing_is_found_all_the_same(at: int) -> None:
    result = driver(FakeTester(jump(at)), classes=classes_of_ten())
    assert result.answer.suspects == (at,)
    assert {int(point) for point in result.whole} >= {at - 1, at}


def test_sides_are_measured_themselves_however_much_is_known_of_their_like() -> None:
    tester = FakeTester(jump(30))
    for number in (0, 25, 35, 45, 55, 59):
        for _ in range(9):
            tester.measure(points(COUNT)[number], subject(alone=True), variant())
    result = driver(tester, classes=classes_of_ten())
    assert result.answer.suspects == (30,)
    assert {int(point) for point in result.whole} == {29, 30}


def test_measurement_that_errs_once_does_not_mislead() -> None:
    def value(point: Point, how: Variant, alone: bool) -> float | Event:
        tester.memory[alone].setdefault(point.id, [])
        first = int(point.id) == 29 and not tester.memory[True][point.id]
        return 1e-2 if first else jump(34)(point, how, alone)

    tester = FakeTester(value)
    result = driver(tester)
    assert result.answer.suspects == (34,)
    assert result.answer.certainty > 0.99


def test_ends_that_look_alike_once_are_measured_again() -> None:
    def value(point: Point, how: Variant, alone: bool) -> float | Event:
        seen = tester.memory[True][point.id]
        return jump(34)(point, how, alone) if seen else 1e-6

    tester = FakeTester(value)
    assert driver(tester).answer.suspects == (34,)
