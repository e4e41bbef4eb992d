"""A made-up sweep of three versions: what comes, what goes, what stays, and what was not tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.sweep.cells import cell_record
from harness.analysis.sweep.collection import cases_file
from harness.analysis.sweep.finding import CommitFound, Explained, SweepFinding
from harness.analysis.sweep.suspects import FaultKind, FaultState
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.cases.layer_case import parse_case
from harness.domain.records import BuildRecord
from harness.domain.spec import RunSpec
from harness.domain.verdict import Tolerance
from harness.execution.case_runner import CaseRecord
from harness.report.sweep_about import Reference, SweepAbout, SweptBuild, write_about
from harness.report.sweep_model import SweepReport, keep_findings
from harness.util.files import append_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

VERSIONS = ("20250503", "20250916", "20261020")
RUNS = ("default", "fp32", "exact", "use_packing_layout=false", "num_threads=2")
WORDS = {
    "fp32": "use_fp16_storage=false",
    "exact": "use_fp16_storage=false,use_packing_layout=false,use_winograd_convolution=false",
}
VERDICTS = {
    ".": CaseVerdict(outcome=CaseOutcome.OK, error=1e-7, limit=4e-5),
    "d": CaseVerdict(outcome=CaseOutcome.DROP, error=1e-3, limit=4e-5),
    "n": CaseVerdict(outcome=CaseOutcome.DROP, error=3e-4, limit=4e-5, narrow="fp16"),
    "b": CaseVerdict(outcome=CaseOutcome.BROKEN, error=float("inf"), limit=4e-5, reason="3 NaN"),
    "u": CaseVerdict(outcome=CaseOutcome.UNSTABLE, error=1e-3),
    "c": CaseVerdict(outcome=CaseOutcome.CRASH, reason="SIGSEGV in <ncnn::forward>"),
    "h": CaseVerdict(outcome=CaseOutcome.HANG, reason="no result in time"),
    "s": CaseVerdict(outcome=CaseOutcome.SHAPE, reason="shape (3,) instead of (4,)"),
    "r": CaseVerdict(outcome=CaseOutcome.REFUSED, reason="forward failed"),
    "?": CaseVerdict(outcome=CaseOutcome.UNJUDGED, reason="other roundings give other values"),
    "-": CaseVerdict(outcome=CaseOutcome.UNSUPPORTED, reason="no device"),
}
STATES = {"+": FaultState.GOOD, "-": FaultState.BAD, "?": FaultState.UNKNOWN}
SHA = "0123456789abcdef0123456789abcdef01234567"


def record(case: str, marks: str) -> CaseRecord:
    """What became of a case with each of `RUNS`."""
    verdicts = {run: VERDICTS[mark] for run, mark in zip(RUNS, marks, strict=True)}
    return CaseRecord(case=case, build="any", verdicts=verdicts)


def about(labels: Sequence[str] = VERSIONS, **more: Any) -> SweepAbout:
    """A sweep of the types that have records below."""
    return SweepAbout(
        builds=tuple(
            SweptBuild(
                label=label,
                version=label.partition("#")[0],
                id=f"{label}-avx2",
                source=f"ncnn-{label}.tar.gz",
                compiler="GNU 12.2.0",
                runs={run: WORDS.get(run, run) for run in RUNS},
                left_out={"SDPA": {"no such layer": 4}} if label == VERSIONS[0] else {},
            )
            for label in labels
        ),
        **{
            "flags": "avx2",
            "seed": 7,
            "cases": 12,
            "references": {
                **dict.fromkeys(("Softmax", "ReLU", "Slice", "SDPA"), Reference.DEFINITION),
                "ROIAlign": Reference.EXACT_RUN,
            },
            "arguments": ("--flags", "avx2"),
            "tolerance": Tolerance(),
            "machine": {"cpu": "zen4"},
            "harness": "1.0",
            "finished": "2026-11-20T12:00:00+00:00",
            **more,
        },
    )


def finding(
    layer: str,
    states: str,
    *,
    run: str = "default",
    kind: FaultKind = FaultKind.VALUES,
    bad: str = "b",
    commits: Sequence[CommitFound] = (),
    labels: Sequence[str] = VERSIONS,
) -> Explained:
    """A finding whose builds are good (+), bad (-) or unknown (?), without causes."""
    verdicts = {"+": VERDICTS["."], "-": VERDICTS[bad], "?": None}
    return Explained(
        finding=SweepFinding(
            id=f"{layer.lower()}-{run[:5]}-{kind.name}",
            layer=layer,
            kind=kind,
            case=f"{layer}:0=1:3x7",
            found_as=f"{layer}:0=1:33x70",
            run=WORDS.get(run, run),
            flags="avx2",
            builds=tuple(labels),
            states=tuple(STATES[mark] for mark in states),
            verdicts=tuple(verdicts[mark] for mark in states),
            cases=3,
            commits=tuple(commits),
        ),
        records=(),
        causes=(),
    )


REPAIRED = CommitFound(
    before=VERSIONS[1],
    after=VERSIONS[2],
    becomes_bad=False,
    commit=SHA,
    title="fix softmax <tail> | more",
    certainty=0.97,
)
TABLES: Mapping[str, Mapping[str, str]] = {
    VERSIONS[0]: {"Softmax:0=1:3x7": "....b", "ReLU::5": ".....", "ROIAlign::5": "..d.."},
    VERSIONS[1]: {"Softmax:0=1:3x7": "....b", "ReLU::5": ".....", "ROIAlign::5": "..d.."},
    VERSIONS[2]: {
        "Softmax:0=1:3x7": ".....",
        "ReLU::5": "....c",
        "ReLU::6": ".....",
        "ROIAlign::5": "..d..",
        "Slice::9:out=2": "n..n.",
    },
}


def tables() -> tuple[tuple[CaseRecord, ...], ...]:
    """Records of all versions."""
    return tuple(
        tuple(record(case, marks) for case, marks in rows.items()) for rows in TABLES.values()
    )


def caused() -> Explained:
    """A finding of Softmax with cells that show what stops it, and another fault of its case."""
    found = finding("Softmax", "--+", run="num_threads=2", commits=[REPAIRED])
    case = parse_case(found.finding.case)
    cells = []
    for label, marks in zip(VERSIONS, (".b", ".b", ".."), strict=True):
        options: dict[str, bool | int] = {"use_bf16_storage": False, "use_packing_layout": True}
        build = BuildRecord(
            id=f"{label}-avx2",
            key=label,
            version=label,
            flags="avx2",
            options=options,
            compile_command="c++ -o softmax_x86.cpp.o",
        )
        for run, mark in zip(("default", "num_threads=2"), marks, strict=True):
            spec = RunSpec(name=run, threads=2 if "=" in run else 1)
            cells.append(cell_record(case, spec, VERDICTS[mark], build, Tolerance(), words=run))
        other = RunSpec(name="bf16", options=(("use_bf16_storage", True),))
        words = "use_bf16_storage=true"
        cells.append(cell_record(case, other, VERDICTS["d"], build, Tolerance(), words=words))
    ids = tuple(cell.cell for cell in cells)
    changed = found.finding.model_copy(update={"cells": ids})
    return Explained(finding=changed, records=tuple(cells), causes=())


def findings() -> tuple[Explained, ...]:
    """What the records show."""
    return (
        finding("ReLU", "++-", run="num_threads=2", kind=FaultKind.CRASH, bad="c"),
        caused(),
        finding("Slice", "++-", kind=FaultKind.NARROW, bad="n"),
        finding("Softmax", "++-", run="fp32", kind=FaultKind.NARROW, bad="n"),
        finding("ROIAlign", "---", run="exact", kind=FaultKind.PRECISION, bad="d"),
    )


def report(*found: Explained, labels: Sequence[str] = VERSIONS) -> SweepReport:
    """A sweep of some findings; its table is that of the records above."""
    return SweepReport(
        about=about(labels),
        tables=tables() if len(labels) == len(VERSIONS) else tuple(() for _ in labels),
        findings=found,
    )


def write_sweep_run(folder: Path) -> Path:
    """Write a run directory as a sweep leaves it."""
    folder.mkdir(parents=True)
    for label, table in zip(VERSIONS, tables(), strict=True):
        for each in table:
            append_line(cases_file(folder, label), each.model_dump_json(exclude_defaults=True))
    keep_findings(findings(), folder)
    write_about(about(), folder)
    return folder
