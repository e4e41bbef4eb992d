"""The whole examination of one cell, from what is asked to what is found, wherever it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.dump import dump

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.analysis.diagnosis.layer_findings import Diagnosis
    from harness.analysis.diagnosis.pipeline import DiagnosisPipeline
    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec, FlagSet, InputSpec


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be found out about one cell."""

    cell: CellSpec
    specs: tuple[InputSpec, ...]
    """Its inputs."""
    fixes: tuple[str, ...]
    """Kinds of fixes to try."""
    builds: tuple[BuildSpec, ...]
    """Builds that may be there, to be tried as fixes."""
    sanitizer: FlagSet
    """The flag set with whose sanitizer a cell that breaks down is looked at."""
    recorded: bool
    """Whether the cell is also run as a matrix does, for the report."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found out."""

    diagnosis: Diagnosis
    """Without the command that repeats a crash: it depends on what the user typed."""
    records: tuple[CellRecord, ...] = ()
    """Of the cell, and of the same with other run options; without commands as well."""


def examine(
    pipeline: DiagnosisPipeline,
    question: Question,
    folder: Callable[[], Path],
    scratch: Path,
    dumped: Path | None = None,
) -> Examination:
    """Build a cell, diagnose it, try fixes, and look into crashes.

    Args:
        pipeline: what does it.
        question: what is asked.
        folder: returns where changed `.param` files go; not called before there is a diagnosis.
        scratch: scratch space.
        dumped: where all arrays go; None to keep none.

    Raises:
        BuildError: the cell does not compile.
        HarnessError: it cannot be built or run here.
    """
    cell, specs = question.cell, question.specs
    subject = pipeline.subject(cell)
    diagnosis = pipeline.diagnose(cell, subject, specs, scratch)
    fixes = tuple(
        pipeline.fixes(
            question.fixes, cell, subject, diagnosis, specs, question.builds, folder(), scratch
        )
    )
    if dumped:
        evaluator = pipeline.machine.evaluator
        dump(
            subject, specs, pipeline.references, evaluator, pipeline.measurer, dumped, pipeline.say
        )
    records = pipeline.records(cell, specs, fixes) if question.recorded else []
    own = [record for record in records if record.run == cell.run.name]
    crash = pipeline.crash(cell, diagnosis, own, specs, question.sanitizer, scratch)
    return Examination(
        diagnosis=diagnosis.model_copy(update={"fixes": fixes, "crash": crash}),
        records=tuple(records),
    )
