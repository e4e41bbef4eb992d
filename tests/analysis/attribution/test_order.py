"""Causes depend on what was measured, not on the order or the hashes that it comes in."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.attribution.causes import Cause, attribute
from harness.domain.records import CellRecord, Verdict
from harness.domain.verdict import Tolerance
from harness.report.cause_text import cause_title, fix_words, version_words
from tests.records import cell

TOLERANCE = Tolerance(layer=4e-5)
SEEDS = 12


def two_faults() -> list[CellRecord]:
    """Two layer types that lose precision by one option each, since the same version."""
    records = []
    for version, new in (("v1", False), ("v2", True)):
        for fp16 in (True, False):
            for packing in (True, False):
                errors = {"A": 1e-3 if new and fp16 else 1e-7, "B": 2e-4 if new and packing else 0}
                faulty = max(errors.values()) > TOLERANCE.layer
                records.append(
                    cell(
                        errors,
                        version=version,
                        run=f"fp16-{fp16}-packing-{packing}",
                        options={"use_fp16_storage": fp16, "use_packing_layout": packing},
                        verdict=Verdict.DROP if faulty else Verdict.OK,
                    )
                )
    return records


def said(causes: tuple[Cause, ...]) -> list[str]:
    return [f"{cause_title(c)}: {[fix_words(fix) for fix in c.fixes]}" for c in causes]


def test_two_faults_of_one_version_stay_two() -> None:
    causes = attribute(two_faults(), TOLERANCE)
    assert [(c.layer_type, [fix_words(fix) for fix in c.fixes]) for c in causes] == [
        ("A", ["use_fp16_storage=false at run time"]),
        ("B", ["use_packing_layout=false at run time"]),
    ]
    assert [version_words(cause) for cause in causes] == ["in v2, not in v1"] * 2
    assert not any(cause.also for cause in causes)


def test_a_version_alone_makes_no_two_faults_one() -> None:
    records = [
        cell({"A": 1e-7, "B": 1e-7}, version="v1", verdict=Verdict.OK),
        cell({"A": 1e-3, "B": 1e-4}, version="v2"),
    ]
    causes = attribute(records, TOLERANCE)
    assert [(cause.layer_type, cause.also) for cause in causes] == [("A", ()), ("B", ())]


@given(st.permutations(two_faults()))
def test_the_order_of_cells_changes_nothing(records: list[CellRecord]) -> None:
    assert said(attribute(records, TOLERANCE)) == said(attribute(two_faults(), TOLERANCE))


def test_hashes_change_nothing() -> None:
    """The order of a set depends on hashes, which are others in every process."""
    code = (
        "from tests.analysis.attribution.test_order import *;"
        "print(said(attribute(two_faults(), TOLERANCE)))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "PYTHONHASHSEED": str(seed),
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in range(SEEDS)
    }
    assert len(answers) == 1
