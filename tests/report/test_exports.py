from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from harness.domain.records import Verdict
from harness.domain.verdict import Tolerance
from harness.report.exports import csv, json_text, junit
from harness.report.markdown import LIMIT, markdown
from harness.report.model import Report, assemble
from tests.report.synthetic import FLAGS, INPUTS, RUNS, VERSIONS, cell, matrix


@pytest.fixture(scope="module")
def report() -> Report:
    old = [record for record in matrix(layers=7) if record.version != "20261020"]
    return assemble(
        matrix(layers=60), title="Title", tolerance=Tolerance(), previous=old, config="c.toml"
    )


def test_csv_has_a_row_per_cell_of_every_machine() -> None:
    records = [*matrix(layers=2), *matrix(layers=2, machine="Neoverse-N1")]
    table = pd.read_csv(
        io.StringIO(csv(assemble(records, title="", tolerance=Tolerance()))), dtype=str
    )
    assert len(table) == 2 * len(VERSIONS) * len(FLAGS) * len(RUNS) * len(INPUTS)
    assert set(table["machine"]) == {"zen4 (AMD Test CPU), Linux", "Neoverse-N1, Linux"}


def test_json_says_what_the_page_says(report: Report) -> None:
    content = json.loads(json_text(report))
    (part,) = content["parts"]
    assert part["recommendation"]["flags"] == "avx512"
    assert part["verdict"].startswith("20261020: use it with")
    assert part["causes"][0]["layer_type"] == "InnerProduct"
    assert part["causes"][0]["fixes"][0]["change"]
    assert len(part["cells"]) == len(report.records)
    assert "layers" not in part["cells"][0]
    assert len(content["changes"]["new"]) == 38


def test_junit_sorts_verdicts(report: Report) -> None:
    document = JUnitXml.fromstring(junit(report).encode())
    cases = [case for suite in document for case in suite]
    kinds = [type(case.result[0]) if case.result else None for case in cases]
    assert len(cases) == len(report.records)
    assert kinds.count(None) == report.counts[Verdict.OK]
    assert kinds.count(Failure) == report.counts[Verdict.DROP]
    assert kinds.count(Error) == report.counts[Verdict.BROKEN] + report.counts[Verdict.BUILD_FAILED]
    assert (
        kinds.count(Skipped) == report.counts[Verdict.UNSUPPORTED] + report.counts[Verdict.SKIPPED]
    )


def test_junit_survives_control_characters_and_other_scripts() -> None:
    record = cell("20250503", "sse2", "bf16", "short", layers=1)
    record = record.model_copy(update={"reason": "died\x1b[31m\x00 <&> 线性层"})
    text = junit(assemble([record], title="标题", tolerance=Tolerance()))
    ((case,),) = JUnitXml.fromstring(text.encode())
    assert case.result[0].message == "broken: died <&> 线性层"
    assert "Segmentation fault <b>&" in case.system_err


def test_markdown_has_the_first_screen_the_tables_and_the_gaps(report: Report) -> None:
    text = markdown(report)
    for words in (
        "# Title",
        "**20261020: use it with",
        "### Recommended",
        "opt.use_fp16_storage = false;",
        "**InnerProduct** loses precision: 1.6e-2",
        "| version | sse2 | avx2-nof16c | avx2 | avx512 | runtime |",
        "| **20250503** | ✓ 5.9e-7 | ✓ 5.9e-7 | ▼ 3.6e-4 | ▼ 3.6e-4 | ▼ 3.6e-4 |",
        "this CPU lacks avx512_bf16",
        "layers not compared",
        "38 new",
        "- new: `20261020-sse2/default/short` not there → ✓ ok 4.5e-7",
        "- new: and 26 more",
        "--config c.toml --only 20261020-avx512/fp16-off",
    ):
        assert words in text
    assert len(text) < LIMIT


def test_markdown_tables_are_well_formed(report: Report) -> None:
    rows = [line for line in markdown(report).splitlines() if line.startswith("|")]
    assert len(rows) == len(RUNS) * (2 + len(VERSIONS))
    assert {row.count("|") for row in rows} == {len(FLAGS) + 2}


def test_markdown_that_gets_too_long_drops_its_tables() -> None:
    records = [
        cell("20250503", "sse2", "default", "short", layers=1).model_copy(
            update={"flags": f"flags-{number:04}", "cell": f"20250503-{number:04}/default/short"}
        )
        for number in range(2500)
    ]
    text = markdown(assemble(records, title="", tolerance=Tolerance()))
    assert len(text) < LIMIT
    assert "report.html and report.csv have them" in text
