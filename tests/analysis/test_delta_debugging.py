from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.delta_debugging import DeltaDebugger, Progress, Result
from harness.util.errors import UsageError

PASS, FAIL, UNRESOLVED = Result
Subset = frozenset[int]
Oracle = Callable[[Subset], Result]
UNHURRIED = settings(deadline=None)


def subsets(size: int) -> list[Subset]:
    return [frozenset(c) for k in range(size + 1) for c in combinations(range(size), k)]


def monotone(cores: frozenset[Subset]) -> Oracle:
    return lambda applied: FAIL if any(core <= applied for core in cores) else PASS


def minimal(size: int, test: Oracle, wanted: Result) -> set[Subset]:
    """Every subset with the wanted result of which no proper subset has it, by trying all."""
    hits = [each for each in subsets(size) if test(each) is wanted]
    return {each for each in hits if not any(other < each for other in hits)}


@st.composite
def universes(draw: st.DrawFn) -> tuple[int, frozenset[Subset], frozenset[int]]:
    size = draw(st.integers(1, 7))
    item = st.integers(0, size - 1)
    cores = draw(st.frozensets(st.frozensets(item, min_size=1), min_size=1, max_size=4))
    return size, cores, draw(st.frozensets(item))


@st.composite
def wild(draw: st.DrawFn) -> tuple[int, dict[Subset, Result], frozenset[int]]:
    size = draw(st.integers(1, 5))
    table = {each: draw(st.sampled_from(Result)) for each in subsets(size)}
    table[frozenset()] = PASS
    table[frozenset(range(size))] = FAIL
    return size, table, draw(st.frozensets(st.integers(0, size - 1)))


@UNHURRIED
@given(universes())
def test_all_minimal_sets_are_found(case: tuple[int, frozenset[Subset], frozenset[int]]) -> None:
    size, cores, cheap = case
    test = monotone(cores)
    debugger = DeltaDebugger(range(size), test, cheap=cheap)
    truth = minimal(size, test, FAIL)
    assert frozenset(debugger.minimal_failing().items) in truth
    every = debugger.minimal_sets(limit=100)
    assert {frozenset(each.items) for each in every} == truth
    assert [len(each.items) for each in every] == sorted(len(each) for each in truth)
    assert all(result is PASS for each in every for result in each.without)


@UNHURRIED
@given(universes())
def test_all_minimal_reverts_are_found(
    case: tuple[int, frozenset[Subset], frozenset[int]],
) -> None:
    size, cores, cheap = case
    test = monotone(cores)
    every = frozenset(range(size))
    reverts = DeltaDebugger(range(size), test, cheap=cheap).minimal_reverts(limit=1000)
    truth = minimal(size, lambda reverted: test(every - reverted), PASS)
    assert {frozenset(each.items) for each in reverts} == truth
    assert all(result is FAIL for each in reverts for result in each.without)


@UNHURRIED
@given(wild())
def test_result_is_one_minimal_whatever_the_test(
    case: tuple[int, dict[Subset, Result], frozenset[int]],
) -> None:
    size, table, cheap = case
    debugger = DeltaDebugger(range(size), table.__getitem__, cheap=cheap)
    for each in (debugger.minimal_failing(), *debugger.minimal_sets()):
        items = frozenset(each.items)
        assert table[items] is FAIL
        assert tuple(table[items - {item}] for item in each.items) == each.without
        assert FAIL not in each.without
    every = frozenset(range(size))
    for each in debugger.minimal_reverts():
        left = every - frozenset(each.items)
        assert table[left] is PASS
        assert all(table[left | {item}] is not PASS for item in each.items)


