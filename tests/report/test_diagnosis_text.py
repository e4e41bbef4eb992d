import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from harness.analysis.diagnosis.cell_choice import chosen_cell
from harness.analysis.diagnosis.input_folder import inputs_in
from harness.analysis.diagnosis.layer_findings import (
    Diagnosis,
    InputFinding,
    LayerFinding,
    Score,
    Status,
    TriedFix,
    summarised,
)
from harness.analysis.diagnosis.mechanism import Explanation, HypothesisTrial
from harness.domain.records import CellRecord, append_record
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.report.diagnosis_finding import finding
from harness.report.diagnosis_text import (
    fix_lines,
    headline,
    markdown,
    mechanism_lines,
    show,
    write,
)
from harness.util.errors import SelectorError, UsageError
from tests.records import cell as record
from tests.records import metrics


def layer(name: str, status: Status, chain: float, alone: float | None) -> LayerFinding:
    return LayerFinding(
        index=0, name=name, type="InnerProduct", blob=name, value=f"v{name}", aligned="name",
        status=status, chain=metrics(chain), alone=metrics(alone) if alone else None,
        onnxruntime=1e-7, noise=1e-7, limit=4e-5, chain_limit=4e-5,
    )  # fmt: skip


EXPLANATION = Explanation(
    mechanism="weights rounded to fp16",
    side="ncnn",
    error=2e-3,
    residual=1e-7,
    noise=1e-7,
    at_noise_floor=True,
    tried=(HypothesisTrial(hypothesis="weights rounded to fp16", residual=1e-7, covered=9),),
)


def diagnosis() -> Diagnosis:
    findings = (
        InputFinding(
            name="short", output=metrics(1e-4), output_limit=2e-5, latency_ms=7,
            layers=(layer("a", Status.AT_FAULT, 1e-3, 1e-3), layer("b", Status.CLEAN, 1e-7, 1e-7)),
        ),
        InputFinding(
            name="long", output=metrics(3e-4), output_limit=2e-5, latency_ms=8,
            layers=(
                layer("a", Status.AT_FAULT, 2e-3, 2e-3), layer("b", Status.PASSES_ON, 1e-3, 1e-7),
            ),
        ),
    )  # fmt: skip
    score = Score(
        output_max_abs=1e-3, output_scale_relative=1e-3, worst_layer=2e-3, at_fault=("x",),
        latency_ms=5, excess=50,
    )  # fmt: skip
    fix = TriedFix(kind="options", change="use_fp16_storage = false", before=score, after=score)
    return Diagnosis(
        cell="20250503-avx2/default", model="m", build="20250503-avx2", options={"a": True},
        inputs=findings, layers=summarised(findings, {"a": EXPLANATION}), fixes=(fix,),
    )  # fmt: skip


def test_inputs_are_put_together_by_worst_and_median() -> None:
    a, b = diagnosis().layers
    assert (a.status, a.worst_input, a.alone_worst) == (Status.AT_FAULT, "long", 2e-3)
    assert a.alone_median == pytest.approx(1.5e-3)
    assert b.status is Status.PASSES_ON
    assert b.explanation is None


def test_headline_and_mechanism_show_numbers() -> None:
    found = diagnosis()
    assert headline(found) == "At fault: 1 InnerProduct of 2 blobs."
    (line,) = mechanism_lines(found)
    assert "weights rounded to fp16: error up to 2.0e-03, 1.0e-07 is left under it" in line
    assert "at the noise floor" in line


def test_unexplained_layer_lists_what_was_tried() -> None:
    found = diagnosis()
    unknown = EXPLANATION.model_copy(update={"mechanism": "unexplained", "at_noise_floor": False})
    layers = (found.layers[0].model_copy(update={"explanation": unknown}),)
    (line,) = mechanism_lines(found.model_copy(update={"layers": layers}))
    assert "unexplained, error up to 2.0e-03; 1 hypotheses, the closest: weights" in line


def test_fix_that_did_not_help_says_so() -> None:
    first, *rest = fix_lines(diagnosis().fixes[0])
    assert first == "options: did not help: use_fp16_storage = false"
    assert rest[0].strip().startswith("before: output max abs 1.0e-03")


