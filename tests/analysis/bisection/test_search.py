import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.bisection.answers import (
    CERTAIN,
    Answer,
    AnswerKind,
    Probe,
    Purpose,
    TransitionChoice,
)
from harness.analysis.bisection.point_outcomes import LEAD, MOST, PointOutcome
from harness.analysis.bisection.search import (
    CHECKS,
    Search,
    default_scan,
    expected_steps,
    next_probe,
    remaining,
)
from harness.domain.outcomes import Outcome
from harness.util.errors import UsageError

GOOD, BAD, SKIP, UNSTABLE = Outcome
Truth = Callable[[int], Outcome]
UNLIMITED = 10**6
UNHURRIED = settings(deadline=None)


def is_confident(answer: Answer) -> bool:
    """Whether the change is known to lie among the suspects by clear and repeated verdicts."""
    return answer.transition is not None and answer.certainty >= CERTAIN


def places(probes: list[Probe]) -> set[int]:
    return {each.index for each in probes}


def play(search: Search, truth: Truth) -> tuple[Answer, list[Probe], Search]:
    probes: list[Probe] = []
    while isinstance(step := next_probe(search), Probe):
        probes.append(step)
        assert len(probes) <= search.last - search.first + 1 + 2 * MOST * max(1, len(search.wanted))
        search = search.record(PointOutcome(step.index, truth(step.index)))
    return step, probes, search


def history(first_bad: int, skips: Iterable[int] = ()) -> Truth:
    blocked = frozenset(skips)
    return lambda i: SKIP if i in blocked else BAD if i >= first_bad else GOOD


def letters(text: str) -> Truth:
    kinds = {"g": GOOD, "b": BAD, "s": SKIP, "u": UNSTABLE}
    return lambda i: kinds[text[i]]


def honest(outcomes: list[Outcome]) -> set[tuple[int, int, Outcome]]:
    """Every transition, by looking at every point."""
    known = [(i, each) for i, each in enumerate(outcomes) if each.decides]
    pairs = pairwise(known)
    return {(a, b, becomes) for (a, old), (b, becomes) in pairs if old != becomes}


def found(answer: Answer) -> set[tuple[int, int, Outcome]]:
    return {(each.before, each.after, each.becomes) for each in answer.transitions}


@st.composite
def monotonic(draw: st.DrawFn, longest: int = 60) -> tuple[int, int, frozenset[int]]:
    last = draw(st.integers(1, longest))
    first_bad = draw(st.integers(1, last))
    skips = draw(st.frozensets(st.integers(1, last - 1)) if last > 1 else st.just(frozenset()))
    return last, first_bad, skips


@st.composite
def wild(draw: st.DrawFn) -> list[Outcome]:
    inside = draw(st.lists(st.sampled_from([GOOD, GOOD, BAD, BAD, SKIP]), max_size=40))
    return [GOOD, *inside, BAD]


@UNHURRIED
@given(st.integers(1, 4000), st.data())
def test_without_skips_finds_the_first_bad_in_a_minimum_of_steps(
    last: int, data: st.DataObject
) -> None:
    first_bad = data.draw(st.integers(1, last))
    answer, probes, _ = play(Search(last=last), history(first_bad))
    assert answer.kind is AnswerKind.FOUND
    assert answer.suspects == (first_bad,)
    assert is_confident(answer)
    assert len(places(probes)) <= 2 + math.ceil(math.log2(last)) + CHECKS
    assert len(probes) <= len(places(probes)) + 2 * 7
    assert [p.purpose for p in probes[:2]] == [Purpose.END] * 2
    assert sorted(p.index for p in probes[-2:]) == [first_bad - 1, first_bad]
    assert {p.purpose for p in probes[-2:]} == {Purpose.CONFIRM}


@UNHURRIED
@given(monotonic(), st.data())
def test_weights_change_the_order_and_never_the_answer(
    case: tuple[int, int, frozenset[int]], data: st.DataObject
) -> None:
    last, first_bad, skips = case
    kinds = st.lists(st.sampled_from([0.0, 1.0, 8.0]), min_size=last + 1, max_size=last + 1)
    weights = tuple(data.draw(kinds))
    truth = history(first_bad, skips)
    plain = Search(last=last, skip_budget=UNLIMITED)
    answer, _, _ = play(replace(plain, weights=weights), truth)
    assert answer.suspects == play(plain, truth)[0].suspects


@given(st.integers(0, 300))
def test_likely_points_are_tried_first(seed: int) -> None:
    """One of them may take a probe more, all of them together do not."""
    likely = sorted({(seed + 61 * number) % 298 + 1 for number in range(5)})
    weights = tuple(8.0 if index in likely else 0.1 for index in range(301))
    known = [play(Search(last=300, weights=weights), history(at))[1] for at in likely]
    unaware = [play(Search(last=300), history(at))[1] for at in likely]
    assert sum(map(len, known)) <= sum(map(len, unaware))


