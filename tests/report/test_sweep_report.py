"""The report of a sweep, from its run directory and nothing else."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.domain.coverage import (
    BuildCoverage,
    FileCoverage,
    LayerCoverage,
    Reached,
    write_coverage,
)
from harness.report.markdown import LIMIT
from harness.report.sweep_exports import sweep_json
from harness.report.sweep_known import known_faults
from harness.report.sweep_model import read_sweep
from harness.report.sweep_page import sweep_html, sweep_markdown
from harness.report.sweep_text import causes_of
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, UsageError
from tests.advisories.entries import advisory
from tests.report.sweeps import VERSIONS, finding, report, write_sweep_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return write_sweep_run(Path("results/20260101-000000-sweep"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report of the newest run in all its forms, by suffix."""
    results = tmp_path_factory.mktemp("results")
    folder = write_sweep_run(results / "20260101-000000-sweep")
    assert main(["report", "--results", str(results)]) == EXIT_OK
    return {path.suffix: path.read_text(encoding="utf-8") for path in folder.glob("report.*")}


def test_causes_are_found_again_in_what_is_on_disk(folder: Path) -> None:
    (softmax,) = read_sweep(folder).of("Softmax")[:1]
    (fix,) = softmax.fixes
    assert {(s.name, s.after) for s in fix.change} == {("num_threads", "1")}


def test_causes_of_other_runs_of_a_case_are_not_told(folder: Path) -> None:
    (softmax,) = read_sweep(folder).of("Softmax")[:1]
    assert len(softmax.causes) == 2
    assert [cause.fixes[0].pairs[0][0] for cause in causes_of(softmax)] == [
        "20250503-avx2/num_threads=2/case"
    ]


@pytest.mark.parametrize(
    ("when", "expect", "until", "is_known"),
    [
        ("threads > 1 and w % 2", "broken", VERSIONS[1], True),
        ("threads > 1 and w % 2 == 0", "broken", VERSIONS[1], False),
        ("threads == 1", "broken", VERSIONS[1], False),
        ("threads > 1", "crash", VERSIONS[1], False),
        # Repaired before the last version that shows it: it is not the same.
        ("threads > 1", "broken", VERSIONS[0], False),
    ],
)
def test_what_is_known_of_it(
    folder: Path, when: str, expect: str, until: str, *, is_known: bool
) -> None:
    good = VERSIONS[VERSIONS.index(until) + 1 :]
    bad = VERSIONS[: VERSIONS.index(until) + 1]
    known = advisory(when=when, expect=expect, bad=bad, good=good, introduced=None, repaired=None)
    (softmax,) = read_sweep(folder).of("Softmax")[:1]
    assert [each.advisory.id for each in known_faults(softmax, [known])] == [known.id] * is_known


def test_all_forms_are_written(texts: dict[str, str]) -> None:
    assert set(texts) == {".html", ".md", ".csv", ".json"}


@pytest.mark.parametrize(
    "line",
    [
        "# What changes for you between ncnn 20250503 and 20261020",
        "## Gets worse",
        "- **ReLU** crashes (SIGSEGV in &lt;ncnn::forward>) with num_threads=2, in 20261020, "
        "not in 20250503 and 20250916",
        "## Gets better",
        "- **Softmax** computes wrong values (error NaN or infinite, limit 4e-5; 3 NaN) with "
        "num_threads=2, in 20250503 and 20250916, not in 20261020; num_threads=1 at run time "
        "stops it; repaired by 012345678 fix softmax &lt;tail> \\| more (97% certain)",
        "| ROIAlign | exact run | 1 of 1: drop | 1 of 1: drop | 1 of 1: drop |",
        "Smallest case: `Softmax:0=1:3x7`; 3 cases of the sweep show it",
        "| 20250503 | broken | ∞ | 4e-5 |",
        "Again: `nox -s sweep -- --versions 20250503 20250916 20261020 --flags avx2 "
        "--case Softmax:0=1:3x7`",
        "- 20250503: no such layer (SDPA (4))",
    ],
)
def test_markdown_says(texts: dict[str, str], line: str) -> None:
    assert line in texts[".md"].splitlines()


