import json
from pathlib import Path

from rich.console import Console

from harness.domain.findings import FILE, Finding, Section, read_findings, write_finding
from harness.domain.verdict import Tolerance
from harness.report.dataset import newest_run, read_run
from harness.report.model import assemble
from harness.report.terminal import show
from tests.report.synthetic import cell, write_page, write_run

FINDING = Finding(
    title="Bisection <of> 识别",
    sentence="440bfdd2c made it bad",
    sections=(
        Section(heading="Lines", lines=("one & two",)),
        Section(heading="Rows", header=("revision", "error"), rows=(("a | b", "7.4e-4"),)),
        Section(heading="Hunk", code="-old\n+new"),
    ),
    command="nox -s bisect -- --good 1 --bad 2",
)


def test_finding_comes_back_from_its_directory(tmp_path: Path) -> None:
    write_finding(FINDING, tmp_path)
    assert read_findings([tmp_path, tmp_path / "none"]) == (FINDING,)


def test_damaged_story_is_left_out(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    assert read_findings([tmp_path]) == ()


def test_every_form_tells_it(tmp_path: Path) -> None:
    records = [cell("20250503", "avx2", "default", "short", layers=3)]
    page = write_page(
        tmp_path, records, title="t", tolerance=Tolerance(), findings=[FINDING]
    ).read_text()
    assert "Bisection &lt;of&gt; 识别" in page
    assert "one &amp; two" in page
    assert "440bfdd2c made it bad." in page
    assert "-old\n+new" in page
    text = (tmp_path / "report.md").read_text()
    assert "**440bfdd2c made it bad.**" in text
    assert "| revision | error |\n| --- | --- | \n| a \\| b | 7.4e-4 |" in text
    assert FINDING.command in text
    (told,) = json.loads((tmp_path / "report.json").read_text())["findings"]
    assert told["sentence"] == FINDING.sentence


def test_finding_without_cells_is_a_report(tmp_path: Path) -> None:
    page = write_page(tmp_path, [], title="t", tolerance=Tolerance(), findings=[FINDING])
    text = page.read_text()
    assert FINDING.sentence in text
    assert 'href="#table"' not in text
    assert "<script" not in text
    assert FINDING.sentence in (tmp_path / "report.md").read_text()
    console = Console(record=True, width=100)
    show(console, assemble([], title="", tolerance=Tolerance(), findings=[FINDING]))
    assert FINDING.sentence in console.export_text()


def test_directory_with_a_story_is_a_run(tmp_path: Path) -> None:
    write_run(tmp_path / "20260101-000000-x", [cell("20250503", "avx2", "default", "short")])
    newer = write_run(tmp_path / "20260102-000000-bisect", [])
    write_finding(FINDING, newer)
    assert newest_run(tmp_path) == newer
    assert read_run(newer).records == ()


def test_reasons_of_cells_that_were_not_run() -> None:
    old = cell("20220420", "sse2", "default", "short")
    new = cell("20261020", "avx2", "bf16", "short")
    left_out = {"20220420-avx2/default/short": "excluded by a rule"}
    records = [old, new]
    (part,) = assemble(records, title="", tolerance=Tolerance(), left_out=left_out).parts
    assert part.absent["excluded by a rule"] == ("20220420-avx2/default/short",)
    assert sum(map(len, part.absent.values())) == 6


def test_command_of_a_record_is_its_own() -> None:
    record = cell("440bfdd2c", "avx2", "default", "short").model_copy(update={"command": "again"})
    report = assemble([record], title="", tolerance=Tolerance(), config="c.toml")
    assert report.reproduce(record) == "again"
