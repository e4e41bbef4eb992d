"""The engine's decisions, with a builder and a launcher that only pretend."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.build.builder import Build
from harness.build.plan import BuildPlan
from harness.build.resolver import BuildResolver
from harness.config.tables import Limits
from harness.domain.records import BuildRecord, CellRecord, Verdict
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.domain.verdict import Tolerance
from harness.execution.cell_runner import CellRunner
from harness.execution.engine import LocalEngine, ModelAtHand, NoModel
from harness.execution.launcher import Launcher
from harness.execution.making import Maker
from harness.execution.progress import BuildFinished, MatrixEvent
from harness.util.errors import BuildError, LacksLayerError, MachineError


class FakeBuilder:
    """Builds by a table of outcomes."""

    def __init__(self, result: Callable[[str], Build | Exception]) -> None:
        self.result = result
        self.asked: list[str] = []

    def find(self, plan: Any) -> None:
        return None

    def build(self, plan: Any) -> Build:
        self.asked.append(plan.spec.id)
        result = self.result(plan.spec.id)
        if isinstance(result, Exception):
            raise result
        return result


class FakeRunner(CellRunner):
    """Says `ok` to everything."""

    def __init__(self) -> None:
        super().__init__(launcher=Launcher(binding=Path, limits=Limits()), tolerance=Tolerance())

    def blank(self, cell: CellSpec, build: BuildRecord) -> CellRecord:
        return CellRecord(
            cell=cell.id,
            model="m",
            version=build.version,
            flags=build.flags,
            run=cell.run.name,
            input=cell.input.name,
            verdict=Verdict.SKIPPED,
            build=build,
        )

    def run(
        self, cells: Sequence[CellSpec], build: Build, model: object, inputs: object, **_: bool
    ) -> list[CellRecord]:
        return [
            self.blank(cell, build.record).model_copy(update={"verdict": Verdict.OK})
            for cell in cells
        ]


def cells(*flags: FlagSet, label: str = "") -> list[CellSpec]:
    revision = Revision(label="v", kind="directory", name="")
    return [
        CellSpec(
            build=BuildSpec(revision=revision, flags=flag, layers=None),
            run=RunSpec(name=run),
            model=ModelSpec(name="m", label=name),
            input=InputSpec(name="i"),
        )
        for flag in flags
        for run in ("a", "b")
        for name in dict.fromkeys(("", label))
    ]


AT_HAND = ModelAtHand(model=None, inputs={"i": None})  # type: ignore[arg-type, dict-item]
NOTHING = NoModel(verdict=Verdict.UNSUPPORTED, reason="pnnx could not")


def built(name: str) -> Build:
    return Build(
        core=Path("core.so"), record=BuildRecord(id=name, key="k", version="v", flags=name[2:])
    )


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[dict[str, CellRecord], list[MatrixEvent], FakeBuilder]]:
    def start(
        result: Callable[[str], Build | Exception], *flags: FlagSet, label: str = ""
    ) -> tuple[dict[str, CellRecord], list[MatrixEvent], FakeBuilder]:
        class Plan:
            def __init__(self, spec: BuildSpec) -> None:
                self.spec = spec

        def plan(_: BuildResolver, spec: BuildSpec) -> BuildPlan | Plan:
            if spec.flags.name == "old":
                raise LacksLayerError("this version of ncnn has no layer MatMul")
            if spec.flags.name == "clang":
                raise MachineError("clang++: not found. apt-get install clang")
            return Plan(spec)

        monkeypatch.setattr(BuildResolver, "plan", plan)
        events: list[MatrixEvent] = []
        builder = FakeBuilder(result)
        engine = LocalEngine(
            maker=Maker(
                resolver=BuildResolver(builder=builder),  # type: ignore[arg-type]
                notify=events.append,
            ),
            runner=FakeRunner(),
            models={ModelSpec(name="m"): AT_HAND, ModelSpec(name="m", label="bad"): NOTHING},
            notify=events.append,
            workers=2,
        )
        records = {record.cell: record for record in engine.run(cells(*flags, label=label))}
        return records, events, builder

    return start


def test_one_failed_build_does_not_stop_the_others(run: Any) -> None:
    def result(name: str) -> Build | Exception:
        if name == "v-bad":
            return BuildError("compile: error: no", log="x.log", first_error="error: no")
        return built(name)

    records, _, _ = run(result, FlagSet(name="bad"), FlagSet(name="good"))
    assert {record.verdict for cell, record in records.items() if "bad" in cell} == {
        Verdict.BUILD_FAILED
    }
    assert records["v-bad/a/i"].reason == "error: no (log: x.log)"
    assert records["v-good/b/i"].verdict == Verdict.OK


def test_what_cannot_be_built_says_why(run: Any) -> None:
    needy = FlagSet(name="needy", needs=frozenset({"no_such_feature"}))
    records, events, builder = run(built, needy, FlagSet(name="old"), FlagSet(name="clang"))
    found = {cell: (record.verdict, record.reason) for cell, record in records.items()}
    assert found["v-needy/a/i"] == (Verdict.UNSUPPORTED, "this CPU lacks no_such_feature")
    assert found["v-old/a/i"] == (
        Verdict.UNSUPPORTED,
        "this version of ncnn has no layer MatMul",
    )
    assert found["v-clang/a/i"][0] == Verdict.SKIPPED
    assert "apt-get install clang" in found["v-clang/a/i"][1]
    assert builder.asked == []
    left_out = [e for e in events if isinstance(e, BuildFinished) and e.left_out]
    assert len(left_out) == 3


def test_trouble_of_the_machine_stops_the_run(run: Any) -> None:
    with pytest.raises(MachineError, match="disk is full"):
        run(lambda _: MachineError("disk is full"), FlagSet(name="x"))


def test_a_model_that_is_not_there_costs_its_own_cells_only(run: Any) -> None:
    records, _, builder = run(built, FlagSet(name="good"), label="bad")
    found = {cell: (record.verdict, record.reason) for cell, record in records.items()}
    assert found["v-good/a@bad/i"] == (Verdict.UNSUPPORTED, "pnnx could not")
    assert found["v-good/a/i"][0] == Verdict.OK
    assert builder.asked == ["v-good"]