@UNHURRIED
@given(monotonic())
def test_skips_leave_the_minimal_set_of_suspects(
    bisection: tuple[int, int, frozenset[int]],
) -> None:
    last, first_bad, skips = bisection
    truth = history(first_bad, skips)
    answer, probes, _ = play(Search(last=last, skip_budget=UNLIMITED), truth)
    (expected,) = honest([truth(i) for i in range(last + 1)])
    assert found(answer) == {expected}
    assert first_bad in answer.suspects
    assert (answer.kind is AnswerKind.FOUND) == (len(answer.suspects) == 1)
    assert answer.untested == ()
    searched = [p.index for p in probes if p.purpose is not Purpose.CONFIRM]
    assert len(searched) == len(set(searched))


@pytest.mark.parametrize("last", [8, 20])
def test_one_block_costs_no_more_than_documented(last: int) -> None:
    for start in range(1, last, 2):
        for length in range(1, last - start, 3):
            for first_bad in range(1, last + 1):
                block = range(start, start + length)
                truth = history(first_bad, block)
                _, probes, _ = play(Search(last=last, skip_budget=UNLIMITED), truth)
                assert len(places(probes)) <= 6 + math.ceil(math.log2(last)) + CHECKS + length


def test_block_is_not_walked() -> None:
    _, probes, _ = play(Search(last=1024), history(100, range(400, 700)))
    assert len(places(probes)) <= 10 + 2 + CHECKS + 6
    for start in range(1, 48, 3):
        for first_bad in (*range(1, start), *range(start + 18, 65)):
            _, probes, _ = play(Search(last=64), history(first_bad, range(start, start + 16)))
            assert len(places(probes)) <= 6 + 2 + CHECKS + 8


@UNHURRIED
@given(monotonic(), st.integers(1, 5))
def test_skip_budget_is_kept_and_told(
    bisection: tuple[int, int, frozenset[int]], budget: int
) -> None:
    last, first_bad, skips = bisection
    answer, _, search = play(Search(last=last, skip_budget=budget), history(first_bad, skips))
    assert first_bad in answer.suspects
    assert answer.transition
    inside = search.blocked(answer.transition.before, answer.transition.after)
    assert len(inside) <= budget
    assert bool(answer.untested) <= (len(inside) == budget)


@UNHURRIED
@given(wild(), st.sampled_from(TransitionChoice), st.integers(0, 8), st.booleans())
def test_answer_is_always_a_true_transition(
    outcomes: list[Outcome], target: TransitionChoice, scan: int, find_fix: bool
) -> None:
    if find_fix:
        flip = {GOOD: BAD, BAD: GOOD, SKIP: SKIP}
        outcomes = [flip[each] for each in outcomes]
    search = Search(
        last=len(outcomes) - 1,
        target=target,
        scan=scan,
        find_fix=find_fix,
        skip_budget=UNLIMITED,
    )
    answer, _, _ = play(search, lambda i: outcomes[i])
    true = honest(outcomes)
    main = answer.transition
    assert main
    assert (main.before, main.after, main.becomes) in true
    assert main.becomes is (GOOD if find_fix else BAD)
    if target is TransitionChoice.ALL:
        assert found(answer) <= true


@UNHURRIED
@given(wild())
def test_full_scan_finds_all_transitions(outcomes: list[Outcome]) -> None:
    last = len(outcomes) - 1
    answer, _, _ = play(
        Search(last=last, scan=last, target=TransitionChoice.ALL), lambda i: outcomes[i]
    )
    assert found(answer) == honest(outcomes)


@UNHURRIED
@given(st.lists(st.integers(8, 20), min_size=1, max_size=3), st.integers(8, 20))
def test_scan_finds_runs_longer_than_its_spacing(lengths: list[int], tail: int) -> None:
    runs = [*lengths, tail, *lengths] if len(lengths) % 2 else [*lengths, tail, *lengths, tail]
    outcomes = [(GOOD, BAD)[number % 2] for number, run in enumerate(runs) for _ in range(run)]
    last = len(outcomes) if outcomes[-1] is GOOD else len(outcomes) - 1
    outcomes.append(BAD)
    scan = math.ceil(last / 4) - 1
    search = Search(last=last, scan=scan, target=TransitionChoice.ALL)
    answer, _, _ = play(search, lambda i: outcomes[i])
    assert found(answer) == honest(outcomes[: last + 1])


