"""Made-up errors that depend on run options and threads: what is said of them must be true."""

from __future__ import annotations

from itertools import combinations
from random import Random
from secrets import randbits
from typing import TYPE_CHECKING

import pytest

from harness.analysis.bisection.conditions import Conditions, conditions, everything_off
from harness.analysis.bisection.configurations import Comparison, differences
from harness.analysis.bisection.criterion import Criterion, Metric
from harness.analysis.bisection.search_driver import Terms
from harness.config.rules import Rules
from harness.domain.spec import RunSpec
from harness.util.errors import NotReproducibleError
from tests.analysis.bisection.fake import FakeTester, point, subject, variant

if TYPE_CHECKING:
    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.history import Point

OPTIONS = ("use_a", "use_b", "use_c", "use_d")
NAMES = (*(f"{name}=true" for name in OPTIONS), "num_threads=2")
CASES = 400
On = frozenset[str]


class Fault:
    """An error that shows where certain settings are in force together, and others are not."""

    def __init__(self, random: Random) -> None:
        self.causes = self._sets(random, random.choice((1, 1, 2, 3)))
        # Some are masked: with a further option on they do not show, so that less is more.
        self.masks = self._sets(random, 1) if random.random() < 0.3 else []
        self.always = random.random() < 0.1

    @staticmethod
    def _sets(random: Random, count: int) -> list[On]:
        return [frozenset(random.sample(NAMES, random.choice((1, 1, 2, 3)))) for _ in range(count)]

    def shows(self, on: On) -> bool:
        if self.always:
            return True
        return any(each <= on for each in self.causes) and not any(e <= on for e in self.masks)


def in_force(how: Variant) -> On:
    options = {**dict.fromkeys(OPTIONS, True), **dict(how.run.options)}
    on = {f"{name}=true" for name, value in options.items() if value is True}
    return frozenset(on | ({"num_threads=2"} if how.run.threads == 2 else set()))


def asked(change: Fault, end: Fault, flaky: float, random: Random) -> Conditions:
    def value(where: Point, how: Variant, _: bool) -> float:
        shows = (change if int(where.id) == 1 else end).shows(in_force(how))
        return 1e-2 if shows is not (random.random() < flaky) else 1e-7

    options: dict[str, bool | int] = dict.fromkeys(OPTIONS, True)
    bad = variant()
    bad = type(bad)(flags=bad.flags, run=RunSpec(name="r", threads=2))
    good = everything_off(bad, options, builds_too=False)
    comparison = Comparison(
        tester=FakeTester(value, by_setting=True).real,
        subject=subject(alone=True),
        point=point(1),
        good=good,
        bad=bad,
        terms=Terms(),
        listener=lambda _: None,
    )
    items = differences(good, bad, known=frozenset(), defaults=options)
    assert sorted(map(str, items)) == sorted(NAMES)
    criterion = Criterion(metric=Metric.SCALE_RELATIVE, threshold=4e-5, rules=Rules())
    return conditions(comparison, items, criterion, bad_end=point(2))


def falsehoods(told: Conditions, change: Fault, end: Fault) -> list[str]:
    """Return which of the statements are false."""
    everything = frozenset(NAMES)

    def back(words: tuple[str, ...]) -> On:
        names = {word.partition("=")[0] for word in words}
        return frozenset(each for each in everything if each.partition("=")[0] not in names)

    found = [f"needs {each}" for each in told.needs if change.shows(everything - {each})]
    for words in told.enough:
        less = [frozenset(each) for each in combinations(words, len(words) - 1)]
        if not change.shows(frozenset(words)) or any(map(change.shows, less)):
            found.append(f"enough {words}")
    found += [
        f"cure {words}"
        for words in told.cures
        if change.shows(back(words)) or end.shows(back(words))
    ]
    if any("it shows, too" in line for line in told.evidence) and not change.shows(frozenset()):
        found.append("shows with everything off")
    return found


@pytest.mark.parametrize("fixed", [1, None])
@pytest.mark.parametrize("flaky", [0.0, 0.05])
def test_nothing_false_is_said_of_what_it_takes(fixed: int | None, flaky: float) -> None:
    seed = randbits(32) if fixed is None else fixed  # another one in each run
    wrong: list[str] = []
    cured = curable = answers = 0
    for number in range(CASES):
        random = Random(f"{seed}/{number}")
        change = Fault(random)
        end = change if random.random() < 0.7 else Fault(random)
        everything = frozenset(NAMES)
        if not change.shows(everything):
            continue
        try:
            told = asked(change, end, flaky, random)
        except NotReproducibleError:
            assert flaky, f"case {number} of seed {seed}"
            continue
        answers += 1
        false = falsehoods(told, change, end)
        wrong += [f"case {number} of seed {seed}: {false} in {told}"] if false else []
        singles = [everything - {name} for name in NAMES]
        if any(not change.shows(each) and not end.shows(each) for each in singles):
            curable += 1
            cured += bool(told.cures)
    assert answers > CASES / 3
    assert len(wrong) <= (0.03 * answers if flaky else 0), wrong
    assert cured >= curable * (0.9 if flaky else 1)
