"""What is run of a known fault, and whether what was found is what it says."""

from __future__ import annotations

import io
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from harness.analysis.bisection.history import Point
from harness.analysis.corpus.commits import commits
from harness.analysis.corpus.running import CorpusRunner
from harness.analysis.corpus.trials import (
    Place,
    Result,
    Role,
    Trial,
    TrialState,
    is_clean,
    releases,
    shows,
    trials,
)
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.domain.spec import FlagSet, Revision, RunSpec
from harness.execution.case_runner import CaseRecord
from harness.report.corpus_text import show_corpus, state_of
from harness.util.errors import BuildError
from tests.advisories.entries import advisory
from tests.source_tree import write_tree

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

OK = CaseVerdict(outcome=CaseOutcome.OK, error=1e-7, limit=4e-5)
BROKEN = CaseVerdict(outcome=CaseOutcome.BROKEN, error=1.5, limit=4e-5)
DROP = CaseVerdict(outcome=CaseOutcome.DROP, error=1e-3, limit=4e-5)
NARROW = CaseVerdict(outcome=CaseOutcome.DROP, error=1e-3, limit=4e-5, narrow="fp16")
CRASH = CaseVerdict(outcome=CaseOutcome.CRASH)
REFUSED = CaseVerdict(outcome=CaseOutcome.REFUSED, reason="no such layer")
AVX2, SSE2 = FlagSet(name="avx2"), FlagSet(name="sse2")
RUN = RunSpec(name="num_threads=2", threads=2)
FIXED = RunSpec(name="num_threads=1", threads=1)


def revision(label: str) -> Revision:
    return Revision(label=label, kind="index", name=label)


@pytest.mark.parametrize(
    ("expect", "verdict", "is_shown", "is_gone"),
    [
        ("broken", BROKEN, True, False),
        ("broken", DROP, False, False),
        ("broken", NARROW, False, True),
        ("broken", OK, False, True),
        ("broken", REFUSED, False, False),
        ("drop", DROP, True, False),
        ("drop", NARROW, False, True),
        ("narrow", NARROW, True, False),
        ("narrow", DROP, False, False),
        ("narrow", OK, False, True),
        ("crash", CRASH, True, False),
        ("ok", NARROW, False, True),
    ],
)
def test_what_a_verdict_says_of_a_fault(
    expect: str, verdict: CaseVerdict, is_shown: bool, is_gone: bool
) -> None:
    found = advisory(expect=expect, **({"bad": []} if expect == "ok" else {}))
    assert (shows(found, verdict), is_clean(found, verdict)) == (is_shown, is_gone)


def test_releases_that_cannot_be_had_are_told() -> None:
    known = {label: revision(label) for label in ("20250428", "20260113", "20261020")}
    places, missing = releases(advisory(), known)
    assert [(p.name, p.faulty) for p in places] == [("20250428", True), ("20260113", False)]
    assert missing == {"20241226": False, "20250916": True}


def test_commits_are_run_with_their_parents() -> None:
    class Clone:
        def point(self, name: str) -> Point:
            label = name.replace("^", "-parent")
            return Point(id=name, revision=revision(label))

    found = list(commits(advisory(), Clone()))  # type: ignore[arg-type]
    assert [(p.name, p.faulty) for p in found] == [
        ("07267f261-parent (before 07267f261, which introduces it)", False),
        ("07267f261 (introduces it)", True),
        ("c18cc6de6-parent (before c18cc6de6, which repairs it)", True),
        ("c18cc6de6 (repairs it)", False),
    ]
    harmless = advisory(expect="ok", bad=[])
    assert not any(p.faulty for p in commits(harmless, Clone()))  # type: ignore[arg-type]


def test_what_clears_it_is_run_where_it_is_bad() -> None:
    places = [Place(revision=revision(v), faulty=v == "20250428") for v in ("20241226", "20250428")]
    found = trials(advisory(fix="num_threads=1"), places, AVX2, RUN, FIXED)
    assert [(t.place.name, t.run.name, t.role) for t in found] == [
        ("20241226", "num_threads=2", Role.GOOD),
        ("20250428", "num_threads=2", Role.BAD),
        ("20250428", "num_threads=1", Role.FIX),
    ]


