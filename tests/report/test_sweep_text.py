"""What is said of a sweep, from made-up findings."""

from __future__ import annotations

import argparse
import io
import shlex

import pytest
from rich.console import Console

from harness.analysis.sweep.finding import CommitFound, Explained
from harness.analysis.sweep.suspects import FaultKind
from harness.commands import reproducer
from harness.report.sweep_model import SweepReport
from harness.report.sweep_terminal import show_sweep
from harness.report.sweep_text import (
    Direction,
    commit_words,
    count_words,
    direction,
    finding_head,
    gaps,
    narrow_lines,
    sentence,
    title,
)
from tests.report.sweeps import REPAIRED, SHA, VERSIONS, about, finding, findings, record, report


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("++-", Direction.WORSE),
        ("+--", Direction.WORSE),
        ("-+-", Direction.WORSE),
        ("+-?", Direction.WORSE),
        ("--+", Direction.BETTER),
        ("?-+", Direction.BETTER),
        ("+-+", Direction.BETWEEN),
        ("---", Direction.LASTING),
        ("?--", Direction.LASTING),
    ],
)
def test_what_becomes_of_a_fault(states: str, expected: Direction) -> None:
    assert direction(finding("Softmax", states).finding) is expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            finding("Softmax", "+--"),
            "Softmax computes wrong values (error NaN or infinite, limit 4e-5; 3 NaN) by default, "
            "in 20250916 and 20261020, not in 20250503",
        ),
        (
            finding("ReLU", "?-+", run="num_threads=2", kind=FaultKind.CRASH, bad="c"),
            "ReLU crashes (SIGSEGV in <ncnn::forward>) with num_threads=2, in 20250916, "
            "not in 20261020, not known of 20250503",
        ),
        (
            finding("ROIAlign", "---", run="exact", kind=FaultKind.PRECISION, bad="d"),
            "ROIAlign loses precision (error 1.0e-3, limit 4e-5) with every optimisation off "
            "(exact), in 20250503, 20250916 and 20261020",
        ),
    ],
)
def test_a_finding_in_one_line(found: Explained, expected: str) -> None:
    assert finding_head(report(), found) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (REPAIRED, "repaired by 012345678 fix softmax <tail> | more (97% certain)"),
        (
            CommitFound(before="1", after="2", becomes_bad=True, commit="20250916"),
            "introduced by 20250916",
        ),
        (
            CommitFound(before="1", after="2", becomes_bad=True, suspects=(SHA, SHA[::-1])),
            "introduced between 1 and 2 by one of 2 commits",
        ),
        (
            CommitFound(before="", after="2", becomes_bad=True, suspects=(SHA,)),
            "introduced before 2 by one of 1 commit",
        ),
        (
            CommitFound(before="1", after="2", becomes_bad=False, problem="no history."),
            "repaired between 1 and 2; not bisected: no history.",
        ),
    ],
)
def test_what_a_bisection_says(found: CommitFound, expected: str) -> None:
    assert commit_words(found) == expected


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            report(*findings()),
            "Worse in 20261020: ReLU; better in 20261020: Softmax; wrong throughout: ROIAlign",
        ),
        (report(), "Nothing was found in 20250503, 20250916 and 20261020"),
        (
            report(finding("ReLU", "-", labels=("20250503",)), labels=("20250503",)),
            "Wrong in 20250503: ReLU",
        ),
        (
            report(*(finding(f"Layer{number}", "++-") for number in range(9))),
            "Worse in 20261020: Layer0, Layer1, Layer2, Layer3 and 5 more layer types",
        ),
    ],
)
def test_the_answer_in_one_sentence(made: SweepReport, expected: str) -> None:
    assert sentence(made) == expected


def test_the_title_says_what_was_asked() -> None:
    assert title(report()) == "What changes for you between ncnn 20250503 and 20261020"
    assert title(report(labels=("20250503",))) == "What is wrong in ncnn 20250503"


def test_narrow_formats_are_told_by_their_options() -> None:
    narrow = [finding(kind, "++-", kind=FaultKind.NARROW, bad="n") for kind in ("ReLU", "Slice")]
    assert narrow_lines(report(*narrow)) == [
        "by default, in 20261020, not in 20250503 and 20250916: ReLU and Slice"
    ]


def test_what_was_not_tried() -> None:
    assert gaps(report()) == {"20250503: no such layer": ["SDPA (4)"]}
    table = (record("ReLU::5", "rrrrr"), record("ReLU::6", "?????"))
    made = SweepReport(about=about(), tables=(table, table, ()), findings=())
    assert gaps(made) == {
        "20250503: no such layer": ["SDPA (4)"],
        "20250503 and 20250916: refused with any options: forward failed": ["ReLU (1)"],
        "20250503 and 20250916: not judged: other roundings give other values": ["ReLU (1)"],
    }


def test_changes_of_rounding_are_counted_apart() -> None:
    assert count_words(report(*findings())) == "2 changes, 2 changes of rounding, 1 other finding"


def shown(made: SweepReport, width: int = 160) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    show_sweep(console, made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_terminal_has_only_what_there_is_to_tell() -> None:
    lines = shown(report(*findings()))
    table = [line.split()[0] for line in lines[: lines.index("")]]
    # Softmax, ReLU and ROIAlign have faults; what narrow formats cost is none.
    assert table == ["cases", "ReLU", "Softmax", "ROIAlign", "2"]
    assert "  1 of 2: crash" in lines[1]
    assert lines[-2].startswith("Worse in 20261020: ReLU")


def test_terminal_takes_no_more_than_a_screen() -> None:
    assert len(shown(report(*findings()))) <= 40
    many = [finding(f"Layer{number}", "++-") for number in range(100)]
    assert len(shown(report(*many))) <= 60


def test_terminal_names_many_run_options_by_their_name() -> None:
    text = "\n".join(shown(report(*findings())))
    assert "with every optimisation off (exact)" in text
    assert "use_winograd_convolution" not in text


def test_nothing_found_is_four_lines() -> None:
    made = SweepReport(about=report().about, tables=tuple(() for _ in VERSIONS), findings=())
    assert shown(made) == [
        "1 layer type: no fault in 0 cases of each version",
        "",
        "Not all cases were tried everywhere, see the report",
        "",
        "Nothing was found in 20250503, 20250916 and 20261020",
        "0 changes, 0 other findings; 1 layer type, 12 cases for each version, 0 runs; "
        "flag set avx2, seed 7",
    ]


@pytest.mark.parametrize(
    ("states", "kind", "ends"),
    [
        ("+--", FaultKind.VALUES, "--good 20250503 --bad 20261020 --flags avx2"),
        ("-++", FaultKind.VALUES, "--good 20261020 --bad 20250503 --flags avx2"),
        ("---", FaultKind.VALUES, ""),
        ("+--", FaultKind.NARROW, ""),
    ],
)
def test_a_change_can_be_written_out_for_upstream(states: str, kind: FaultKind, ends: str) -> None:
    found = finding("Softmax", states, run="num_threads=2", kind=kind)
    command = report().reproducer(found.finding)
    assert command.endswith(ends)
    assert bool(command) == bool(ends)
    assert not command or main_accepts(command)


def main_accepts(command: str) -> bool:
    """Return whether the command line is one that the command takes."""
    parsed = argparse.ArgumentParser()
    reproducer.add_arguments(parsed)
    return bool(parsed.parse_args(shlex.split(command.partition(" -- ")[2])).case)
