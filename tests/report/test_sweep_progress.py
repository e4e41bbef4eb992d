"""What is said while cases run."""

from __future__ import annotations

import pytest

from harness.report.sweep_progress import SweepProgress, duration
from tests.report.sweeps import record


def test_all_builds_are_counted_together_with_faults_and_time_left() -> None:
    now, said = [0.0], list[str]()
    progress = SweepProgress(said.append, cases=200, clock=lambda: now[0])
    progress.resumed(100)
    for number in range(25):
        now[0] += 2
        progress("20250503", record("ReLU::5", "....c" if number % 5 == 0 else "....."))
    assert said[0] == "cases: 101 of 200, 1 case with faults so far (20250503)"
    assert said[-1] == (
        "cases: 125 of 200, 5 cases with faults so far, about 2 min left (20250503)"
    )


def test_a_budget_ends_earlier() -> None:
    now, said = [0.0], list[str]()
    progress = SweepProgress(said.append, cases=10_000, budget=60, clock=lambda: now[0])
    for _ in range(20):
        now[0] += 1
        progress("20250503", record("ReLU::5", "....."))
    assert said[-1].endswith("about 40 s left (20250503)")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3000, "50 min"), (7500, "2 h 5 min")],
)
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