def result(role: Role, verdict: CaseVerdict | None, **changes: Any) -> Result:
    place = Place(revision=revision("20250428"), faulty=role is not Role.GOOD)
    found = advisory(fix="num_threads=1", **changes)
    trial = Trial(advisory=found, place=place, flags=AVX2, run=RUN, role=role)
    return Result(trial=trial, verdict=verdict, reason="" if verdict else "no compiler")


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        ([(Role.BAD, BROKEN), (Role.GOOD, OK), (Role.FIX, OK)], TrialState.AS_EXPECTED, []),
        (
            [(Role.BAD, OK)],
            TrialState.DIFFERS,
            ["softmax-tail in 20250428: broken expected, found ok"],
        ),
        (
            [(Role.BAD, BROKEN), (Role.FIX, BROKEN)],
            TrialState.DIFFERS,
            ["softmax-tail in 20250428 with num_threads=1: ok expected, found broken 1.5"],
        ),
        ([(Role.GOOD, DROP)], TrialState.DIFFERS, ["ok expected, found drop 1.0e-3"]),
        (
            [(Role.GOOD, REFUSED)],
            TrialState.DIFFERS,
            ["ok expected, found refused (no such layer)"],
        ),
        ([(Role.BAD, None)], TrialState.NOT_RUN, ["20250428: not run: no compiler"]),
        ([(Role.BAD, None), (Role.GOOD, OK)], TrialState.AS_EXPECTED, ["not run: no compiler"]),
    ],
)
def test_the_table_says_what_differs(
    found: list[tuple[Role, CaseVerdict | None]], state: TrialState, words: list[str]
) -> None:
    results = [result(role, verdict) for role, verdict in found]
    assert state_of(results) is state
    stream = io.StringIO()
    show_corpus(Console(file=stream, width=200), [(results[0].trial.advisory, results)], {})
    lines = stream.getvalue().splitlines()
    assert lines[1].split()[0] == "softmax-tail"
    assert all(any(text in line for line in lines[2:]) for text in words)
    assert len(lines) == 3 + len(words)
    assert lines[-1] == f"1 known fault: 1 {state}"


def test_an_error_of_another_size_is_remarked_on() -> None:
    assert result(Role.BAD, BROKEN, error=1.0).remark == ""
    assert result(Role.BAD, BROKEN, error=0.1).remark == "error 1.5, not 0.1"


class Resolver:
    """Builds nothing, and not at all what is for SSE2."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.layers: list[list[str]] = []

    def source(self, _: Revision) -> Any:
        return type("Tree", (), {"path": self.tree})

    def build_with(self, _: Revision, flags: FlagSet, layers: Collection[str]) -> Any:
        if flags is SSE2:
            raise BuildError("does not compile")
        self.layers.append(sorted(layers))
        return SimpleNamespace(id=flags.name)


@dataclass(frozen=True)
class Runner:
    """Finds everything broken that runs with two threads."""

    exact: RunSpec

    def run(self, build: Any, requests: Any) -> Any:
        assert self.exact.options == (("use_packing_layout", False),)
        for case, runs in requests:
            verdicts = {run.name: BROKEN if run.threads == 2 else OK for run in runs}
            yield CaseRecord(case=case.id, build=build.id, verdicts=verdicts)


def test_what_shares_version_and_flags_is_run_in_one_build(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "src/CMakeLists.txt": "\n".join(f"ncnn_add_layer({n})" for n in ("Softmax", "ReLU")),
            "src/option.h": "    bool lightmode;\n    bool use_packing_layout;\n",
            "src/option.cpp": "    lightmode = true;\n    use_packing_layout = true;\n",
        },
    )
    softmax = advisory(fix="num_threads=1")
    relu = advisory(id="relu", layer="ReLU", case="ReLU::7")
    mish = advisory(id="mish", layer="Mish", case="Mish::7")
    place = Place(revision=revision("20250428"), faulty=True)
    planned = [t for a in (softmax, relu) for t in trials(a, [place], AVX2, RUN, FIXED)]
    planned += trials(mish, [place], SSE2, RUN, None)
    resolver, said = Resolver(tmp_path), list[str]()
    runner: Any = Runner(exact=RunSpec(name="exact"))
    corpus = CorpusRunner(resolver=resolver, runner=runner, say=said.append)  # type: ignore[arg-type]
    results = list(corpus.run(planned))
    assert resolver.layers == [["Input", "ReLU", "Softmax"]]
    assert said == ["build 1 of 2: 20250428-avx2", "build 2 of 2: 20250428-sse2"]
    assert [(r.trial.advisory.id, r.trial.role, r.state, r.reason) for r in results] == [
        ("softmax-tail", Role.BAD, TrialState.AS_EXPECTED, ""),
        ("softmax-tail", Role.FIX, TrialState.AS_EXPECTED, ""),
        ("relu", Role.BAD, TrialState.AS_EXPECTED, ""),
        ("relu", Role.FIX, TrialState.AS_EXPECTED, ""),
        ("mish", Role.BAD, TrialState.NOT_RUN, "does not compile"),
    ]
