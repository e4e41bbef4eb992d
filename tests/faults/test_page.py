from pathlib import Path

from faults.catalogue import FAULTS
from faults.page import HostileCase, hostile_cases, row, write_page
from faults.trial import Outcome

FAULT = FAULTS[0]
FINE = Outcome(fault=FAULT, happened="SIGKILL; fine", said="a | b <script>\nc")
CASE = HostileCase.model_validate(
    {
        "id": "x",
        "kind": "names",
        "input": "a|b",
        "expected": {"exit": [2, 3], "names": ["a|b"]},
        "happened": {"exit": 2, "said": "10:11:12 /tmp/x-1/hostile0/a: no\nreally", "faults": []},
    }
)


def test_a_row_is_one_line_that_no_text_breaks() -> None:
    line = row(FINE)
    assert line.endswith("| as expected: SIGKILL; fine | a \\| b &lt;script> c |")
    assert "\n" not in line


def test_what_was_not_tried_says_why() -> None:
    assert "| not tried: no disk |" in row(Outcome(fault=FAULT, skipped="no disk"))


def test_the_same_events_give_the_same_page(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_page(tmp_path / name, faults=FAULTS[:2], outcomes=[FINE], hostile=[CASE])
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    assert row(FINE) in text.splitlines()
    assert "Of 2 faults, 1 ended as expected and 0 did not; 1 could not be tried." in text


def test_what_is_not_tried_again_is_told_as_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    other = Outcome(fault=FAULTS[1], wrong=["lost"], happened="lost")
    write_page(page, faults=FAULTS[:3], outcomes=[FINE])
    write_page(page, hostile=[CASE])
    write_page(page, faults=FAULTS[:3], outcomes=[other])
    lines = page.read_text().splitlines()
    assert row(FINE) in lines
    assert row(other) in lines
    assert "Of 3 faults, 1 ended as expected and 1 did not; 1 could not be tried." in lines
    assert "| `x` | a\\|b | exit code 2 or 3, naming a\\|b | exit code 2: HERE/a: no |" in lines
    write_page(page, faults=FAULTS[1:2])
    assert FAULT.id not in page.read_text()


def test_hostile_cases_are_read_from_several_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(CASE.model_copy(update={"id": name}).model_dump_json() + "\n")
    assert [c.id for c in hostile_cases([tmp_path / "a", tmp_path / "b"])] == ["a", "b"]


def test_an_input_that_did_something_else_is_told() -> None:
    wrong = CASE.happened.model_copy(update={"faults": ["wrote /etc/x"]})
    assert wrong.words == "**not as expected**: wrote /etc/x (exit code 2: HERE/a: no)"
