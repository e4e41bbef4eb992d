"""A diagnosis on a worker: what is asked and what it takes goes there, what is found comes back.

All reference values are computed by who asks, as for a matrix. The worker builds and measures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.diagnosis import examination
from harness.analysis.diagnosis.pipeline import DiagnosisPipeline
from harness.cluster import unit
from harness.cluster.parcel import Parcel, moved, packed, unpacked
from harness.execution.engine import ModelAtHand
from harness.util.files import write_atomically
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.diagnosis.examination import Examination, Question
    from harness.analysis.diagnosis.measurer import Truth
    from harness.analysis.diagnosis.prepare import KnownModel
    from harness.cluster.team import Team
    from harness.domain.spec import InputSpec
    from harness.model.prepared_model import PreparedModel
    from harness.reference.prepared_input import PreparedInput
    from harness.util.build_store import Store


@dataclass(frozen=True, kw_only=True)
class Luggage:
    """What a worker needs to know of a model, as it travels."""

    parcel: Parcel
    constants: Mapping[str, NDArray[Any]]
    truths: tuple[Truth, ...]
    """With references of the parcel."""


@dataclass(frozen=True, kw_only=True)
class BroughtModel:
    """A `KnownModel` that somebody else has worked out; it evaluates nothing."""

    model: PreparedModel
    constants: Mapping[str, NDArray[Any]]
    truths: Mapping[str, Truth]
    inputs: Mapping[str, PreparedInput]

    def truth(self, spec: InputSpec) -> Truth:
        """Return an input with its values."""
        return self.truths[spec.name]

    def input(self, spec: InputSpec) -> PreparedInput:
        """Return an input as a matrix takes it."""
        return self.inputs[spec.name]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a worker found, with the files that it wrote, by name."""

    found: Examination
    files: Mapping[str, bytes]


def examined(
    team: Team, question: Question, known: KnownModel, folder: Callable[[], Path]
) -> Examination:
    """Have a worker examine a cell, see `harness.analysis.diagnosis.examination.examine`.

    Args:
        team: workers that can run the cell.
        question: what is asked.
        known: the cell's model.
        folder: returns where changed `.param` files go; not called before all is found.

    Raises:
        BuildError: the cell does not compile there.
        GivenUpError: it ended each worker that it was given to.
        HarnessError: no worker is left, or it cannot be built or run there.
    """
    name = question.cell.place
    luggage = team.give(f"references {name}", lambda: taken(known, question.specs))
    report, _ = team.result(team.start(f"diagnose {name}", examine, question, luggage))
    return _arrived(report, folder())


def taken(known: KnownModel, specs: Sequence[InputSpec]) -> Luggage:
    """Compute all that a worker needs to know of a model for some inputs.

    Raises:
        ModelError: an input does not fit, or the model cannot be evaluated.
        MachineError: the model's files were changed meanwhile.
    """
    inputs = {spec.name: known.input(spec) for spec in specs}
    truths = tuple(known.truth(spec) for spec in specs)
    references = [each for truth in truths for each in (truth.exact, truth.single)]
    at_hand = ModelAtHand(model=known.model, inputs=inputs)
    return Luggage(parcel=packed(at_hand, references), constants=known.constants, truths=truths)


def brought(luggage: Luggage, store: Store) -> BroughtModel:
    """Put what came into a store, unless it is there, and return the model from there.

    Raises:
        MachineError: the disk is full, or not writable.
    """
    at_hand = unpacked(luggage.parcel, store)
    return BroughtModel(
        model=at_hand.model,
        constants=luggage.constants,
        truths={
            truth.name: replace(
                truth, exact=moved(truth.exact, store), single=moved(truth.single, store)
            )
            for truth in luggage.truths
        },
        inputs=at_hand.inputs,
    )


def examine(settings: unit.Settings, question: Question, luggage: Luggage) -> Report:
    """Examine a cell on this worker.

    Raises:
        BuildError: it does not compile.
        HarnessError: it cannot be built or run here.
    """
    station = unit.station_of(settings)
    pipeline = DiagnosisPipeline(
        machine=station, references=brought(luggage, station.store), say=unit.say
    )
    with scratch_directory("diagnose-") as scratch:
        folder = scratch / "written"
        folder.mkdir()
        found = examination.examine(pipeline, question, lambda: folder, scratch)
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return Report(found=replace(found, records=tuple(unit.signed(found.records))), files=files)


def _arrived(report: Report, folder: Path) -> Examination:
    """Write the files that a worker wrote, and return what it found with their places here."""
    for name, data in report.files.items():
        write_atomically(folder / name, data)
    diagnosis = report.found.diagnosis
    fixes = tuple(
        fix.model_copy(update={"param": str(folder / Path(fix.param).name)}) if fix.param else fix
        for fix in diagnosis.fixes
    )
    return replace(report.found, diagnosis=diagnosis.model_copy(update={"fixes": fixes}))
