import re

from rich.console import Console

from harness.domain.records import CellRecord, Verdict
from harness.domain.verdict import Tolerance
from harness.report.console import show
from harness.report.model import assemble
from harness.report.summary import summarise
from tests.records import cell

OFF = {"use_fp16_storage": False}


def text(*records: CellRecord) -> str:
    """Return what is printed of some cells."""
    console = Console(width=200)
    (part,) = assemble(records, title="", tolerance=Tolerance()).parts
    with console.capture() as captured:
        show(console, part)
    return captured.get()


def test_everything_is_printed() -> None:
    printed = text(
        cell({"A": 1e-3}),
        cell({"A": 1e-7}, run="off", options=OFF, verdict=Verdict.OK),
        cell({}, run="bf16", verdict=Verdict.BROKEN, reason="SIGSEGV"),
        cell({}, flags="avx512", verdict=Verdict.UNSUPPORTED, reason="this CPU lacks avx512f"),
    )
    assert "4 cells: 1 ok, 1 drop, 1 broken, 1 unsupported" in printed
    assert "• A loses precision: 1.0e-3 in 1 cell, 1 layer. This stops it:" in printed
    assert "  - use_fp16_storage=false at run time (1.0e-3 → 1.0e-7, in the chain " in printed
    assert "• broken: SIGSEGV (1: 20250503-avx2/bf16/short)" in printed
    assert "• unsupported: this CPU lacks avx512f (1: 20250503-avx512/default/short)" in printed
    assert re.search(r"20250503-avx2 +default +short +drop +1.0e-3 ", printed)


def test_clean_and_empty_tables_say_so() -> None:
    assert "No layer loses precision" in text(cell({"A": 1e-7}, verdict=Verdict.OK))
    unmeasured = cell({}, verdict=Verdict.UNSUPPORTED)
    assert summarise([unmeasured], Tolerance()).has_findings
    assert "No cell could be measured" in text(unmeasured)


def test_only_findings_matter_for_the_exit_code() -> None:
    good = cell({"A": 1e-7}, verdict=Verdict.OK)
    other = cell({}, flags="x", verdict=Verdict.UNSUPPORTED)
    assert not summarise([good, other], Tolerance()).has_findings
    assert summarise([good, cell({"A": 1e-3}, flags="y")], Tolerance()).has_findings


def test_layers_that_fell_back_to_the_cpu_are_counted() -> None:
    record = cell({"A": 1e-7, "B": 1e-7, "C": 1e-7}, run="vulkan", verdict=Verdict.OK)
    places = ("vulkan", "cpu", "")
    layers = [
        layer.model_copy(update={"device": place})
        for layer, place in zip(record.layers, places, strict=True)
    ]
    machine = {"vulkan device_name": "llvmpipe"}
    printed = text(
        record.model_copy(update={"layers": tuple(layers), "machine": machine}),
        cell({"A": 1e-7}, verdict=Verdict.OK),
    )
    assert (
        "• 1 of 2 layers on llvmpipe; on the CPU instead: 1 B (1: 20250503-avx2/vulkan/short)"
        in printed
    )


def test_builds_with_all_layers_are_counted() -> None:
    reason = "no layer seems to define ncnn::f"
    records = []
    for flags, run in (("avx2", "default"), ("avx2", "off"), ("sse2", "default"), ("avx", "off")):
        record = cell({"A": 1e-7}, flags=flags, run=run, verdict=Verdict.OK)
        why = "" if flags == "avx" else reason
        build = record.build.model_copy(update={"id": f"1-{flags}", "untrimmed": why})
        records.append(record.model_copy(update={"build": build}))
    printed = text(*records)
    assert f"Builds with all layers\n  • {reason} (2: 1-avx2, …)" in printed
    assert "with all layers" not in text(records[-1])
