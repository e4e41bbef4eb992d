import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness.analysis.diagnosis.crash_findings import Breakdown, CrashFinding
from harness.analysis.diagnosis.layer_findings import (
    Diagnosis,
    InputFinding,
    LayerFinding,
    Score,
    Status,
    TriedFix,
    summarised,
)
from harness.analysis.mechanisms.mechanism import Explanation, HypothesisTrial
from harness.domain.records import Crash, CrashFrame
from harness.report.diagnosis_finding import as_finding
from harness.report.diagnosis_text import (
    conclusion,
    fix_lines,
    headline,
    mechanism_lines,
    show,
    write,
)
from harness.report.markdown import finding_markdown
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
    tried=(HypothesisTrial(hypothesis="weights rounded to fp16", residual=1e-7, bits=900),),
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
    assert "weights rounded to fp16: error up to 2.0e-3, 1.0e-7 is left under it" in line
    assert "at the noise floor" in line


def test_unexplained_layer_lists_what_was_tried() -> None:
    found = diagnosis()
    unknown = EXPLANATION.model_copy(update={"mechanism": "unexplained", "at_noise_floor": False})
    layers = (found.layers[0].model_copy(update={"explanation": unknown}),)
    (line,) = mechanism_lines(found.model_copy(update={"layers": layers}))
    assert "unexplained, error up to 2.0e-3; 1 hypotheses, the closest: weights" in line


def test_fix_that_did_not_help_says_so() -> None:
    first, *rest = fix_lines(diagnosis().fixes[0])
    assert first == "options: did not help: use_fp16_storage = false"
    assert rest[0].strip().startswith("before: output max abs 1.0e-3")


def test_finding_leads_with_what_fixes() -> None:
    found = diagnosis()
    score = found.fixes[0].before
    assert score is not None
    better = score.model_copy(update={"excess": 0.5, "output_max_abs": 1e-6, "latency_ms": 9})
    fix = found.fixes[0].model_copy(update={"kind": "masks", "change": "31=3", "after": better})
    told = as_finding(found.model_copy(update={"fixes": (*found.fixes, fix)}), "nox -s diagnose")
    assert told.sentence == "At fault: 1 InnerProduct of 2 blobs. Fixed by masks: 31=3"
    fixes = next(p for p in told.sections if p.heading.startswith("Fixes"))
    assert [row[:2] for row in fixes.rows] == [("masks", "fixed"), ("options", "did not help")]
    assert fixes.rows[0][2] == "1.0e-3 → 1.0e-6"
    layers = next(s for s in told.sections if s.heading.startswith("Layers at fault"))
    assert layers.rows == (("InnerProduct a", "a", "2.0e-3", "2.0e-3", "weights rounded to fp16"),)


@pytest.mark.parametrize(
    ("status", "alone", "chain", "output", "words"),
    [
        (Status.CLEAN, 1e-7, 1e-7, 1e-7, "No layer is at fault."),
        (
            Status.PASSES_ON, 1e-7, 1e-3, 1e-7,
            "No layer is at fault by itself, but the chain is beyond its limit.",
        ),
        (
            Status.PASSES_ON, 1e-7, 1e-3, 1e-3,
            "No layer is at fault by itself, but the output is beyond its limit.",
        ),
        (
            Status.NOT_MEASURED, None, 1e-3, 1e-3,
            "No layer that could be measured is at fault by itself, but the output is beyond its "
            "limit; not measured alone: InnerProduct a.",
        ),
        (Status.NOT_MEASURED, None, 1e-7, 1e-7, "No layer that could be measured is at fault."),
    ],
)  # fmt: skip
def test_a_layer_that_is_not_wrong_by_itself_is_not_accused(
    status: Status, alone: float | None, chain: float, output: float, words: str
) -> None:
    finding = InputFinding(
        name="it", output=metrics(output), output_limit=2e-5,
        layers=(layer("a", status, chain, alone),),
    )  # fmt: skip
    layers = summarised((finding,), {})
    found = diagnosis().model_copy(update={"inputs": (finding,), "layers": layers, "fixes": ()})
    assert headline(found) == words
    assert "a" not in [layer.name for layer in found.at_fault]
    assert mechanism_lines(found) == []


