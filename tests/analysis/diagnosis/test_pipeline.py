"""What a diagnosis puts together, with a machine that compiles and runs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.analysis.diagnosis.layer_findings import Diagnosis, InputFinding
from harness.analysis.diagnosis.measurer import ConfiguredModel, Truth
from harness.analysis.diagnosis.pipeline import FIXES, DiagnosisPipeline
from harness.build.builder import Build
from harness.domain.records import BuildRecord, Verdict
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.execution.job import Job
from harness.model.alignment import Alignment
from harness.util.errors import BuildError, MachineError
from tests.analysis.diagnosis.test_crash import AARCH64
from tests.analysis.diagnosis.test_fixes import CHAIN, LIMIT, Simulation
from tests.records import cell, metrics

if TYPE_CHECKING:
    from collections.abc import Sequence


def build_spec(version: str, flags: str) -> BuildSpec:
    revision = Revision(label=version, kind="index", name=version)
    return BuildSpec(revision=revision, flags=FlagSet(name=flags), layers=None)


SPECS = [InputSpec(name=name) for name in ("easy", "hard", "middle")]
IN_FORCE: dict[str, bool | int] = {"use_fp16_storage": True, "lightmode": True}
CELL = CellSpec(
    build=build_spec("2", "avx2"),
    run=RunSpec(name="default"),
    model=ModelSpec(name="m"),
    input=SPECS[0],
)


@dataclass
class FakeResolver:
    """Finds the builds that it is told are there."""

    there: Sequence[str] = ()
    failing: Sequence[str] = ()
    asked: list[BuildSpec] = field(default_factory=list)

    def plan(self, spec: BuildSpec) -> SimpleNamespace:
        if spec.id in self.failing:
            raise MachineError("no compiler")
        return SimpleNamespace(spec=spec)

    def find(self, plan: SimpleNamespace) -> Build | None:
        if plan.spec.id == "broken":
            raise BuildError("it failed before")
        return self.build(plan.spec) if plan.spec.id in self.there else None

    def build(self, spec: BuildSpec) -> Build:
        self.asked.append(spec)
        record = BuildRecord(id=spec.id, key="k", version="2", flags="avx2")
        return Build(core=Path(spec.id), record=record)


@dataclass
class FakeReferences:
    """Gives an input by its name alone."""

    asked: list[str] = field(default_factory=list)

    def truth(self, spec: InputSpec) -> Truth:
        self.asked.append(spec.name)
        nothing = cast("Any", None)
        return Truth(name=spec.name, tensors={}, exact=nothing, single=nothing)


def errors(subject: ConfiguredModel) -> dict[str, float]:
    """Layer `a` is wrong with half precision, and in the build called `2-sse2` never."""
    half = subject.job.options.get("use_fp16_storage", True)
    return {"a": 1e-3 if half and subject.job.core != "2-sse2" else 1e-7}


@pytest.fixture
def parts(tmp_path: Path) -> tuple[DiagnosisPipeline, FakeResolver, FakeReferences]:
    resolver, references = FakeResolver(there=["2-sse2"]), FakeReferences()
    machine = SimpleNamespace(resolver=resolver)
    pipeline = DiagnosisPipeline(
        machine=cast("Any", machine), references=cast("Any", references), say=lambda _: None
    )
    # What this property would make needs a machine that runs something.
    pipeline.__dict__["measurer"] = Simulation(errors)
    return pipeline, resolver, references


def subject(folder: Path) -> ConfiguredModel:
    (folder / "m.param").write_text("7767517\n")
    return ConfiguredModel(
        job=Job(
            binding="",
            core="2-avx2",
            param=str(folder / "m.param"),
            bin="",
            outputs=("y",),
            alignments=(Alignment(layer_index=4, blob="y", value="y", key="y", how="name"),),
        ),
        model=cast("Any", None),
        graph=CHAIN,
        initialisers={},
    )


def diagnosis(**outputs: float) -> Diagnosis:
    found = tuple(
        InputFinding(name=name, output=metrics(error), output_limit=LIMIT)
        for name, error in outputs.items()
    )
    return Diagnosis(cell="c", model="m", build="b", options=IN_FORCE, inputs=found, layers=())


def fixes(
    pipeline: DiagnosisPipeline,
    folder: Path,
    kinds: Sequence[str],
    builds: Sequence[BuildSpec] = (),
    **outputs: float,
) -> list[tuple[str, str, str]]:
    errors_of = outputs or {"easy": 1e-6, "hard": 1e-3, "middle": 1e-4}
    found = pipeline.fixes(
        kinds, CELL, subject(folder), diagnosis(**errors_of), SPECS, builds, folder, folder
    )
    return [(fix.kind, fix.change, fix.outcome) for fix in found]


Parts = tuple[DiagnosisPipeline, FakeResolver, FakeReferences]


def test_fixes_are_tried_on_the_worst_inputs_only(parts: Parts, tmp_path: Path) -> None:
    pipeline, _, references = parts
    tried = fixes(pipeline, tmp_path, ["options"])
    assert tried == [("options", "use_fp16_storage = false", "fixed")]
    assert references.asked == ["hard", "middle"]


def test_kinds_are_tried_in_the_order_of_their_price(parts: Parts, tmp_path: Path) -> None:
    pipeline, _, _ = parts
    kinds = [kind for kind, _, _ in fixes(pipeline, tmp_path, FIXES[::-1])]
    assert kinds == [kind for kind in FIXES if kind in kinds]
    assert kinds[0] == "options"


def test_other_builds_are_those_that_differ_in_one_thing(parts: Parts, tmp_path: Path) -> None:
    pipeline, _, _ = parts
    builds = [build_spec(v, f) for v in ("1", "2") for f in ("sse2", "avx2")]
    tried = fixes(pipeline, tmp_path, ["flags", "version"], builds)
    assert tried == [("flags", "2-sse2", "fixed"), ("version", "1-avx2", "not tried")]


def test_a_build_that_cannot_be_had_is_not_tried(parts: Parts, tmp_path: Path) -> None:
    pipeline, resolver, _ = parts
    resolver.failing = ["2-sse2"]
    assert fixes(pipeline, tmp_path, ["flags"], [build_spec("2", "sse2")]) == [
        ("flags", "2-sse2", "not tried")
    ]


def test_without_an_output_there_is_nothing_to_fix(parts: Parts, tmp_path: Path) -> None:
    pipeline, _, _ = parts
    failed = diagnosis()
    found = pipeline.fixes(FIXES, CELL, subject(tmp_path), failed, SPECS, (), tmp_path, tmp_path)
    assert list(found) == []


def test_other_layer_types_get_a_build_of_their_own(parts: Parts) -> None:
    pipeline, resolver, _ = parts
    types = frozenset({"Convolution", "Pooling"})
    pipeline._with_types(CELL, types)
    assert resolver.asked == [replace(CELL.build, layers=types)]


def test_nothing_is_built_where_nothing_broke_down(parts: Parts, tmp_path: Path) -> None:
    pipeline, resolver, _ = parts
    fine = cell({}, verdict=Verdict.DROP)
    sanitizer = FlagSet(name="avx2-asan")
    assert pipeline.crash(CELL, diagnosis(), [fine], SPECS, sanitizer, tmp_path) is None
    assert resolver.asked == []


@pytest.mark.parametrize(("reason", "told"), [("SIGSEGV", True), ("3 NaN values", False)])
def test_on_a_target_only_a_signal_is_a_breakdown(
    parts: Parts, tmp_path: Path, reason: str, told: bool
) -> None:
    pipeline, _, _ = parts
    pipeline.__dict__.update(measurer=None)
    flags = replace(CELL.build.flags, target=AARCH64)
    elsewhere = replace(CELL, build=replace(CELL.build, flags=flags))
    broken = cell({}, verdict=Verdict.BROKEN, reason=reason, input_name="hard")
    found = pipeline.crash(elsewhere, diagnosis(), [broken], SPECS, flags, tmp_path)
    assert (found is not None) == told
