import json
from pathlib import Path

from faults.catalogue import FAULTS
from faults.page import hostile_cases, row, write_page
from faults.trial import Outcome

FAULT = FAULTS[0]
FINE = Outcome(fault=FAULT, happened="SIGKILL; fine", said="a | b <script>\nc")
CASE = {"id": "x", "kind": "names", "input": "a|b", "expected": "refused", "happened": "refused"}


def test_a_row_is_one_line_that_no_text_breaks() -> None:
    line = row(FINE)
    assert line.endswith("| SIGKILL; fine | a \\| b &lt;script> c |")
    assert "\n" not in line


def test_what_was_not_tried_says_why() -> None:
    assert "| not tried: no disk |" in row(Outcome(fault=FAULT, skipped="no disk"))


def test_the_same_events_give_the_same_page(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_page(tmp_path / name, outcomes=[FINE], hostile=[CASE])
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    assert row(FINE) in text.splitlines()
    assert "1 faults were tried: 1 ended as expected, 0 did not." in text


def test_each_part_is_written_without_the_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_page(page, outcomes=[FINE])
    assert "Hostile" not in page.read_text()
    write_page(page, hostile=[CASE])
    both = page.read_text()
    assert row(FINE) in both
    assert "| `x` | a\\|b | refused | refused |" in both
    write_page(page, outcomes=[Outcome(fault=FAULT, wrong=["lost"], happened="lost")])
    assert "| `x` |" in page.read_text()
    assert "0 ended as expected, 1 did not" in page.read_text()


def test_hostile_cases_are_read_from_several_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(json.dumps({**CASE, "id": name}) + "\n")
    assert [c["id"] for c in hostile_cases([tmp_path / "a", tmp_path / "b"])] == ["a", "b"]