def test_all_that_is_wrong_with_a_layer_is_told() -> None:
    found = diagnosis()
    model = EXPLANATION.model_copy(
        update={"mechanism": "bias missing", "side": "model", "further": (EXPLANATION,)}
    )
    layers = (found.layers[0].model_copy(update={"explanation": model}),)
    first, second = mechanism_lines(found.model_copy(update={"layers": layers}))
    assert "bias missing (the model's files, not ncnn's arithmetic)" in first
    assert "weights rounded to fp16: error up to" in second
    told = as_finding(found.model_copy(update={"layers": layers}), "")
    table = next(s for s in told.sections if s.heading.startswith("Layers at fault"))
    assert table.rows[0][-1] == "in the model's files: bias missing; in ncnn: " + (
        EXPLANATION.mechanism
    )


def test_files_are_complete(tmp_path: Path) -> None:
    write(diagnosis(), tmp_path)
    assert Diagnosis.model_validate(json.loads((tmp_path / "diagnosis.json").read_text()))
    table = pd.read_csv(tmp_path / "layers.csv")
    assert list(table["alone_scale_relative"]) == [1e-3, 1e-7, 2e-3, 1e-7]
    told = as_finding(diagnosis(), "")
    every = next(s for s in told.sections if s.heading.startswith("All 2 blobs"))
    assert every.folded
    assert every.rows[0][:4] == ("InnerProduct a", "a", "va", "at fault")
    assert "All 2 blobs" not in finding_markdown(told)


def test_console_hides_clean_layers_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for everything in (False, True):
        show(Console(width=150), diagnosis(), everything=everything)
    assert capsys.readouterr().out.count("InnerProduct a ") == 2


CRASH = CrashFinding(
    breakdowns=(
        Breakdown(input="long", how="3 NaN values"),
        Breakdown(
            input="short",
            how="SIGSEGV in ncnn::f",
            crash=Crash(
                signal="SIGSEGV",
                frames=(
                    CrashFrame(function="memcpy", module="libc.so.6"),
                    CrashFrame(function=""),
                    CrashFrame(function="ncnn::f"),
                    CrashFrame(function="ncnn::g"),
                    CrashFrame(function="ncnn::g"),
                ),
            ),
        ),
    ),
    build="20250503-avx2-asan",
    outcome="AddressSanitizer: READ of size 32 at src/x.h:1",
    report=("AddressSanitizer: heap-buffer-overflow", "READ of size 32"),
    command="nox -s matrix -- --flags avx2-asan",
)


def test_breakdown_comes_first_with_trace_report_and_command() -> None:
    told = as_finding(diagnosis().model_copy(update={"crash": CRASH}), "")
    assert told.sentence == (
        "Breaks down on long: 3 NaN values. AddressSanitizer: READ of size 32 at src/x.h:1. "
        "Measured beside that, and perhaps because of it: At fault: 1 InnerProduct of 2 blobs"
    )
    breakdown, running, report, *_ = told.sections
    assert breakdown.lines == (
        "long: 3 NaN values",
        "short: SIGSEGV in ncnn::f",
        "AddressSanitizer: READ of size 32 at src/x.h:1",
        "Run it again: nox -s matrix -- --flags avx2-asan",
    )
    assert running.heading == "What was running on short, the innermost first"
    assert running.code == "memcpy (libc.so.6)\nncnn::f\nncnn::g, 2 times"
    assert report.code == "AddressSanitizer: heap-buffer-overflow\nREAD of size 32"


def test_what_broke_down_is_not_told_twice() -> None:
    failed = InputFinding(name="short", failure="SIGSEGV")
    found = diagnosis().model_copy(update={"crash": CRASH, "inputs": (failed,)})
    assert conclusion(found) == f"{CRASH.sentence}."
    other = found.model_copy(update={"inputs": (failed, InputFinding(name="x", failure="why"))})
    assert conclusion(other).endswith(": not measured: short: SIGSEGV; x: why")


def test_sanitizer_without_a_report_casts_no_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    silent = CRASH.model_copy(update={"report": (), "outcome": "It does not crash"})
    found = diagnosis().model_copy(update={"crash": silent})
    assert "It does not crash. Measured beside that: At fault" in conclusion(found)
    show(Console(width=150), found, everything=False)
    assert "\nBreakdown\nlong: 3 NaN values\n" in capsys.readouterr().out
