"""What programs print, and what that shows."""

from __future__ import annotations

import pytest

from harness.build.programs import Ran
from harness.reproducers.outcome import Outcome, SideOutcome, outcome_of, shortcomings
from tests.reproducers.sides import SIDES

GOOD = "[n=2] out0: max error 2.98e-08 (limit 3.9e-05) at [2][6], 0.5 instead of 0.5: ok\n"
BAD = "[n=2] out0: max error 0.31 (limit 3.9e-05) at [2][6], 0.2 instead of 0.51: FAIL\n"
SECOND = "[n=2] out1: max error 0.1 (limit 0.2) at [0], 1 instead of 1.1: ok\n"
SHAPE = "[n=2] out0: another shape, 1 axes w=3 h=1 c=1: FAIL\n"
OTHER = BAD.replace("n=2", "n=1")


@pytest.mark.parametrize(
    ("ran", "fate", "error", "detail"),
    [
        (Ran(output=GOOD, fate="exit code 0"), "passes", 2.98e-8, "instead of 0.5"),
        (Ran(output=BAD, fate="exit code 1"), "fails", 0.31, "at [2][6], 0.2 instead"),
        (Ran(output="x\n" + SECOND + BAD), "fails", 0.31, "out0"),
        (Ran(output=SECOND + GOOD), "passes", 0.1, "out1"),
        (Ran(output=OTHER + GOOD), "passes", 2.98e-8, "out0"),
        (Ran(output=OTHER, fate="SIGSEGV"), "crashes", None, "SIGSEGV"),
        (Ran(output=SHAPE), "fails", None, "another shape"),
        (Ran(output="", fate="no result after 60 s"), "crashes", None, "60 s"),
        (Ran(output="[n=2] the model does not load: FAIL\n"), "fails", None, "not load"),
        (Ran(error="no member 'use_x'"), "not compiled", None, "use_x"),
        (None, "not tried", None, "no tests"),
    ],
)
def test_outcome(ran: Ran | None, fate: str, error: float | None, detail: str) -> None:
    found = outcome_of(ran, "n=2", "no tests")
    assert (found.fate, found.error) == (fate, error)
    assert detail in found.detail


PASSES, FAILS = Outcome(fate="passes", detail="p"), Outcome(fate="fails", detail="f")
CRASHES, NOT_TRIED = Outcome(fate="crashes", detail="SIGSEGV"), Outcome(fate="not tried")
NOT_COMPILED = Outcome(fate="not compiled", detail="no member 'use_x'")


@pytest.mark.parametrize(
    ("good", "bad", "missing"),
    [
        ((PASSES, PASSES), (FAILS, FAILS), []),
        ((PASSES, NOT_TRIED), (FAILS, NOT_TRIED), []),
        ((PASSES, PASSES), (CRASHES, CRASHES), []),
        ((PASSES, PASSES), (PASSES, FAILS), ["the stand-alone program passes on the bad"]),
        ((PASSES, PASSES), (FAILS, PASSES), ["the test passes on the bad"]),
        ((FAILS, FAILS), (FAILS, FAILS), ["program fails on the good", "test fails on the good"]),
        ((CRASHES, PASSES), (FAILS, FAILS), ["program crashes on the good"]),
        ((NOT_COMPILED, PASSES), (FAILS, FAILS), ["program does not compile on the good"]),
        ((PASSES, PASSES), (NOT_TRIED, NOT_TRIED), ["nothing was tried on the bad"]),
    ],
)
def test_shortcomings(
    good: tuple[Outcome, Outcome], bad: tuple[Outcome, Outcome], missing: list[str]
) -> None:
    outcomes = [
        SideOutcome(side=side, alone=alone, test=test)
        for side, (alone, test) in zip(SIDES, (good, bad), strict=True)
    ]
    found = shortcomings(outcomes)
    assert len(found) == len(missing)
    for line, part in zip(found, missing, strict=True):
        assert part in line