def test_scan_tries_another_point_where_one_cannot_be_tested() -> None:
    _, probes, _ = play(Search(last=20, scan=1), history(3, [10]))
    first, second = (p.index for p in probes if p.purpose is Purpose.SCAN)
    assert first == 10
    assert 5 < second < 15
    _, probes, _ = play(Search(last=20, scan=1), history(3, range(5, 16)))
    assert sum(p.purpose is Purpose.SCAN for p in probes) == 2


def test_targets() -> None:
    truth = letters("ggggbbbbggggggbbbbbggggbbbb")
    search = Search(last=26, scan=8)
    assert play(search, truth)[0].suspects == (23,)
    assert play(replace(search, target=TransitionChoice.FIRST), truth)[0].suspects == (4,)
    answer = play(replace(search, target=TransitionChoice.ALL), truth)[0]
    assert [each.suspects for each in answer.transitions] == [(4,), (8,), (14,), (19,), (23,)]


@UNHURRIED
@given(wild(), st.integers(0, 4), st.data())
def test_resuming_at_any_step_gives_the_same_answer(
    outcomes: list[Outcome], scan: int, data: st.DataObject
) -> None:
    search = Search(last=len(outcomes) - 1, scan=scan)
    answer, _, done = play(search, lambda i: outcomes[i])
    kept = data.draw(st.integers(0, len(done.outcomes)))
    resumed, probes, _ = play(search.record(*done.outcomes[:kept]), lambda i: outcomes[i])
    assert resumed == answer
    assert len(probes) == len(done.outcomes) - kept
    shuffled = data.draw(st.permutations(done.outcomes))
    assert next_probe(search.record(*shuffled)) == answer


@UNHURRIED
@given(st.integers(2, 3000), st.data())
def test_cached_points_cost_no_builds(last: int, data: st.DataObject) -> None:
    first_bad = data.draw(st.integers(1, last))
    cached = data.draw(st.frozensets(st.integers(0, last), max_size=200))
    answer, probes, _ = play(Search(last=last, cached=cached), history(first_bad))
    assert answer.suspects == (first_bad,)
    searched = [p.index for p in probes if p.purpose is Purpose.SEARCH]
    taken = sum(point in cached for point in searched)
    plain = math.ceil(math.log2(last))
    assert len(searched) - taken <= plain
    assert len(searched) <= plain + math.ceil(taken / 2)


def test_cached_point_near_the_middle_is_taken() -> None:
    ends = (PointOutcome(0, GOOD), PointOutcome(100, BAD))
    for cached, expected in (({40}, 40), ({10}, 50), ({34}, 50), ({45, 52}, 52)):
        search = Search(last=100, cached=frozenset(cached), outcomes=ends)
        assert next_probe(search) == Probe(expected, Purpose.SEARCH)


