"""Reports whose every name is one that somebody made up to do harm."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, product
from typing import TYPE_CHECKING

from harness.analysis.sweep.finding import CommitFound, Explained
from harness.domain.commits import FaultyCommit
from harness.domain.findings import Finding, Section
from harness.domain.verdict import Tolerance
from harness.report.model import assemble
from harness.report.sweep_about import Reference
from harness.report.sweep_model import SweepReport
from tests.hostile_names import HOSTILE
from tests.report.sweeps import RUNS as SWEPT
from tests.report.sweeps import about, finding, record
from tests.report.synthetic import cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.records import CellRecord
    from harness.execution.case_runner import CaseRecord
    from harness.report.model import Report

AT_ONCE = 9
"""Names of each axis on one page: the table has their product."""


def pages() -> list[tuple[str, ...]]:
    """Return the names in portions, all of them at least once."""
    return [tuple(HOSTILE[at : at + AT_ONCE]) for at in range(0, len(HOSTILE), AT_ONCE)]


def matrix(names: Sequence[str]) -> list[CellRecord]:
    """Return the product of names as versions, flag sets, run options and inputs."""
    runs = names[: AT_ONCE // 3]
    inputs = names[-2:]
    # What becomes of a cell follows from its place, so that all verdicts are there.
    places = product(
        zip(names, cycle(("20220420", "20250503", "20220729")), strict=False),
        zip(names, cycle(("sse2", "avx2", "avx512", "runtime")), strict=False),
        zip(runs, ("default", "fp16-off", "bf16"), strict=True),
        inputs,
    )
    return [
        _renamed(cell(version, flags, run, "short", layers=5), names, called)
        for (name, version), (set_name, flags), (run_name, run), item in places
        for called in [(name, set_name, run_name, item)]
    ]


def _renamed(made: CellRecord, names: Sequence[str], called: tuple[str, ...]) -> CellRecord:
    name, *others = names
    version, flags, run, item = called
    build = made.build.model_copy(
        update={
            "id": f"{version}-{flags}",
            "version": version,
            "flags": flags,
            "source": name,
            "compiler": name,
            "compile_command": " ".join(names),
            "ineffective": tuple(names),
            "cmake_cache": {**made.build.cmake_cache, name: name},
        }
    )
    layers = tuple(
        layer.model_copy(
            update={"name": each, "type": each, "blob": each, "value": each, "note": each}
        )
        for layer, each in zip(made.layers, cycle(others or names), strict=False)
    )
    return made.model_copy(
        update={
            "cell": f"{version}-{flags}/{run}/{item}",
            "model": name,
            "version": version,
            "flags": flags,
            "run": run,
            "input": item,
            "reason": made.reason and f"{name}: {made.reason}",
            "stderr": "\n".join(names) if made.stderr else "",
            "text": name,
            "reference_text": version,
            "output_blob": item,
            "machine": {**made.machine, "cpu": name, name: name},
            "model_notes": tuple(names),
            "layers": layers,
            "build": build,
        }
    )


def told() -> Finding:
    """Return what a diagnosis or bisection tells, of all names."""
    rows = tuple((name, name, "x") for name in HOSTILE)
    return Finding(
        title=HOSTILE[0],
        sentence=" ".join(HOSTILE),
        sections=(
            Section(heading=HOSTILE[1], lines=tuple(HOSTILE)),
            Section(heading=HOSTILE[2], header=("a", HOSTILE[3], "b|c"), rows=rows),
            Section(heading="```", code="\n".join(HOSTILE)),
            Section(heading=HOSTILE[4], lines=tuple(HOSTILE), rows=rows, folded=True),
        ),
        command=" ".join(HOSTILE),
    )


def report(names: Sequence[str]) -> Report:
    """Return the report of a matrix, with everything that a report may have beside it."""
    records = matrix(names)
    commits = [
        FaultyCommit(commit="440bfdd2c" * 4, date="2022-06-23", subject=name, effect=name)
        for name in names
    ]
    return assemble(
        records,
        title=" ".join(names[:3]),
        tolerance=Tolerance(),
        commits=commits,
        findings=[told()],
        previous=records[::2],
        config=names[0],
        requested={name: name for name in names},
        left_out={name: name for name in names},
    )


def findings_alone() -> Report:
    """Return the report of a diagnosis or bisection without records."""
    return assemble([], title=HOSTILE[-1], tolerance=Tolerance(), findings=[told(), told()])


TYPES = (*(f"Layer{n}" for n in range(len(HOSTILE) - 1)), "Z" * 255)


def _reasoned(made: CaseRecord, reason: str) -> CaseRecord:
    verdicts = {
        run: each.model_copy(update={"reason": reason}) for run, each in made.verdicts.items()
    }
    return made.model_copy(update={"verdicts": verdicts})


def _committed(made: Explained, title: str) -> Explained:
    found = CommitFound(before="a", after="b", becomes_bad=True, commit="0" * 40, title=title)
    update = {"commits": (found,), "verdicts": made.finding.verdicts}
    return replace(made, finding=made.finding.model_copy(update=update))


def sweep() -> SweepReport:
    """Return the report of a sweep of versions of these names; types of layers are words."""
    labels = (HOSTILE[0], *(name for name in HOSTILE if len(name) > 1000))
    marks = cycle(("....b", "....c", "..d..", "n..n.", "?....", "r....", "....."))
    reasons = cycle(HOSTILE)
    tables = tuple(
        tuple(_reasoned(record(f"{layer}:0=1:3x7", next(marks)), next(reasons)) for layer in TYPES)
        for _ in labels
    )
    found = tuple(
        _committed(finding(layer, "+-", run=SWEPT[at % len(SWEPT)], labels=labels), name)
        for at, (layer, name) in enumerate(zip(TYPES, HOSTILE, strict=True))
    )
    made = about(
        labels,
        flags=HOSTILE[5],
        machine={name: name for name in HOSTILE},
        arguments=tuple(HOSTILE),
        references=dict.fromkeys(TYPES, Reference.DEFINITION),
    )
    return SweepReport(about=made, tables=tables, findings=found)