def test_long_markdown_leaves_details_out() -> None:
    many = [finding(f"Layer{number}", "++-") for number in range(1000)]
    text = sweep_markdown(report(*many))
    assert len(text) <= LIMIT
    assert text.count("\n- **Layer") == 100
    assert "\n- and 900 more\n" in text


def test_csv_has_a_row_per_place(texts: dict[str, str]) -> None:
    rows = list(csv.DictReader(texts[".csv"].splitlines()))
    places = {(row["layer"], row["version"], row["run"]): row for row in rows}
    # Three layer types in each version, and Slice in the newest.
    assert len(rows) == len(places) == (3 * 3 + 1) * 5
    crash = places["ReLU", "20261020", "num_threads=2"]
    assert (crash["state"], crash["cases"], crash["crash"], crash["ok"]) == ("crash", "2", "1", "1")
    exact = places["ROIAlign", "20250503", "exact"]
    assert (exact["reference"], exact["state"], exact["error"]) == ("exact run", "drop", "0.001")
    assert exact["options"].startswith("use_fp16_storage=false,use_packing_layout=false")


def test_json_says_the_same(texts: dict[str, str]) -> None:
    content = json.loads(texts[".json"])
    assert content["title"].startswith("What changes for you")
    softmax = next(item for item in content["findings"] if item["layer"] == "Softmax")
    assert softmax["direction"] == "Gets better"
    assert softmax["fixes"][0]["change"] == "num_threads=1 at run time"
    assert softmax["verdicts"][0]["error"] == "inf"
    assert len(content["table"]) == 50


def test_page_has_a_section_per_layer_type_with_faults(texts: dict[str, str]) -> None:
    text = texts[".html"]
    for layer in ("ReLU", "Softmax", "ROIAlign"):
        assert f'id="layer-{layer}"' in text
    assert 'id="layer-Slice"' not in text
    assert "<ncnn::forward>" not in text
    assert "for want of a definition" in text
    assert "src=" not in text.replace("data:", "")


def test_what_the_cases_reached_is_told_where_it_is_known(folder: Path) -> None:
    assert 'id="coverage"' not in sweep_html(read_sweep(folder))
    kernel = FileCoverage(
        file="x86/softmax_x86.cpp",
        lines=Reached(reached=3, total=4),
        branches=Reached(reached=1, total=2),
        never_entered=("softmax_pack<8>",),
    )
    layers = (LayerCoverage(layer="Softmax", files=(kernel,)),)
    build = BuildCoverage(
        build="20250503", flags="avx2", compiler="GNU 12.2.0", cases=12, layers=layers
    )
    write_coverage(folder, [build])
    known = read_sweep(folder)
    assert "softmax_pack&lt;8&gt;" in sweep_html(known)
    assert "| Softmax | 75 % of 4 | 50 % of 2 | softmax_pack&lt;8> |  |" in sweep_markdown(known)
    assert json.loads(sweep_json(known))["coverage"][0]["cases"] == 12


def test_page_of_a_sweep_without_findings() -> None:
    text = sweep_html(report(labels=("20250503",)))
    assert "Nothing was found in 20250503." in text
    assert 'id="layers"' not in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], EXIT_OK),
        (["--fail-on", "drop"], EXIT_FINDINGS),
        (["--fail-on", "broken"], EXIT_FINDINGS),
        (["--junit", "out.xml"], EXIT_USAGE),
        (["--compare", "results/20260101-000000-sweep"], EXIT_USAGE),
    ],
)
def test_command(folder: Path, arguments: list[str], code: int) -> None:
    assert main(["report", str(folder), *arguments]) == code


def test_markdown_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--markdown", "--out", "site/index.html"]) == EXIT_OK
    assert capsys.readouterr().out.startswith("# What changes for you")
    assert {path.suffix for path in Path("site").iterdir()} == {".html", ".md", ".csv", ".json"}


def test_only_reports_are_replaced(folder: Path) -> None:
    for _ in range(2):
        assert main(["report", str(folder), "--out", "site/index.html"]) == EXIT_OK
    assert main(["report", str(folder), "--out", str(folder / "sweep.html")]) == EXIT_USAGE
    assert not (folder / "sweep.html").exists()
    assert main(["report", str(folder)]) == EXIT_OK


def test_damaged_description_is_refused(folder: Path) -> None:
    (folder / "sweep.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="not what a sweep writes"):
        read_sweep(folder)
