"""Cases run for real, on a core that misbehaves as their parameters say."""

from pathlib import Path

import pytest

from harness.build.binding import build_binding
from harness.build.builder import Build
from harness.build.toolchain import find_compiler
from harness.cases.judgement import CaseOutcome
from harness.cases.layer_case import LayerCase
from harness.domain.spec import RunSpec
from harness.domain.verdict import Tolerance
from harness.execution.case_runner import CaseRecord, CaseRunner
from harness.util.build_store import Store
from tests.execution.misbehaving import BUILD

pytestmark = pytest.mark.native

DEFAULT = RunSpec(name="default")
PLAIN = RunSpec(name="fp32", options=(("use_fp16_storage", False),))
THREADS = RunSpec(name="num_threads=2", threads=2)
RUNS = (DEFAULT, PLAIN, THREADS)
RIGHT, CRASHES, CRASHES_WITH_FP16, HANGS, REFUSED = 0.0, 101.0, 102.0, 103.0, 104.0
SPOILS, IMPRECISE_WITH_FP16, WRONG_WITH_THREADS, COUNTS = 105.0, 106.0, 107.0, 108.0
READS_WHAT_NOBODY_WROTE, TRANSPOSES, LEAVES = 109.0, 110.0, 111.0
LEAVES_IN_PEACE, IS_KILLED = 112.0, 113.0

ok, drop, broken, unstable = (
    CaseOutcome.OK,
    CaseOutcome.DROP,
    CaseOutcome.BROKEN,
    CaseOutcome.UNSTABLE,
)
crash, hang, refused, shape = (
    CaseOutcome.CRASH,
    CaseOutcome.HANG,
    CaseOutcome.REFUSED,
    CaseOutcome.SHAPE,
)


def case(slope: float) -> LayerCase:
    return LayerCase.of("ReLU", {0: slope}, (3, 5))


def run(
    core: Path, store: Store, *slopes: float, runs: tuple[RunSpec, ...] = RUNS, seconds: int = 30
) -> list[CaseRecord]:
    runner = CaseRunner(
        binding=lambda: build_binding(store, find_compiler("")),
        tolerance=Tolerance(),
        exact=PLAIN,
        seconds=seconds,
    )
    build = Build(core=core, record=BUILD)
    return list(runner.run(build, [(case(slope), runs) for slope in slopes]))


@pytest.mark.parametrize(
    ("slope", "outcomes"),
    [
        (RIGHT, (ok, ok, ok)),
        (CRASHES, (crash, crash, crash)),
        (CRASHES_WITH_FP16, (crash, ok, crash)),
        (REFUSED, (refused, refused, refused)),
        (IMPRECISE_WITH_FP16, (drop, ok, drop)),
        (WRONG_WITH_THREADS, (ok, ok, broken)),
        (COUNTS, (unstable, unstable, unstable)),
        (READS_WHAT_NOBODY_WROTE, (unstable, unstable, unstable)),
        (TRANSPOSES, (shape, shape, shape)),
    ],
)
def test_each_misbehaviour_has_its_outcome(
    case_core: Path, store: Store, slope: float, outcomes: tuple[CaseOutcome, ...]
) -> None:
    (record,) = run(case_core, store, slope)
    assert tuple(record.verdicts[r.name].outcome for r in RUNS) == outcomes


def test_what_hangs_is_ended(case_core: Path, store: Store) -> None:
    (record,) = run(case_core, store, HANGS, runs=(DEFAULT,), seconds=2)
    assert record.verdicts["default"].outcome is hang


def test_a_death_costs_no_other_case_and_names_its_place(case_core: Path, store: Store) -> None:
    records = run(case_core, store, RIGHT, CRASHES, RIGHT, CRASHES_WITH_FP16, RIGHT)
    outcomes = [[record.verdicts[r.name].outcome for r in RUNS] for record in records]
    assert outcomes == [[ok] * 3, [crash] * 3, [ok] * 3, [crash, ok, crash], [ok] * 3]
    assert "SIGSEGV" in records[1].verdicts["default"].reason
    assert [record.case for record in records] == [
        case(slope).id for slope in (RIGHT, CRASHES, RIGHT, CRASHES_WITH_FP16, RIGHT)
    ]


@pytest.mark.parametrize(
    ("slope", "reason", "lost"),
    [
        (LEAVES, "exit code 7", False),
        (LEAVES_IN_PEACE, "exit code 0, and without a result", False),
        (IS_KILLED, "not measured: its process was ended from outside by SIGKILL", True),
    ],
)
def test_a_worker_that_ends_by_itself_accuses_nobody(
    case_core: Path, store: Store, slope: float, reason: str, lost: bool
) -> None:
    left, other = run(case_core, store, slope, RIGHT)
    verdicts = left.verdicts.values()
    assert {v.outcome for v in verdicts} == {CaseOutcome.UNJUDGED}
    assert all(reason in v.reason for v in verdicts)
    assert {v.lost for v in verdicts} == {lost}
    assert not other.faults


def test_a_case_is_not_blamed_for_what_another_did(case_core: Path, store: Store) -> None:
    spoiler, victim = run(case_core, store, SPOILS, RIGHT)
    assert not spoiler.faults
    assert not victim.faults


def test_what_fp16_costs_is_told_apart(case_core: Path, store: Store) -> None:
    (record,) = run(case_core, store, IMPRECISE_WITH_FP16)
    verdict = record.verdicts["default"]
    assert (verdict.narrow, verdict.is_fault) == ("fp16", False)
    assert verdict.error == pytest.approx(3e-4, rel=0.01)
