"""Which verdicts are faults, and how they are put together: tables of outcomes and what is said."""

from __future__ import annotations

import pytest

from harness.analysis.sweep.suspects import FaultKind, FaultState, suspect_groups
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.execution.case_runner import CaseRecord

CASE = "Softmax:0=0:3x7"
RUNS = ("default", "fp32", "use_packing_layout=false", "num_threads=2")
_OUTCOMES = {
    ".": CaseVerdict(outcome=CaseOutcome.OK),
    "d": CaseVerdict(outcome=CaseOutcome.DROP, error=1e-3, limit=4e-5),
    "n": CaseVerdict(outcome=CaseOutcome.DROP, error=3e-4, limit=4e-5, narrow="fp16"),
    "b": CaseVerdict(outcome=CaseOutcome.BROKEN, error=1.5, limit=4e-5),
    "u": CaseVerdict(outcome=CaseOutcome.UNSTABLE, error=1e-3),
    "c": CaseVerdict(outcome=CaseOutcome.CRASH, reason="SIGSEGV"),
    "s": CaseVerdict(outcome=CaseOutcome.SHAPE),
    "r": CaseVerdict(outcome=CaseOutcome.REFUSED),
    "?": CaseVerdict(outcome=CaseOutcome.UNJUDGED),
    "-": CaseVerdict(outcome=CaseOutcome.UNSUPPORTED),
}


def record(marks: str, case: str = CASE) -> CaseRecord:
    verdicts = {run: _OUTCOMES[mark] for run, mark in zip(RUNS, marks, strict=True)}
    return CaseRecord(case=case, build="v-f", verdicts=verdicts)


def said(*rows: str) -> dict[str, tuple[str, str]]:
    """Return the kind of fault of each run, with the states of the builds: + - or ?."""
    letters = {FaultState.GOOD: "+", FaultState.BAD: "-", FaultState.UNKNOWN: "?"}
    groups = suspect_groups([[record(row)] if row else [] for row in rows])
    return {
        suspect.run: (str(suspect.kind), "".join(letters[s] for s in suspect.states))
        for group in groups
        for suspect in group.suspects
    }


@pytest.mark.parametrize("rows", [("....",), ("....", "...."), ("????", "...."), ("", "....")])
def test_nothing_wrong_is_nothing_said(rows: tuple[str, ...]) -> None:
    assert said(*rows) == {}


def test_a_fault_in_one_run() -> None:
    assert said("...b") == {"num_threads=2": ("wrong values", "-")}


def test_a_fault_that_comes_and_one_that_goes() -> None:
    assert said("..d.", "...c") == {
        "use_packing_layout=false": ("drop", "-+"),
        "num_threads=2": ("crash", "+-"),
    }


def test_what_a_narrow_format_costs_is_no_fault_where_the_rest_is_right() -> None:
    assert said("n.nn") == {}
    assert said("n.nn", "n.nn") == {}


def test_it_is_one_where_the_case_is_off_without_it_too() -> None:
    assert said("nd..") == {"default": ("drop", "-"), "fp32": ("drop", "-")}


def test_that_a_narrow_format_is_used_now_is_told_as_a_change() -> None:
    assert said("....", "n...") == {"default": ("narrow format", "+-")}


def test_where_one_build_is_worse_than_narrow_the_other_does_not_have_the_fault() -> None:
    assert said("n...", "b...") == {"default": ("wrong values", "+-")}


@pytest.mark.parametrize("mark", ["r", "s"])
def test_what_is_refused_with_all_options_means_something_else_to_that_version(mark: str) -> None:
    assert said(mark * 4) == {}
    assert said(mark * 4, "....") == {}


@pytest.mark.parametrize("mark", ["r", "s"])
def test_what_is_refused_with_some_options_or_not_any_more_is_a_fault(mark: str) -> None:
    assert said(f"..{mark}.") == {"use_packing_layout=false": ("refusal", "-")}
    assert said("....", mark * 4) == dict.fromkeys(RUNS, ("refusal", "+-"))


def test_unsupported_runs_say_nothing() -> None:
    assert said("...-", "...b") == {"num_threads=2": ("wrong values", "?-")}


def test_drops_and_wrong_values_of_the_same_builds_are_one_group() -> None:
    one, other = record("...b"), record("...d", "Softmax:0=0:3x9")
    (group,) = suspect_groups([[one, other]])
    assert [(s.case, s.kind) for s in group.suspects] == [
        (CASE, FaultKind.VALUES),
        ("Softmax:0=0:3x9", FaultKind.PRECISION),
    ]


def test_a_run_that_one_version_lacks_makes_no_group_of_its_own() -> None:
    (group,) = suspect_groups([[record("bbbb")], [record("..-.")]])
    assert group.states == (FaultState.BAD, FaultState.GOOD)


def test_a_run_that_one_version_lacks_is_faulty_beside_those_of_both() -> None:
    (group,) = suspect_groups([[record("bbbb")], [record("bb-b")]])
    assert group.suspects[0].faulty_runs == set(RUNS)


def test_a_case_that_all_versions_know_stands_for_the_others() -> None:
    older = [record("....", "Softmax::9x9")]
    newer = [record("b...", "Softmax::9x9"), record("b...", "Softmax::2x1x1x1")]
    (group,) = suspect_groups([older, newer])
    assert [s.case for s in group.suspects] == ["Softmax::9x9", "Softmax::2x1x1x1"]
    assert group.suspects[0].is_change


def test_changes_come_first_then_the_worst() -> None:
    rows = [
        (record("b...", "A::2"), record("b...", "A::2")),
        (record("....", "B::2"), record("d...", "B::2")),
        (record("....", "C::2"), record("c...", "C::2")),
    ]
    groups = suspect_groups([[older for older, _ in rows], [newer for _, newer in rows]])
    assert [group.layer for group in groups] == ["C", "B", "A"]


def test_the_simplest_case_with_usual_numbers_comes_first() -> None:
    cases = ["Softmax:0=0:3x9", "Softmax:0=0:3x2:x=huge", "Softmax:0=0:3x5", "Softmax:0=0:2x9"]
    (group,) = suspect_groups([[record("b...", case) for case in cases]])
    assert [s.case.split(":")[2] for s in group.suspects] == ["3x5", "2x9", "3x9", "3x2"]


def test_what_is_clean_beside_a_fault_is_known() -> None:
    (group,) = suspect_groups([[record("b..b")]])
    first = group.suspects[0]
    assert first.faulty_runs == {"default", "num_threads=2"}
    assert first.clean_runs == {"fp32", "use_packing_layout=false"}
