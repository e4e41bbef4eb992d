"""What is said of a cell that breaks down, without building anything."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.analysis.diagnosis import crash
from harness.analysis.diagnosis.crash import CrashExaminer, outcome_of, sanitized
from harness.analysis.diagnosis.crash_findings import (
    Breakdown,
    measured_breakdown,
    recorded_breakdowns,
)
from harness.build.builder import Build
from harness.domain.records import BuildRecord, Crash, CrashFrame, Failure, Verdict
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
    Target,
)
from harness.execution.job import AloneDone, ChainDone
from harness.execution.launcher import InputResult
from harness.util.errors import BuildError, HarnessError, MachineError
from harness.util.process import Completed
from tests.analysis.diagnosis.test_fixes import CHAIN
from tests.records import cell as record_of

FLAGS = "CMAKE_CXX_FLAGS"
SANITIZER = FlagSet(
    name="avx2-asan",
    options=(("CMAKE_CXX_FLAGS", "-fsanitize=address"), ("NCNN_AVX2", "ON")),
    cxx_flags="-O1 -g1",
)
AARCH64 = Target(
    name="aarch64", compiler="g++", system="Linux", processor="aarch64", arch="arm",
    emulator="qemu", install="apt-get install qemu",
)  # fmt: skip
REPORT = """\
==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x7 at pc 0x7
READ of size 32 at 0x7 thread T0
    #0 0x1 in tile /b/source/src/layer/gemm.h:12
0x7 is located 4 bytes to the right of 40-byte region [0x7,0x8)
allocated by thread T0 here:
    #0 0x1 in pack /b/source/src/layer/gemm.h:3
