from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.domain.verdict import Tolerance
from harness.execution.shard_file import ShardState, write_shard
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE
from tests.report.synthetic import cell, write_page, write_run

NEW = [cell("20261020", "avx2", run, "short", layers=7) for run in ("default", "fp16-off", "bf16")]
OLD = [cell("20261020", "avx2", "default", "short", layers=7)]
BROKEN = [cell("20250503", "avx2", "bf16", "short", layers=7)]

Project = Callable[..., int]


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a way to call the command in a directory with results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    write_run(Path("results/20260101-000000-old"), OLD)
    write_run(Path("results/20260201-000000-new"), NEW)
    return lambda *arguments: main(["report", *arguments])


def test_newest_run_is_reported_in_its_directory(
    report: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report() == EXIT_OK
    folder = Path("results/20260201-000000-new")
    assert {path.name for path in folder.glob("report.*")} == {
        "report.html",
        "report.md",
        "report.csv",
        "report.json",
    }
    out = capsys.readouterr().out
    assert "20261020: use it with use_fp16_arithmetic" in out
    assert "★ 4.5e-7" in out
    assert not list(Path("results/20260101-000000-old").glob("report.*"))


def test_out_names_all_files(report: Project) -> None:
    assert report("--out", "site/index.html") == EXIT_OK
    assert {path.name for path in Path("site").iterdir()} == {
        "index.html",
        "index.md",
        "index.csv",
        "index.json",
    }


def test_several_runs_are_reported_above_them(report: Project) -> None:
    write_run(
        Path("results/20260301-000000-arm"),
        [cell("20261020", "avx2", "default", "short", layers=7, machine="Neoverse-N1")],
    )
    assert report("results/20260201-000000-new", "results/20260301-000000-arm") == EXIT_OK
    content = json.loads(Path("results/report.json").read_text(encoding="utf-8"))
    assert [len(part["cells"]) for part in content["parts"]] == [3, 1]


def test_all_runs_below_a_directory_are_reported_in_it(report: Project) -> None:
    assert report("results") == EXIT_OK
    content = json.loads(Path("results/report.json").read_text(encoding="utf-8"))
    assert [len(part["cells"]) for part in content["parts"]] == [3]
    assert not list(Path("results").glob("*/report.*"))


@pytest.mark.parametrize(
    ("what", "code"), [("never", EXIT_OK), ("broken", EXIT_FINDINGS), ("drop", EXIT_FINDINGS)]
)
def test_a_report_that_lacks_a_shard_fails(
    what: str, code: int, report: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(
        Path("artifacts/a/run"), [cell("20261020", "sse2", "default", "short", layers=7)]
    )
    builds = (("20261020-sse2",), ("20261020-avx2", "20261020-avx512"))
    write_shard(ShardState(index=1, model="ppocrv3-rec", builds=builds), folder)
    assert report("artifacts", "--fail-on", what) == code
    said = "shard 2/2 is missing: nothing is known of 20261020-avx2 and 20261020-avx512"
    assert said in capsys.readouterr().out
    assert said in Path("artifacts/report.html").read_text(encoding="utf-8")


def test_comparison_with_all_runs_below_a_directory(
    report: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("before").mkdir()
    Path("results/20260101-000000-old").rename("before/run")
    assert report("--compare", "before") == EXIT_OK
    assert "0 worse, 0 better, 2 new, 0 gone, 1 same" in capsys.readouterr().out


def test_comparison(report: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert report("--compare", "results/20260101-000000-old") == EXIT_OK
    assert "0 worse, 0 better, 2 new, 0 gone, 1 same" in capsys.readouterr().out


def test_markdown_is_all_that_is_printed(
    report: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report("--markdown") == EXIT_OK
    out = capsys.readouterr().out
    assert out.strip() == Path("results/20260201-000000-new/report.md").read_text("utf-8").strip()


def test_files_for_ci(report: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert report("--junit", "out/junit.xml", "--github-summary") == EXIT_OK
    assert Path("out/junit.xml").read_text(encoding="utf-8").startswith("<testsuites")
    summary = Path("summary.md").read_text(encoding="utf-8")
    assert summary.startswith("before\n# ")
    assert "### Recommended" in summary


def test_job_summary_outside_of_a_job_is_refused(
    report: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report("--github-summary") == EXIT_USAGE
    assert "GITHUB_STEP_SUMMARY is not set" in capsys.readouterr().err


RUN = "results/20260201-000000-new"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--junit", f"{RUN}/cells.jsonl"], "cells.jsonl: this is how a run"),
        (["--out", f"{RUN}/cells.jsonl"], "cells.jsonl: this is how a run"),
        (["--out", f"{RUN}/layers.html"], "layers.csv: is there, and no report"),
        (["--out", f"{RUN}/sweep.html"], "sweep.json: this is how a run directory calls what"),
        (["--out", "m.onnx"], "m.onnx: is there, and no report"),
        (["--out", "to-m.html"], "to-m.html: is there, and no report"),
        (["--out", "README.html"], "README.md: is there, and no report"),
        (["--out", "folder.html"], "folder.csv: is there, and no report"),
        (["--out", "a.html", "--junit", "a.html"], "a.html: two forms of the report"),
        (["--out", "a.html", "--junit", "./x/../a.csv"], "a.csv: two forms of the report"),
        (["--junit", f"{RUN}/report.json"], "report.json: two forms of the report"),
        (["--out", "summary.html", "--github-summary"], "summary.md: two forms of the report"),
    ],
)
def test_nothing_is_replaced_that_is_no_report(
    report: Project,
    words: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("m.onnx", "README.md", f"{RUN}/layers.csv"):
        Path(name).write_text("<p># {")
    Path("to-m.html").symlink_to("m.onnx")
    Path("folder.csv").mkdir()
    Path("x").mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    before = _files()
    assert report(*words) == EXIT_USAGE
    assert named in capsys.readouterr().err
    assert _files() == before


def _files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_reports_are_replaced(report: Project) -> None:
    Path("junit.xml").touch()
    for _ in range(2):
        assert report("--out", "site/index.html", "--junit", "junit.xml") == EXIT_OK
        assert report("--out", RUN) == EXIT_OK
    Path(RUN, "report.html").write_text("mine?")
    assert report("--out", RUN) == EXIT_USAGE
    assert report() == EXIT_OK


@pytest.mark.parametrize(
    ("what", "has_broken", "code"),
    [
        ("drop", False, EXIT_FINDINGS),
        ("broken", False, EXIT_OK),
        ("broken", True, EXIT_FINDINGS),
        ("never", True, EXIT_OK),
    ],
)
def test_fail_on(report: Project, what: str, has_broken: bool, code: int) -> None:
    if has_broken:
        write_run(Path("results/20260401-000000-broken"), BROKEN)
    assert report("--fail-on", what) == code


def test_guilty_commits_beside_the_records_are_marked(report: Project) -> None:
    path = Path("results/20260201-000000-new/commits.json")
    path.write_text('[{"commit": "440bfdd2c000", "date": "2022-06-23", "subject": "x86 f16c"}]')
    assert report() == EXIT_OK
    assert "440bfdd2c" in path.with_name("report.md").read_text(encoding="utf-8")


def test_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--results", str(tmp_path)]) == EXIT_USAGE
    assert "nox -s matrix" in capsys.readouterr().err


def test_api_for_other_commands(tmp_path: Path) -> None:
    page = write_page(
        tmp_path / "new",
        NEW,
        title="Title",
        tolerance=Tolerance(),
        requested={"avx2": "-DNCNN_AVX2=ON -DNCNN_F16C=ON"},
    )
    assert page == tmp_path / "new" / "report.html"
    assert '<code class="word">-DNCNN_F16C=ON</code>' in page.read_text(encoding="utf-8")