def test_finding_leads_with_what_fixes() -> None:
    found = diagnosis()
    score = found.fixes[0].before
    assert score is not None
    better = score.model_copy(update={"excess": 0.5, "output_max_abs": 1e-6, "latency_ms": 9})
    fix = found.fixes[0].model_copy(update={"kind": "masks", "change": "31=3", "after": better})
    told = finding(found.model_copy(update={"fixes": (*found.fixes, fix)}), "nox -s diagnose")
    assert told.sentence == "At fault: 1 InnerProduct of 2 blobs. Fixed by masks: 31=3"
    fixes = next(p for p in told.sections if p.heading.startswith("Fixes"))
    assert [row[:2] for row in fixes.rows] == [("masks", "fixed"), ("options", "did not help")]
    assert fixes.rows[0][2] == "1.0e-03 → 1.0e-06"
    layers = told.sections[-1]
    assert layers.rows == (
        ("InnerProduct a", "a", "2.0e-03", "2.0e-03", "weights rounded to fp16"),
    )


def test_clean_diagnosis_accuses_nobody() -> None:
    found = diagnosis()
    clean = tuple(x.model_copy(update={"status": Status.CLEAN}) for x in found.layers)
    assert headline(found.model_copy(update={"layers": clean})) == "No layer is at fault."


def test_files_are_complete(tmp_path: Path) -> None:
    write(diagnosis(), tmp_path)
    assert Diagnosis.model_validate(json.loads((tmp_path / "diagnosis.json").read_text()))
    table = pd.read_csv(tmp_path / "layers.csv")
    assert list(table["alone_scale_relative"]) == [1e-3, 1e-7, 2e-3, 1e-7]
    text = (tmp_path / "diagnosis.md").read_text()
    assert text == markdown(diagnosis())
    assert "| InnerProduct a | a | va | at fault |" in text
    assert "<svg" in (tmp_path / "layers.svg").read_text()


def test_console_hides_clean_layers_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for everything in (False, True):
        show(Console(width=150), diagnosis(), everything=everything)
    assert capsys.readouterr().out.count("InnerProduct a ") == 2


def cell(version: str, flags: str, run: str, text: str = "short") -> CellSpec:
    revision = Revision(label=version, kind="index", name=version)
    build = BuildSpec(revision=revision, flags=FlagSet(name=flags), layers=None)
    return CellSpec(
        build=build, run=RunSpec(name=run), model=ModelSpec(name="m"), input=InputSpec(name=text)
    )


CELLS = [cell(v, f, r) for v in ("1", "2") for f in ("sse2", "avx2") for r in ("default", "off")]
NOTHING = {"cell": "", "version": "", "flags": "", "run": ""}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "1-sse2/default/short"),
        ({"cell": "2-avx2/off"}, "2-avx2/off/short"),
        ({"cell": "2-avx2/off/short"}, "2-avx2/off/short"),
        ({"version": "2", "run": "off"}, "2-sse2/off/short"),
        ({"flags": "avx2"}, "1-avx2/default/short"),
    ],
)
def test_cell_is_chosen(asked: dict[str, str], expected: str, tmp_path: Path) -> None:
    assert chosen_cell(CELLS, **{**NOTHING, **asked}, results=tmp_path).id == expected


def wrong(version: str, flags: str, error: float) -> CellRecord:
    made = record({"Softmax": error}, version=version, flags=flags, run="off")
    return made.model_copy(update={"output": metrics(error)})


def test_worst_drop_of_the_newest_run_comes_first(tmp_path: Path) -> None:
    old, new = tmp_path / "1-old" / "cells.jsonl", tmp_path / "2-new" / "cells.jsonl"
    append_record(old, wrong("1", "avx2", 9.0))
    for version, flags, error in (("2", "sse2", 1e-3), ("2", "avx2", 5e-3), ("3", "avx2", 1.0)):
        append_record(new, wrong(version, flags, error))
    assert chosen_cell(CELLS, **NOTHING, results=tmp_path).id == "2-avx2/off/short"


def test_unknown_cell_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SelectorError, match="Did you mean 2-avx2/off"):
        chosen_cell(CELLS, **{**NOTHING, "cell": "2-avx2/of"}, results=tmp_path)
    with pytest.raises(UsageError, match="leave out"):
        chosen_cell(CELLS, **{**NOTHING, "cell": "2-avx2/off", "run": "off"}, results=tmp_path)


def test_directory_of_inputs(tmp_path: Path) -> None:
    Image.new("L", (8, 4)).save(tmp_path / "b.png")
    (tmp_path / "a.npy").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    shape = (1, 3, 48, 320)
    found = inputs_in(tmp_path, [InputSpec(name="text", text="x", shape=shape)])
    assert [item.name for item in found] == ["a.npy", "b.png"]
    assert (found[1].shape, found[1].mean) == (shape, (127.5,))


def test_directory_without_inputs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image"):
        inputs_in(tmp_path, [])
    with pytest.raises(UsageError, match="no such directory"):
        inputs_in(tmp_path / "missing", [])