"""
SENTENCE = (
    "AddressSanitizer: heap-buffer-overflow, READ of size 32 at src/layer/gemm.h:12, "
    "4 bytes to the right of 40-byte region, allocated at src/layer/gemm.h:3"
)
CRASH = Crash(signal="SIGSEGV", frames=(CrashFrame(function="ncnn::f"),))


@pytest.mark.parametrize(
    ("flags", "name", "options", "cxx_flags"),
    [
        (
            FlagSet(name="sse2", options=(("NCNN_AVX2", "OFF"),)),
            "sse2-asan",
            {"NCNN_AVX2": "OFF", FLAGS: "-fsanitize=address"},
            "-O1 -g1",
        ),
        (
            FlagSet(name="own", options=((FLAGS, "-DX"),), cxx_flags="-O2 -fno-fast-math"),
            "own-asan",
            {FLAGS: "-DX -fsanitize=address"},
            "-O2 -fno-fast-math -O1 -g1",
        ),
        (SANITIZER, "avx2-asan", dict(SANITIZER.options), "-O1 -g1"),
    ],
)
def test_variant_keeps_what_the_cell_is_built_with(
    flags: FlagSet, name: str, options: dict[str, str], cxx_flags: str
) -> None:
    found = sanitized(flags, SANITIZER)
    assert (found.name, dict(found.options), found.cxx_flags) == (name, options, cxx_flags)
    assert found.wants_asan
    assert (found.compiler, found.needs) == (flags.compiler, flags.needs)


def ended(code: int = 0, output: str = "", *, timed_out: bool = False) -> Completed:
    return Completed(command=("c",), returncode=code, timed_out=timed_out, seconds=7, output=output)


def result(
    death: Completed | None = None,
    *,
    chain: ChainDone | None = None,
    alone: str = "",
    crash: Crash | None = None,
) -> InputResult:
    died = {alone: AloneDone(input="x", layer=alone, died="SIGSEGV")} if alone else {}
    return InputResult(name="x", chain=chain, alone=died, ended=death, death=death, crash=crash)


RAN = ChainDone(input="x")


@pytest.mark.parametrize(
    ("found", "how"),
    [
        (result(ended(-11), crash=CRASH), "SIGSEGV in ncnn::f"),
        (result(ended(-6)), "SIGABRT"),
        (result(ended(-11), chain=RAN, alone="a"), "InnerProduct a, run alone: SIGSEGV"),
        (
            result(chain=ChainDone(input="x", failure="the program ended with SIGILL")),
            "the program ended with SIGILL",
        ),
        (result(chain=RAN), None),
        (result(ended(-9)), None),
        (result(ended(1)), None),
        (result(ended(-9, timed_out=True)), None),
    ],
)
def test_only_signals_of_its_own_are_a_breakdown(found: InputResult, how: str | None) -> None:
    broken = measured_breakdown("x", found, CHAIN)
    assert (broken.how if broken else None) == how


@pytest.mark.parametrize(
    ("verdict", "failure", "reason", "broken"),
    [
        (Verdict.BROKEN, Failure.RUN, "SIGSEGV in f", True),
        (Verdict.BROKEN, None, "the output has 3 NaN values", True),
        (Verdict.BROKEN, Failure.RUN, "AddressSanitizer: heap-use-after-free", True),
        (Verdict.UNSTABLE, None, "SIGSEGV in one pass, numbers in the other", True),
        (Verdict.BROKEN, Failure.RUN, "SIGKILL", False),
        (Verdict.BROKEN, Failure.RUN, "out of memory (limit 4 GiB): exit code 1", False),
        (Verdict.BROKEN, Failure.TIMEOUT, "no result after 60 s", False),
        (Verdict.DROP, None, "the output is off", False),
    ],
)
def test_records_that_damaged_memory_may_explain(
    verdict: Verdict, failure: Failure | None, reason: str, broken: bool
) -> None:
    record = record_of({}, verdict=verdict, reason=reason).model_copy(update={"failure": failure})
    assert [x.how for x in recorded_breakdowns([record])] == [reason] * broken


def build_spec(flags: FlagSet) -> BuildSpec:
    revision = Revision(label="2", kind="index", name="2")
    return BuildSpec(revision=revision, flags=flags, layers=None)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (result(ended(1, REPORT)), SENTENCE),
        (
            result(ended(1, REPORT), chain=RAN, alone="a"),
            f"{SENTENCE} (layer a, run alone)",
        ),
        (
            result(ended(-11)),
            "In 2-avx2-asan it ends with SIGSEGV, and AddressSanitizer reports nothing",
        ),
        (
            result(ended(-9, timed_out=True)),
            "In 2-avx2-asan it ends with no result after 7 s, and AddressSanitizer reports nothing",
        ),
        (
            result(chain=RAN),
            "In 2-avx2-asan it does not crash, and AddressSanitizer reports nothing: in the chain "
            "and in each layer alone, compiled with -O1 -g1. Values that were never set it does "
            "not see",
        ),
    ],
)
def test_outcome_says_what_the_sanitizer_said_and_no_more(found: InputResult, words: str) -> None:
    assert outcome_of(found, build_spec(SANITIZER)) == words


@dataclass
class FakeResolver:
    """Has a build, makes it, or fails."""

    there: bool = False
    failing: HarnessError | None = None
    made: list[BuildSpec] = field(default_factory=list)

    def plan(self, spec: BuildSpec) -> SimpleNamespace:
        if self.failing:
            raise self.failing
        return SimpleNamespace(spec=spec)

    def find(self, plan: SimpleNamespace) -> Build | None:
        return self._build(plan.spec) if self.there else None

    def make(self, plan: SimpleNamespace) -> Build:
        self.made.append(plan.spec)
        return self._build(plan.spec)

    def _build(self, spec: BuildSpec) -> Build:
        record = BuildRecord(id=spec.id, key="k", version="2", flags=spec.flags.name)
        return Build(core=Path(spec.id), record=record)


@dataclass
class Bench:
    """An examiner whose builds run nothing, and what it said."""

    resolver: FakeResolver
    said: list[str] = field(default_factory=list)
    measured: list[tuple[str, str]] = field(default_factory=list)

    def measure(self, subject: SimpleNamespace, truth: str, folder: Path) -> SimpleNamespace:
        self.measured.append((subject.build, truth))
        return SimpleNamespace(result=result(ended(1, REPORT)))

    def examiner(self) -> CrashExaminer:
        return CrashExaminer(
            sanitizer=SANITIZER,
            resolver=cast("Any", self.resolver),
            measurer=cast("Any", self),
            references=cast("Any", SimpleNamespace(truth=lambda spec: spec.name)),
            say=self.said.append,
        )


SPECS = [InputSpec(name="easy"), InputSpec(name="hard")]
BROKEN = (Breakdown(input="hard", how="SIGSEGV in ncnn::f", crash=CRASH),)
CELL = CellSpec(
    build=build_spec(FlagSet(name="sse2")),
    run=RunSpec(name="bf16"),
    model=ModelSpec(name="m"),
    input=SPECS[0],
)


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def subject(build: Build, cell: CellSpec, _: object) -> SimpleNamespace:
        return SimpleNamespace(build=f"{build.core} {cell.run.name}")

    monkeypatch.setattr(crash, "subject_of", subject)


@pytest.mark.parametrize("there", [True, False])
def test_variant_is_found_or_made_and_runs_the_input_that_broke_down(
    there: bool, tmp_path: Path
) -> None:
    bench = Bench(FakeResolver(there=there))
    found = bench.examiner().examine(CELL, BROKEN, SPECS, tmp_path)
    assert bench.measured == [("2-sse2-asan bf16", "hard")]
    assert found.sentence == f"Breaks down on hard: SIGSEGV in ncnn::f. {SENTENCE}"
    assert found.report[0] == "AddressSanitizer: heap-buffer-overflow"
    assert len(bench.resolver.made) == (not there)
    told = [words for words in bench.said if words.startswith("building 2-sse2-asan, ")]
    assert [words.endswith("since hard broke down: SIGSEGV in ncnn::f") for words in told] == [
        True
    ] * (not there)


@pytest.mark.parametrize(
    ("failing", "target", "remedy"),
    [
        (MachineError("g++ has no libasan. Install it."), None, "no libasan. Install it"),
        (BuildError("it does not compile."), None, "it does not compile"),
        (None, AARCH64, "not there for aarch64, another machine than this one. Diagnose the same"),
    ],
)
def test_what_is_missing_is_told_and_nothing_is_run(
    failing: HarnessError | None, target: Target | None, remedy: str, tmp_path: Path
) -> None:
    bench = Bench(FakeResolver(failing=failing))
    flags = replace(CELL.build.flags, target=target)
    cell = replace(CELL, build=build_spec(flags))
    found = bench.examiner().examine(cell, BROKEN, SPECS, tmp_path)
    assert found.outcome.startswith("Not run with AddressSanitizer: ")
    assert remedy in found.outcome
    assert (found.ran, found.report, bench.measured) == (False, (), [])
