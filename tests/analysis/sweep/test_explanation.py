"""From suspects to findings, in worlds where it is known what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.sweep.explanation import explain
from harness.analysis.sweep.laboratory import Laboratory, SweepSubject
from harness.analysis.sweep.runs import sweep_runs
from harness.analysis.sweep.suspects import FaultKind, FaultState, suspect_groups
from harness.cases.generation import generate
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.cases.layer_case import LayerCase
from harness.domain.records import BuildRecord
from harness.domain.verdict import Tolerance
from harness.execution.case_runner import CaseRecord
from harness.report.cause_text import fix_words
from harness.sources.options import OptionField

if TYPE_CHECKING:
    from harness.analysis.sweep.finding import Explained
    from harness.domain.spec import RunSpec

FIELDS = tuple(
    OptionField(name=name, is_bool=True, default=default)
    for name, default in (
        ("use_fp16_storage", True),
        ("use_packing_layout", True),
        ("use_sgemm_convolution", True),
    )
)
DEFAULTS = {field.name: field.default for field in FIELDS if field.default is not None}
RIGHT = CaseVerdict(outcome=CaseOutcome.OK, error=1e-7, limit=4e-5)
DROP = CaseVerdict(outcome=CaseOutcome.DROP, error=1e-3, limit=4e-5)
WRONG = CaseVerdict(outcome=CaseOutcome.BROKEN, error=1.5, limit=4e-5)
CRASH = CaseVerdict(outcome=CaseOutcome.CRASH, reason="SIGSEGV in f")

Options = dict[str, bool | int]
World = Callable[[str, LayerCase, Options], CaseVerdict]
"""What a version makes of a case with options."""


@dataclass
class FakeBench:
    """Runs cases in a world."""

    world: World
    records: Sequence[BuildRecord]
    machine: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        place: int,
        requests: Sequence[tuple[LayerCase, Sequence[RunSpec]]],
        *,
        confirm: bool = True,
    ) -> Iterator[CaseRecord]:
        for case, runs in requests:
            verdicts = {
                run.name: self.world(
                    self.records[place].version,
                    case,
                    {**DEFAULTS, **dict(run.options), "num_threads": run.threads},
                )
                for run in runs
            }
            yield CaseRecord(case=case.id, build=self.records[place].id, verdicts=verdicts)

    def run_in_each(
        self, requests: Sequence[Sequence[tuple[LayerCase, Sequence[RunSpec]]]]
    ) -> Iterator[tuple[int, CaseRecord]]:
        raise NotImplementedError


def findings(world: World, *versions: str, kind: str = "Softmax") -> list[Explained]:
    """Return what a sweep of some versions finds."""
    records = [
        BuildRecord(id=f"{version}-f", key="k", version=version, flags="f") for version in versions
    ]
    bench = FakeBench(world, records)
    subjects = [
        SweepSubject(
            label=version,
            tree=Path("source"),
            runs=sweep_runs(FIELDS),
            defaults=DEFAULTS,
            unsupported=lambda _: "",
        )
        for version in versions
    ]
    laboratory = Laboratory(subjects=subjects, bench=bench, tolerance=Tolerance())
    cases = list(generate(kind, seed=0, count=60))
    tables = [
        list(bench.run(place, [(case, subject.runs) for case in cases]))
        for place, subject in enumerate(subjects)
    ]
    return list(explain(suspect_groups(tables), laboratory, evaluations=300))


def fixes(explained: Explained) -> set[str]:
    """Return what is proved to clear a finding at its own run."""
    return {
        fix_words(fix)
        for cause in explained.causes
        for fix in cause.fixes
        if fix.proved and any(cell.split("/")[1] == explained.finding.run for cell, _ in fix.pairs)
    }


def width(case: LayerCase) -> int:
    return case.shapes[0][-1]


def test_no_fault_no_finding() -> None:
    assert findings(lambda *_: RIGHT, "1", "2") == []


def test_a_tail_with_threads_is_one_finding_with_its_fix_and_the_versions() -> None:
    def world(version: str, case: LayerCase, options: Options) -> CaseVerdict:
        bad = version == "2" and options["num_threads"] > 1 and width(case) % 4 == 3
        return (WRONG if width(case) > 4 else DROP) if bad else RIGHT

    (found,) = findings(world, "1", "2", "3")
    finding = found.finding
    assert (finding.bad, finding.good) == (("2",), ("1", "3"))
    assert finding.run == "num_threads=2"
    assert fixes(found) == {"num_threads=1 at run time"}
    assert LayerCase.of("Softmax", {}, (7,)).shapes[0][-1] == finding_width(finding.case)
    assert finding.cases > 1


def finding_width(text: str) -> int:
    return int(text.split(":")[2].split("x")[-1])


def test_two_faults_of_one_layer_are_two_findings() -> None:
    def world(_: str, case: LayerCase, options: Options) -> CaseVerdict:
        if options["use_packing_layout"] and case.shapes[0][0] % 4 == 0:
            return DROP
        return WRONG if options["num_threads"] == 4 and width(case) > 3 else RIGHT

    found = findings(world, "1")
    assert {frozenset(fixes(each)) for each in found} >= {
        frozenset({"use_packing_layout=false at run time"}),
        frozenset({f"num_threads={n} at run time" for n in (1, 2, 3)}),
    }


def test_what_makes_wrong_values_imprecise_ones_does_not_stop_it() -> None:
    def world(_: str, case: LayerCase, options: Options) -> CaseVerdict:
        if not options["use_fp16_storage"]:
            return RIGHT
        return WRONG if options["use_packing_layout"] else DROP

    (found,) = findings(world, "1")
    words = {fix_words(fix) for fix in found.fixes}
    assert words == {"use_fp16_storage=false at run time"}


def test_what_no_option_clears_is_told_without_a_fix() -> None:
    (found,) = findings(lambda _, case, __: WRONG if len(case.shapes[0]) == 4 else RIGHT, "1")
    assert fixes(found) == set()
    assert found.finding.run == "default"
    assert found.finding.case.split(":")[2] == "1x1x1x1"


def test_a_crash_is_told_as_such() -> None:
    (found,) = findings(
        lambda version, _, options: (
            CRASH if version == "2" and not options["use_packing_layout"] else RIGHT
        ),
        "1",
        "2",
    )
    assert found.finding.kind is FaultKind.CRASH
    assert found.finding.states == (FaultState.GOOD, FaultState.BAD)


def test_a_layer_that_begins_to_use_fp16_is_told_as_that() -> None:
    def world(version: str, _: LayerCase, options: Options) -> CaseVerdict:
        if version == "2" and options["use_fp16_storage"]:
            return DROP.model_copy(update={"narrow": "fp16"})
        return RIGHT

    (found,) = findings(world, "1", "2")
    assert found.finding.kind is FaultKind.NARROW
    assert fixes(found) == {"use_fp16_storage=false at run time"}
    assert findings(world, "2") == []


def test_a_fault_that_comes_and_goes_by_itself_is_told_as_it_was_found() -> None:
    calls: dict[Any, int] = {}

    def world(_: str, case: LayerCase, options: Options) -> CaseVerdict:
        key = (case.id, tuple(options.items()))
        calls[key] = calls.get(key, 0) + 1
        return WRONG if width(case) == 5 and calls[key] == 1 else RIGHT

    for found in findings(world, "1"):
        assert found.finding.case == found.finding.found_as
