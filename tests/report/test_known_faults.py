"""Where a report says that a cause is a fault that was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.domain.verdict import Tolerance
from harness.report.cause_text import cause_lines
from harness.report.markdown import markdown
from harness.report.model import Report, assemble
from harness.report.page import html
from tests.advisories.entries import advisory
from tests.records import cell

if TYPE_CHECKING:
    from harness.domain.records import CellRecord

WORDS = (
    "Softmax leaves the last elements uncomputed, 20250428 to 20250916, repaired in 20260113 "
    "(softmax-tail). Use one thread."
)
KNOWN = advisory(
    when="opt.use_packing_layout and p0 == 1 and w % 2", defaults={"p0": 0}, source="https://a.b/1"
)


def record(
    error: float = 1e-2, *, params: str | None = "0=1 1=1", width: int = 7, **more: Any
) -> CellRecord:
    """A cell with a softmax behind a layer that is right."""
    made = cell({"ReLU": 0.0, "Softmax": error}, **more)
    first, second = made.layers
    shape = (3, width)
    layers = (
        first.model_copy(update={"shape": shape, "params": ""}),
        second.model_copy(update={"shape": shape, "params": params, "inputs": (first.blob,)}),
    )
    command = "c++ -o softmax_x86.cpp.o"
    build = made.build.model_copy(update={"compile_command": command})
    return made.model_copy(update={"layers": layers, "build": build})


def report(*records: CellRecord, known: Any = KNOWN) -> Report:
    return assemble(records, title="", tolerance=Tolerance(), advisories=[known])


def known_lines(found: Report) -> list[str]:
    (part,) = found.parts
    return [line.strip() for line in cause_lines(part) if WORDS in line]


@pytest.mark.parametrize(
    ("changes", "is_known"),
    [
        ({}, True),
        ({"width": 8}, False),
        ({"params": "0=2 1=1"}, False),
        ({"params": None}, False),
        ({"version": "20250910"}, True),
        ({"version": "20260113"}, False),
        ({"version": "20251001"}, False),
        ({"version": "main"}, False),
        ({"options": {"use_packing_layout": False}}, False),
        ({"error": float("inf")}, True),
    ],
)
def test_a_cause_is_known_where_its_cells_meet_the_fault(
    changes: dict[str, Any], is_known: bool
) -> None:
    lines = known_lines(report(record(**changes)))
    assert lines == ([f"known: {WORDS}"] if is_known else [])


@pytest.mark.parametrize(
    ("expect", "is_known"), [("broken", True), ("drop", True), ("narrow", True), ("crash", False)]
)
def test_a_fault_of_another_kind_is_not_that_one(expect: str, is_known: bool) -> None:
    known = advisory(expect=expect, when="w % 2")
    assert bool(known_lines(report(record(), known=known))) is is_known


def test_wrong_values_are_no_known_loss_of_precision() -> None:
    known = advisory(expect="drop", when="w % 2")
    assert not known_lines(report(record(error=2.0), known=known))


def test_a_cause_may_be_known_in_some_of_its_cells() -> None:
    wide = record(input_name="wide", width=8)
    assert known_lines(report(record(), wide)) == [f"known in 1 of 2 cells: {WORDS}"]


@pytest.mark.parametrize("more", [{"needs": "a huge value"}, {"when": "store == 'fp16'"}])
def test_what_no_record_tells_makes_it_perhaps(more: dict[str, Any]) -> None:
    known = advisory(**({"when": "w % 2"} | more))
    assert known_lines(report(record(), known=known)) == [f"perhaps known: {WORDS}"]
    assert not known_lines(report(record(version="20251001"), known=known))


def test_without_a_fault_nothing_is_said_of_it() -> None:
    assert not known_lines(report(record(error=0.0)))


def test_another_architecture_is_not_accused() -> None:
    made = record()
    build = made.build.model_copy(update={"compile_command": "c++ -o softmax_arm.cpp.o"})
    assert not known_lines(report(made.model_copy(update={"build": build})))


def test_options_that_were_set_too_late_say_nothing() -> None:
    assert not known_lines(report(record().model_copy(update={"when": "after-model"})))


def test_page_and_markdown_say_it_with_the_source() -> None:
    found = report(record())
    assert f"known: {WORDS}" in html(found)
    assert '<a href="https://a.b/1">' in html(found)
    assert f"  - known: {WORDS} https://a.b/1\n" in markdown(found)
