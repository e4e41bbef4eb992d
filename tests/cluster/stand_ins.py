"""Units that sleep in place of building and running, for workers in processes of their own."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from distributed import get_worker

from harness.analysis.diagnosis.examination import Examination
from harness.analysis.diagnosis.layer_findings import Diagnosis, TriedFix
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.cluster import unit
from harness.cluster.case_unit import SweepBuilt
from harness.cluster.examination import Report
from harness.cluster.unit import Made
from harness.domain.records import BuildRecord, Verdict
from harness.execution.case_runner import CaseRecord
from harness.util.codes import Code
from harness.util.errors import BuildError, MachineError
from tests.records import cell as record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.analysis.diagnosis.examination import Question
    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec, RunSpec
    from harness.execution.case_runner import Request

DEADLY, FULL, SLOW = "deadly", "full", "slow"
"""Runs that end their worker, find no space, and take a second."""
CHANGED, CONTENT = "model.masks.param", b"7767517\n"
"""A file that a diagnosis writes."""
DEADLY_LAYER, UNBUILDABLE = "Softmax", "unbuildable"
"""Cases that end their worker, and a version that does not compile."""
KILL_ONCE = "kill-once"
"""File at whose sight a worker ends, once."""


def make(folder: Path, spec: BuildSpec) -> Made:
    """Note that a build is made, and by whom."""
    with (folder / "builds").open("a") as stream:
        stream.write(f"{spec.flags.name} {get_worker().name}\n")
    time.sleep(0.05)
    return Made(instead=None, cached=False, seconds=0.05)


def run(folder: Path, cells: Sequence[CellSpec], parcel: Any) -> list[CellRecord]:
    """Do what the run's name says."""
    name = cells[0].run.name
    (folder / f"process-{os.getpid()}").touch()
    if name == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == FULL:
        raise MachineError("no space left")
    time.sleep(1.0 if name == SLOW else 0.01)
    who = str(get_worker().name)
    with (folder / "runs").open("a") as stream:
        stream.write(f"{cells[0].build.flags.name} {who}\n")
    return [
        record({}).model_copy(
            update={"cell": each.id, "verdict": Verdict.OK, "machine": {"worker": who}}
        )
        for each in cells
    ]


def errand(folder: Path, name: str) -> str:
    """Do what a name says, and return it; nothing else may be under way on the worker."""
    busy = folder / f"busy-{os.getpid()}"
    assert not busy.exists()
    busy.touch()
    (folder / f"process-{os.getpid()}").touch()
    if name == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == FULL:
        busy.unlink()
        raise MachineError("no space left", code=Code.LIMIT)
    time.sleep(1.0 if name == SLOW else 0.05)
    busy.unlink()
    return name


def examine(folder: Path, question: Question, luggage: Any) -> Report:
    """Do what the run's name says: end the first worker, or fail to build."""
    name = question.cell.run.name
    if name == DEADLY and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == FULL:
        raise BuildError("it does not compile", log="a.log", lasting=False)
    unit.say("measuring: i")
    fixes = (
        TriedFix(kind="options", change="x = false"),
        TriedFix(kind="masks", change="fc 31=3", param=str(folder / "scratch" / CHANGED)),
    )
    diagnosis = Diagnosis(
        cell="c", model="m", build="b", options={}, inputs=(), layers=(), fixes=fixes
    )
    found = Examination(diagnosis=diagnosis, records=tuple(unit.signed([record({})])))
    return Report(found=found, files={CHANGED: CONTENT})


def wait(condition: Callable[[], bool]) -> None:
    """Wait until something has happened.

    Raises:
        AssertionError: it does not.
    """
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened")


def sweep_build(folder: Path, spec: BuildSpec) -> SweepBuilt:
    """Note that a build of a sweep is made, and by whom."""
    label = spec.revision.label
    if label == UNBUILDABLE:
        raise BuildError("it does not compile", first_error="first")
    with (folder / "made").open("a") as stream:
        stream.write(f"{label} {get_worker().name}\n")
    time.sleep(0.05)
    record = BuildRecord(id=f"{label}-f", key="k", version=label, flags="f")
    return SweepBuilt(record=record, machine={"cpu": "some"})


def finished_builds(folder: Path, dask_worker: Any) -> list[str]:
    """Return which builds of a sweep this worker has made."""
    made = folder / "made"
    lines = made.read_text().splitlines() if made.exists() else []
    words = [line.split() for line in lines]
    return [f"{label}-f-key" for label, who in words if who == str(dask_worker.name)]


def sweep_cases(
    folder: Path, spec: BuildSpec, exact: RunSpec, requests: Sequence[Request], confirm: bool
) -> list[CaseRecord]:
    """Find all cases right, but for one that ends its worker."""
    kill_once = folder / KILL_ONCE
    if kill_once.exists() or any(case.type == DEADLY_LAYER for case, _ in requests):
        kill_once.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
    label = spec.revision.label
    with (folder / "cases").open("a") as stream:
        stream.write(f"{label} {get_worker().name}\n")
    time.sleep(0.05)
    right = CaseVerdict(outcome=CaseOutcome.OK)
    return [
        CaseRecord(case=case.id, build=f"{label}-f", verdicts={run.name: right for run in runs})
        for case, runs in requests
    ]
