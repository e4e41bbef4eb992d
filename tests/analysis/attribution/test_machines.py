"""Cells of another machine: evidence where there is no other, and never a proof of a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.analysis.attribution.causes import attribute
from harness.domain.verdict import Tolerance
from harness.report.cause_text import fix_words
from tests.records import cell

if TYPE_CHECKING:
    from harness.domain.records import CellRecord

BAD, GOOD = 1e-3, 1e-7
ON, OFF = {"NCNN_F16C": "ON"}, {"NCNN_F16C": "OFF"}


def here(error: float, flags: str = "on", run: str = "default", **options: bool) -> CellRecord:
    build = ON if flags == "on" else OFF
    return cell({"Fc": error}, flags=flags, build=build, run=run, options=options, machine="A")


def there(error: float, flags: str = "on") -> CellRecord:
    build = ON if flags == "on" else OFF
    record = cell({"Fc": error}, flags=flags, build=build, machine="B")
    return record.model_copy(update={"cell": f"{record.cell} on B", "experiment": True})


@pytest.mark.parametrize(
    ("records", "expected", "proved"),
    [
        # Shards of one matrix, each on another CPU: which of both it is is not known.
        (
            [here(BAD), there(GOOD, "off")],
            ["NCNN_F16C=OFF at build time, another machine (B instead of A)"],
            False,
        ),
        # The same cell on both: it is the CPU.
        ([here(BAD), there(GOOD)], ["another machine (B instead of A)"], True),
        # It is the CPU only together with the flag.
        (
            [here(BAD), here(BAD, "off"), there(BAD), there(GOOD, "off")],
            ["NCNN_F16C=OFF at build time together with another machine (B instead of A)"],
            True,
        ),
        # What this machine shows is all that is told.
        ([here(BAD), here(GOOD, "off"), there(GOOD)], ["NCNN_F16C=OFF at build time"], True),
        (
            [
                here(BAD),
                here(GOOD, "off", "plain", use_fp16_storage=False),
                there(GOOD),
            ],
            ["NCNN_F16C=OFF at build time, use_fp16_storage=false at run time"],
            False,
        ),
        ([here(BAD), there(BAD, "off")], [], False),
    ],
)
def test_what_clears_a_fault(
    records: list[CellRecord], expected: list[str], *, proved: bool
) -> None:
    (cause,) = [c for c in attribute(records, Tolerance()) if records[0].cell in c.cells]
    assert [fix_words(fix) for fix in cause.fixes] == expected
    assert cause.is_proved is proved
    assert not any(" on B" in name for name in cause.cells)


def test_versions_are_not_compared_across_machines() -> None:
    newer = cell({"Fc": GOOD}, version="20261020", flags="on", build=ON, machine="B")
    abroad = newer.model_copy(update={"cell": f"{newer.cell} on B", "experiment": True})
    (cause,) = attribute([here(BAD), abroad], Tolerance())
    assert cause.clean == ()