@UNHURRIED
@given(monotonic(), st.integers(0, 10), st.integers(0, 2**32), st.sampled_from([0, 3]))
def test_noise_never_makes_a_confident_wrong_answer(
    bisection: tuple[int, int, frozenset[int]], reach: int, seed: int, scan: int
) -> None:
    last, first_bad, skips = bisection
    truth = history(first_bad, skips)
    search = Search(last=last, scan=scan)
    draws = seed
    while isinstance(step := next_probe(search), Probe):
        outcome, near = truth(step.index), abs(step.index - first_bad) <= reach
        if near and outcome.decides and 0 < step.index < last:
            draws = (draws * 1103515245 + 12345) % 2**31
            outcome = (GOOD, BAD, UNSTABLE)[draws // 65536 % 3]
        search = search.record(PointOutcome(step.index, outcome, near=near))
        assert len(search.outcomes) <= MOST * (last + 1)
    if is_confident(step):
        assert first_bad in step.suspects
        if step.kind is AnswerKind.FOUND:
            assert step.suspects == (first_bad,)


@UNHURRIED
@given(st.integers(1, 3000), st.integers(0, 9), st.data())
def test_progress_is_about_right_and_ends_at_zero(
    last: int, scan: int, data: st.DataObject
) -> None:
    truth = history(data.draw(st.integers(1, last)))
    _, probes, done = play(Search(last=last, scan=scan), truth)
    before = last + 1
    for made in range(len(probes) + 1):
        search = replace(done, outcomes=done.outcomes[:made])
        left = len(probes) - made
        assert abs(expected_steps(search) - left) <= CHECKS + 10
        assert 1 <= remaining(search) <= before
        before = remaining(search)
    assert (remaining(done), expected_steps(done)) == (1, 0)


@pytest.mark.parametrize(
    ("text", "find_fix", "kind", "reason"),
    [
        ("gbg", False, AnswerKind.NOT_REPRODUCIBLE, "the good end is good and the bad end is good"),
        ("bbb", False, AnswerKind.NOT_REPRODUCIBLE, "the good end is bad and the bad end is bad"),
        ("bgg", False, AnswerKind.SWAPPED, "the good end is bad and the bad end is good"),
        ("ggb", True, AnswerKind.SWAPPED, "the bad end is good and the good end is bad"),
        ("sgb", False, AnswerKind.UNTESTABLE, "the good end is skip and the bad end is bad"),
        ("ggu", False, AnswerKind.UNTESTABLE, "the good end is good and the bad end is unstable"),
    ],
)
def test_ends_that_are_not_as_stated(
    text: str, find_fix: bool, kind: AnswerKind, reason: str
) -> None:
    answer, _, search = play(Search(last=2, find_fix=find_fix), letters(text))
    assert (answer.kind, answer.reason, answer.suspects) == (kind, reason, ())
    assert expected_steps(search) == 0
    assert not is_confident(answer)


def test_unexpected_end_is_measured_again_before_it_is_believed() -> None:
    search = Search(last=9).record(PointOutcome(0, BAD), PointOutcome(9, BAD))
    assert next_probe(search) == Probe(0, Purpose.CONFIRM)
    search = search.record(PointOutcome(0, GOOD))
    assert next_probe(search) == Probe(0, Purpose.CONFIRM)
    answer, _, done = play(search, history(5))
    assert answer.suspects == (5,)
    assert all(each.lead >= LEAD for each in done.standings.values())


def test_after_a_contradiction_every_point_is_measured_until_its_verdict_leads() -> None:
    search = Search(last=3).record(*(PointOutcome(i, letters("ggbb")(i)) for i in range(4)))
    assert next_probe(search) == Probe(1, Purpose.CONFIRM)
    answer, probes, done = play(search.record(PointOutcome(1, BAD)), letters("ggbb"))
    assert answer.suspects == (2,)
    assert is_confident(answer)
    assert places(probes) == {0, 1, 2, 3}
    assert min(each.lead for each in done.standings.values()) == LEAD
    assert done.standings[1].bad == 1


def test_what_stays_contradictory_widens_the_answer() -> None:
    search = Search(last=3).record(*(PointOutcome(i, letters("ggbb")(i)) for i in range(4)))
    half = [PointOutcome(1, outcome) for outcome in (GOOD, BAD) * (MOST // 2)]
    answer, _, _ = play(search.record(*half), letters("ggbb"))
    assert (answer.suspects, answer.unstable) == ((1, 2), (1,))
    assert is_confident(answer)


def test_what_was_taken_back_and_came_again_is_explained_by_the_later_change() -> None:
    truth = letters("ggbbbbgggggggbbbbbbbbbbbbbbbbbbb")
    answer, probes, _ = play(Search(last=31), truth)
    assert answer.suspects == (13,)
    assert [each.suspects[0] for each in answer.transitions] == [13]
    assert answer.checked
    gap = letters("g" + 16 * "b" + 6 * "g" + 9 * "b")
    answer, probes, _ = play(Search(last=31, outcomes=first_half(gap)), gap)
    assert Purpose.CHECK in {each.purpose for each in probes}
    assert answer.suspects == (23,)
    first = replace(Search(last=31, target=TransitionChoice.FIRST), outcomes=first_half(gap))
    answer, probes, _ = play(first, gap)
    assert (answer.suspects, answer.checked) == ((1,), ())


def first_half(truth: Truth) -> tuple[PointOutcome, ...]:
    """What is known where a search has found the first change and seen nothing of another one."""
    return tuple(PointOutcome(i, truth(i)) for i in (0, 1, 2, 4, 8, 31))


def test_repeatable_verdict_near_the_threshold_takes_more_to_be_certain() -> None:
    search = Search(last=2).record(PointOutcome(0, GOOD), PointOutcome(2, BAD))
    search = search.record(PointOutcome(1, BAD, near=True))
    assert next_probe(search) == Probe(1, Purpose.CONFIRM)
    answer, probes, _ = play(search.record(PointOutcome(1, BAD, near=True)), letters("gbb"))
    assert (answer.suspects, answer.doubtful) == ((1,), (1,))
    assert is_confident(answer)
    assert sum(each.index == 1 for each in probes) > 10


def test_part_of_a_range_is_a_search_of_its_own() -> None:
    truth = letters("gggbbbggbbb")
    answer, _, _ = play(Search(first=4, last=7, find_fix=True), truth)
    assert answer.suspects == (6,)
    with pytest.raises(UsageError, match="empty"):
        Search(first=4, last=4)


def test_only_long_ranges_are_scanned_by_default() -> None:
    assert default_scan(265) == 0
    assert default_scan(3000) > 0
