from __future__ import annotations

import math

import pytest

from harness.domain.formatting import number, short
from harness.domain.records import Verdict
from harness.report.record_values import SYMBOLS, worst


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (0.0, "0"),
        (2.2e-3, "2.2e-3"),
        (3.46e-11, "3.5e-11"),
        (0.14, "0.14"),
        (1.34, "1.3"),
        (41.7, "42"),
        (1234.0, "1.2e3"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(2e-5, "2e-5"), (1e-12, "1e-12"), (0.001, "0.001")])
def test_short(value: float, text: str) -> None:
    assert short(value) == text


def test_one_input_that_fails_outweighs_those_that_do_not() -> None:
    assert worst([Verdict.OK, Verdict.DROP, Verdict.SKIPPED]) is Verdict.DROP
    assert worst([Verdict.OK, Verdict.UNSUPPORTED]) is Verdict.UNSUPPORTED


def test_every_verdict_has_a_sign_of_its_own() -> None:
    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == len(Verdict)
