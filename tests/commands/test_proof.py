"""What experiments become: cells that a command line can ask for again."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.analysis.attribution.causes import causes_in
from harness.analysis.attribution.evidence import Table
from harness.analysis.attribution.experiments import LEAST, Experiment
from harness.analysis.attribution.settings import Setting
from harness.commands.proof import Proof
from harness.config.axes import with_flags, with_run
from harness.config.cells import expand, run_of
from harness.config.loading import load_config
from harness.domain.records import Verdict
from harness.domain.verdict import Tolerance
from harness.execution.run_directory import open_run
from tests.records import cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec

CONFIG = """
[inputs.short]
text = "ncnn"
shape = [1, 3, 48, 320]
[matrix]
versions = ["20250503"]
flags = ["avx2"]
runs = ["default", "fp16-packing-off"]
"""


OPTIONS = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_packing_layout")
MORE = ("use_winograd_convolution", "use_sgemm_convolution", "use_int8_inference")


class Engine:
    """A layer loses precision while packing is on, whatever else is set."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        for each in cells:
            self.ran.append(each.id)
            options = {**dict.fromkeys(OPTIONS, True), **dict(each.run.options)}
            bad = bool(options["use_packing_layout"])
            yield cell(
                {"LayerNorm": 1e-3 if bad else 1e-7},
                run=each.run.name,
                options=options,
                verdict=Verdict.DROP if bad else Verdict.OK,
            )

    def has_build(self, spec: BuildSpec) -> bool:
        return False


class F16cEngine:
    """A layer loses precision in builds with F16C."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        for each in cells:
            self.ran.append(each.id)
            options = dict(each.build.flags.options)
            bad = options["NCNN_F16C"] == "ON"
            yield cell(
                {"LayerNorm": 1e-3 if bad else 1e-7},
                flags=each.build.flags.name,
                build=options,
                run=each.run.name,
                verdict=Verdict.DROP if bad else Verdict.OK,
            )

    def has_build(self, spec: BuildSpec) -> bool:
        return False


def proof(
    tmp_path: Path, engine: Engine | F16cEngine, text: str = CONFIG
) -> tuple[Proof, Sequence[CellSpec]]:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    options = Namespace(prove=False, repo="", config=path, onnx="", shape=[], converter=[])
    made = Proof(
        config=config,
        options=options,
        engine=engine,
        run=open_run(tmp_path, name="x", key="k", config=CONFIG),
        told=lambda _: None,
    )
    return made, expand(config, base=tmp_path).cells


def test_the_cells_that_separate_two_settings_are_measured(tmp_path: Path) -> None:
    engine = Engine()
    made, cells = proof(tmp_path, engine)
    table = list(engine.run(cells))
    found = made.records(cells, table)
    (one,) = [record for record in found if record.run == "use_packing_layout=false"]
    assert one.experiment
    assert one.verdict is Verdict.OK
    assert one.command.endswith("--version 20250503 --flags avx2 --run use_packing_layout=false")
    assert made.missing_builds([*table, *found], cells) == []


def test_an_interrupted_proof_goes_on(tmp_path: Path) -> None:
    first = Engine()
    made, cells = proof(tmp_path, first)
    table = list(first.run(cells))
    found = made.records(cells, table)
    ran = len(first.ran)
    assert made.records(cells, table) == found
    assert len(first.ran) == ran


@pytest.mark.parametrize(
    ("elsewhere", "compiled"),
    [([], True), (["avx2-nof16c"], False), (["mine"], False), (["avx", "avx512"], True)],
)
def test_builds_of_other_shards_are_not_compiled(
    elsewhere: list[str], *, compiled: bool, tmp_path: Path
) -> None:
    engine = F16cEngine()
    made, _ = proof(tmp_path, engine)
    wanted = "avx2,NCNN_F16C=OFF"
    config, mine = with_flags(made.config, wanted)
    names = [mine if name == "mine" else name for name in elsewhere]
    axes = {"flags": ("avx2", "sse2", *names), "runs": ("default",)}
    config = config.model_copy(update={"matrix": config.matrix.model_copy(update=axes)})
    cells = expand(config, base=tmp_path).cells
    made = replace(
        made,
        config=config,
        options=Namespace(**{**vars(made.options), "prove": True}),
        elsewhere=[each.build for each in cells[2:]],
    )
    table = list(engine.run(cells[:2]))
    assert (f"20250503 {wanted}" in made.missing_builds(table, cells[:2])) is compiled
    assert (mine in {each.flags for each in made.records(cells[:2], table)}) is compiled


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ("default", {"use_fp16_storage": "false"}),
        ("threads-2", {"num_threads": "1"}),
        ("bf16", {"use_bf16_storage": "false", "num_threads": "4", "options set": "after-param"}),
    ],
)
def test_the_name_of_an_experiment_is_what_asks_for_it(
    tmp_path: Path, base: str, changes: dict[str, str]
) -> None:
    made, (first, *_) = proof(tmp_path, Engine())

    settings = frozenset(Setting("run", name, "", value) for name, value in changes.items())
    spec = made._spec(
        replace(first, run=run_of(base, made.config)), Experiment("", settings, settles=True)
    )
    assert spec
    config, name = with_run(made.config, spec.run.name)
    assert run_of(name, config) == spec.run


class HalfPrecision(Engine):
    """A layer loses precision while fp16 storage is on, whatever else is set."""

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        for each in cells:
            self.ran.append(each.id)
            options = {**dict.fromkeys((*OPTIONS, *MORE), True), **dict(each.run.options)}
            bad = bool(options["use_fp16_storage"])
            yield cell(
                {"InnerProduct": 1e-3 if bad else 1e-7},
                run=each.run.name,
                options=options,
                input_name=each.input.name,
                verdict=Verdict.DROP if bad else Verdict.OK,
            )


def test_what_is_proved_in_one_cell_is_tried_in_the_others_first(tmp_path: Path) -> None:
    engine = HalfPrecision()
    others = (*MORE, "use_packing_layout")
    runs = '", "'.join(["default", "fp16-off", *others])
    text = CONFIG.replace('default", "fp16-packing-off', runs)
    for name in others:
        text += f"[runs.{name}]\noptions = {{ {name} = false }}\n"
    text += '[inputs.other]\ntext = "x"\nshape = [1, 3, 48, 320]\n'
    made, cells = proof(tmp_path, engine, text)
    table = list(engine.run(cells))
    found = made.records(cells, table)
    drops = {record.cell for record in table if record.verdict is Verdict.DROP}
    (cause,) = causes_in(Table([*table, *found], Tolerance()))
    assert set(cause.cells) == drops
    assert cause.is_proved
    assert len(found) <= LEAST
