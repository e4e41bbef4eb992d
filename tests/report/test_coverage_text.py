"""The rows of a table of what was reached."""

from pathlib import Path

from rich.console import Console

from harness.domain.coverage import (
    BuildCoverage,
    FileCoverage,
    LayerCoverage,
    Reached,
    read_coverage,
    write_coverage,
)
from harness.report.coverage_text import coverage_head, coverage_rows, show_coverage


def layer(name: str, lines: int, branches: int, *never: str) -> LayerCoverage:
    return LayerCoverage(
        layer=name,
        files=(
            FileCoverage(file=f"{name}.cpp", lines=Reached(reached=0, total=9), branches=Reached()),
            FileCoverage(
                file=f"x86/{name}_x86.cpp",
                lines=Reached(reached=lines, total=1000),
                branches=Reached(reached=branches, total=1000),
                never_entered=never,
                unreached=((3, 4),),
            ),
        ),
        not_compiled=("arm/a.cpp", "arm/b.cpp", "naive.h", "vulkan/shader/a.comp"),
    )


SOURCES = "2 arm, 1 naive, 1 vulkan"
BUILD = BuildCoverage(
    build="20250503",
    flags="avx2",
    compiler="GNU 12.2.0",
    cases=80,
    lost=3,
    layers=(
        layer("all", 1000, 1000),
        layer("most", 999, 999),
        layer("least", 100, 50, *["a", "b", "op<x>", "op<y>", "c", "d", "e<z>"]),
        LayerCoverage(layer="none", files=()),
    ),
)


def test_the_least_reached_comes_first_and_nothing_is_rounded_to_all() -> None:
    assert [row.cells for row in coverage_rows(BUILD)] == [
        (
            "least",
            "10 % of 1000",
            "5 % of 1000",
            "a, b, op (2 instances), c and 2 more",
            SOURCES,
        ),
        ("most", "99 % of 1000", "99 % of 1000", "", SOURCES),
        ("all", "100 % of 1000", "100 % of 1000", "", SOURCES),
        ("none", "none", "none", "", ""),
    ]


def test_what_crashed_is_told() -> None:
    assert coverage_head(BUILD) == (
        "What 80 cases reached in 20250503, avx2 (GNU 12.2.0); 3 runs that crashed or hung are not "
        "counted"
    )
    assert "crashed" not in coverage_head(BUILD.model_copy(update={"lost": 0}))


def test_the_terminal_shows_every_layer() -> None:
    console = Console(width=160)
    with console.capture() as shown:
        show_coverage(console, [BUILD])
    text = shown.get()
    assert all(name in text for name in ("least", "most", "all", "What 80 cases reached"))


def test_a_run_without_coverage_has_none(tmp_path: Path) -> None:
    assert read_coverage(tmp_path) == ()
    write_coverage(tmp_path, [BUILD])
    assert read_coverage(tmp_path) == (BUILD,)
