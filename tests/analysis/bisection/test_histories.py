"""Thousands of made-up histories are bisected; nothing that is stated as certain may be false.

What an answer states, and when that is true:

- found: the commit before the suspect has the one state, the suspect the other;
- suspects: that is so of one of them, or of a commit between them that is told to touch nothing
  that is built (the answer says how many those are, and that their files alone tell it);
- checked: every revision named has the state after the change;
- other changes: the states of their sides differ, unless it says that one is near the threshold;
- steps beside: the true errors of both revisions differ as told, and both count alike;
- brought in by a merge: the suspect changed the state of the branch;
- refused: the ends do not differ by the limit, or are the other way round.

Where no measurement errs all of that must hold. Where some do, one answer in a hundred that is
stated with 99 % certainty may be wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from secrets import randbits
from typing import TYPE_CHECKING, cast

import pytest

from harness.analysis.bisection.answers import CERTAIN, AnswerKind
from harness.analysis.bisection.bisection import Bisection
from harness.analysis.bisection.drift import steps_beside
from harness.analysis.bisection.relevance import CommitClasses
from harness.analysis.bisection.search_driver import SearchDriver, Terms
from harness.domain.outcomes import Outcome
from harness.util.errors import HarnessError, NotReproducibleError, UsageError
from tests.analysis.bisection.fake import variant
from tests.analysis.bisection.histories import (
    ALONE,
    LIMIT,
    History,
    HistoryTester,
    branch,
    history,
    points,
)

if TYPE_CHECKING:
    from harness.analysis.bisection.history import Clone, Point
    from harness.analysis.bisection.search_result import SearchResult

RUNS = 2500
"""Histories per seed."""
FLOORS = {"step": 0.72, "drift": 0.65, "returned": 0.62, "twice": 0.58}
"""Share of the histories of a kind without errors in which the last cause is found, at least; where
commits next to it cannot be built, it cannot be."""
VARIANT = variant()


class _Bisection(Bisection):
    def _classes(self, *_: object) -> CommitClasses:
        return CommitClasses()


class _Clone:
    """A clone in which every commit is a merge of a branch."""

    def __init__(self, inside: list[Point]) -> None:
        self.inside = inside

    def opened(self, merge: str) -> list[Point]:
        return self.inside


def bisected(case: History, tester: HistoryTester) -> SearchResult | HarnessError:
    driver = SearchDriver(
        tester=tester.real,
        subject=ALONE,
        variant=VARIANT,
        points=points(len(case.errors)),
        terms=Terms(find_fix=case.find_fix, threshold=case.threshold),
        listener=lambda _: None,
        classes=case.classes,
    )
    try:
        return driver.run()
    except (NotReproducibleError, UsageError) as error:
        return error


def is_true(case: History, result: SearchResult) -> bool:
    """Return whether one of the suspects is a change as told."""
    transition = result.answer.transition
    assert transition
    assert result.criterion.threshold
    true = case.changes(result.criterion.threshold)
    becomes_bad = transition.becomes is Outcome.BAD
    suspects = set(transition.suspects)
    if len(suspects) > 1:
        between = range(transition.before + 1, transition.after + 1)
        suspects |= {i for i in between if case.classes and case.classes[i] == case.classes[i - 1]}
    return any((suspect, becomes_bad) in true for suspect in suspects)


def falsehoods(case: History, result: SearchResult) -> list[str]:
    """Return what is false of an answer beside the answer itself."""
    threshold = result.criterion.threshold
    assert threshold
    assert threshold == case.threshold if case.threshold else threshold >= LIMIT
    found = [
        f"checked {each}"
        for each in result.answer.checked
        if case.is_bad(each, threshold) is case.find_fix
    ]
    found += [
        f"change {each}"
        for each in result.answer.transitions
        if case.is_bad(each.before, threshold) is case.is_bad(each.after, threshold)
        and not any(result.standings[side].near for side in (each.before, each.after))
    ]
    for step in steps_beside(result.standings, result.values, result.criterion):
        true = case.errors[step.before], case.errors[step.after]
        told = math.log(step.values[1] / step.values[0])
        if abs(math.log(true[1] / true[0]) - told) > 8 * case.noise + 1e-6 or abs(told) < 1:
            found.append(f"step {step}")
        if case.is_bad(step.before, threshold) is not case.is_bad(step.after, threshold):
            found.append(f"alike {step}")
    return found


def wrongly_refused(case: History, error: HarnessError) -> bool:
    """Return whether the ends do differ as they should; that one cannot be tested is no claim."""
    text = str(error)
    if "untestable" in text or "cannot be tested" in text:
        return False
    old, new = case.errors[-1 if case.find_fix else 0], case.errors[0 if case.find_fix else -1]
    limit = case.threshold or LIMIT
    if "swapped" in text or case.threshold:
        return old <= limit < new
    return old * 4 * (1 + 6 * case.noise) < new > limit * (1 + 4 * case.noise)


def merged(case: History, result: SearchResult, random: Random) -> str:
    """Look inside the suspect as if it were a merge, and return what is false of the answer."""
    (suspect,) = result.answer.suspects
    inside, at_fault = branch(case.errors[suspect - 1], case.errors[suspect], random)
    tester = HistoryTester(case, random, branch=inside)
    bisection = _Bisection(
        tester=tester.real,
        variant=VARIANT,
        terms=Terms(find_fix=case.find_fix),
        layer="",
        whole_model=False,
        explain=False,
        clone=cast("Clone", _Clone([tester.inside(i) for i in range(len(inside))])),
        listener=lambda _: None,
        say=lambda _: None,
        compared=lambda _: None,
    )
    opened, merge = bisection.opened(result)
    if not merge:
        return "" if at_fault is None else "a branch that shows it was passed over"
    right = opened.answer.kind is AnswerKind.FOUND and opened.answer.suspects == (at_fault,)
    return "" if right else f"{opened.answer} inside, not {at_fault}"


def examine(seed: int, number: int, counts: Counter[tuple[str, float, str]]) -> None:
    """Bisect one history, check what is said of it, and count what became of it."""
    random = Random(f"{seed}/{number}")
    case = history(random)
    name = f"history {number} of seed {seed}: {case}"

    def note(what: str) -> None:
        counts[case.kind, case.flaky, what] += 1

    result = bisected(case, HistoryTester(case, random))
    if isinstance(result, HarnessError):
        wrong = wrongly_refused(case, result)
        assert case.flaky or not wrong, f"{name}\n{result}"
        note("refused wrongly" if wrong else "refused")
        return
    true, answer = is_true(case, result), result.answer
    if answer.certainty < CERTAIN:
        note("guess")
        return
    note("true" if true else "false")
    found = answer.kind is AnswerKind.FOUND
    last = case.changes(result.criterion.threshold or 0.0)
    asked = [at for at, bad in last if bad is not case.find_fix]
    if found and answer.suspects == tuple(asked[-1:]):
        note("last cause")
    if case.flaky:
        return
    assert true, f"{name}\n{answer}"
    assert not (wrong_too := falsehoods(case, result)), f"{name}\n{wrong_too}"
    if found and not case.noise and number % 4 == 0:
        assert not (said := merged(case, result, random)), f"{name}\n{said}"


@pytest.mark.parametrize("fixed", [1, None])
def test_nothing_false_is_certain(fixed: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    seed = randbits(32) if fixed is None else fixed  # another one in each run
    counts: Counter[tuple[str, float, str]] = Counter()
    for number in range(RUNS):
        examine(seed, number, counts)

    def total(what: str, kind: str = "", *, flaky: bool) -> int:
        return sum(
            found
            for (each, rate, told), found in counts.items()
            if told == what and bool(rate) is flaky and kind in ("", each)
        )

    lines = [f"seed {seed}"]
    for kind, floor in FLOORS.items():
        all_true = sum(
            total(what, kind, flaky=False) for what in ("true", "guess", "refused wrongly")
        )
        share = total("last cause", kind, flaky=False) / all_true
        lines.append(f"{kind}: last cause found in {share:.0%} of {all_true}")
        assert share >= floor, lines
    true, false = total("true", flaky=True), total("false", flaky=True)
    refused, wrongly = total("refused", flaky=True), total("refused wrongly", flaky=True)
    guesses = total("guess", flaky=True)
    lines.append(
        f"erring measurements: {true} true, {false} false, {guesses} guesses, {refused} refused "
        f"rightly, {wrongly} wrongly"
    )
    with capsys.disabled():
        print("", *lines, sep="\n  ")
    assert false <= allowed(true + false), lines
    assert wrongly <= allowed(true + false + wrongly), lines


def allowed(answers: int) -> float:
    """Return how many of so many answers may be wrong: one in a hundred, and three sigma."""
    expected = (1 - CERTAIN) * answers
    return expected + 3 * math.sqrt(expected)