@UNHURRIED
@given(wild(), st.integers(0, 40))
def test_number_of_tests_and_resuming(
    case: tuple[int, dict[Subset, Result], frozenset[int]], interrupted: int
) -> None:
    size, table, cheap = case
    tested: list[Subset] = []
    memo: dict[Subset, Result] = {}

    def test(applied: Subset) -> Result:
        if len(tested) == interrupted:
            tested.append(applied)
            raise KeyboardInterrupt
        tested.append(applied)
        return table[applied]

    try:
        DeltaDebugger(range(size), test, cheap=cheap, memo=memo).minimal_failing()
    except KeyboardInterrupt:
        assert tested.pop() not in memo
        interrupted = -1
    resumed = DeltaDebugger(range(size), test, cheap=cheap, memo=memo).minimal_failing()
    assert resumed == DeltaDebugger(range(size), table.__getitem__, cheap=cheap).minimal_failing()
    assert len(tested) == len(set(tested)) <= 2 * size**2 + 4 * size + 4


def test_interacting_flag_and_option() -> None:
    flags = ("AVX2", "F16C", "FMA", "OPENMP", "BF16")
    options = ("use_winograd", "use_fp16_storage", "use_packing_layout", "use_bf16_storage")
    builds: list[frozenset[str]] = []
    told: list[Progress[str]] = []

    def test(applied: frozenset[str]) -> Result:
        builds.append(applied & frozenset(flags))
        return FAIL if {"F16C", "use_fp16_storage"} <= applied else PASS

    debugger = DeltaDebugger(options + flags, test, cheap=options, progress=told.append)
    (only,) = debugger.minimal_sets()
    assert only.items == ("use_fp16_storage", "F16C")
    assert only.without == (PASS, PASS)
    assert [each.tested for each in told] == list(range(len(builds)))
    varied = [build for build in builds if build not in (frozenset(), frozenset(flags))]
    first = builds.index(varied[0])
    assert len(set(builds[:first])) == 2, "options are settled before a third build is needed"
    assert len(set(builds)) <= 10


def test_options_alone_need_no_further_build() -> None:
    builds: set[frozenset[str]] = set()

    def test(applied: frozenset[str]) -> Result:
        builds.add(applied & {"A", "B", "C"})
        return FAIL if "x" in applied else PASS

    found = DeltaDebugger(("x", "y", "A", "B", "C"), test, cheap={"x", "y"}).minimal_failing()
    assert found.items == ("x",)
    assert builds == {frozenset(), frozenset("ABC")}


def test_needless_options_are_dropped_at_once() -> None:
    told: list[Progress[str]] = []
    options, flags = ("u", "v", "w", "x"), ("A", "B", "C", "D")

    def test(applied: frozenset[str]) -> Result:
        return FAIL if "C" in applied else PASS

    debugger = DeltaDebugger(options + flags, test, cheap=options, progress=told.append)
    assert debugger.minimal_failing().items == ("C",)
    assert [each.subset for each in told[2:4]] == [frozenset(options), frozenset(flags)]
    assert len(told) <= 8


def test_alternatives_are_not_sought_where_there_are_none() -> None:
    memo: dict[Subset, Result] = {}
    test = monotone(frozenset({frozenset({0, 3}), frozenset({1, 3, 4})}))
    assert len(DeltaDebugger(range(5), test, memo=memo).minimal_sets()) == 2
    assert len(memo) <= 21


def test_smallest_revert_comes_first() -> None:
    test = monotone(frozenset({frozenset({0, 1}), frozenset({0, 2}), frozenset({0, 3})}))
    reverts = DeltaDebugger(range(4), test).minimal_reverts()
    assert [each.items for each in reverts] == [(0,), (1, 2, 3)]


def test_many_layers_few_tests() -> None:
    told: list[Progress[int]] = []
    test = monotone(frozenset({frozenset({17, 130})}))
    found = DeltaDebugger(range(200), test, progress=told.append).minimal_failing()
    assert found.items == (17, 130)
    assert len(told) <= 60


@pytest.mark.parametrize(("result", "count"), [(PASS, 3), (FAIL, 0), (UNRESOLVED, 0)])
def test_ends_that_do_not_differ(result: Result, count: int) -> None:
    with pytest.raises(UsageError, match=f"with {count} of 3 differences .* is {result}"):
        DeltaDebugger(range(3), lambda _: result).minimal_failing()
