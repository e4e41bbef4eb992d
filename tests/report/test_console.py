"""What is said while long work goes on."""

import io
import time

import pytest
from rich.console import Console

from harness.execution.progress import BuildFinished
from harness.report.console import MatrixProgress, Ticker, saying


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose only element is the time."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def pipe() -> Console:
    return Console(file=io.StringIO(), width=100)


def printed(pipe: Console) -> list[str]:
    assert isinstance(pipe.file, io.StringIO)
    return pipe.file.getvalue().splitlines()


def test_something_new_at_once_and_more_of_it_now_and_then(
    clock: list[float], pipe: Console
) -> None:
    ticker = Ticker(pipe, every=30)
    for seconds, text in ((0, "a: 1"), (29, "a: 2"), (2, "a: 3"), (1, "b")):
        clock[0] += seconds
        ticker(text)
    assert printed(pipe) == ["… a: 1", "… a: 3", "… b"]


def test_short_builds_are_not_worth_a_line(clock: list[float], pipe: Console) -> None:
    ticker = Ticker(pipe, every=30, at_once=False)
    for build, seconds in (("one", 0), ("one", 20), ("two", 20), ("two", 31)):
        clock[0] += seconds
        ticker.build_advanced(build, 5, 9)
    assert printed(pipe) == ["… building two: 5 of 9 steps"]


def test_long_builds_of_a_matrix_are_told_in_a_pipe(clock: list[float], pipe: Console) -> None:
    progress = MatrixProgress(pipe, builds=1, cells=1)
    for seconds in (0, 31):
        clock[0] += seconds
        progress.build_advanced("glslang", 7, 80)
    assert printed(pipe) == ["… building glslang: 7 of 80 steps"]


@pytest.mark.parametrize(
    ("cached", "line"),
    [
        (True, "cached    a, with all layers: why"),
        (False, "built     a in 3 s, with all layers: why"),
    ],
)
def test_builds_with_all_layers_say_so(pipe: Console, cached: bool, line: str) -> None:
    progress = MatrixProgress(pipe, builds=1, cells=1)
    progress(BuildFinished(build="a", seconds=3, cached=cached, untrimmed="why"))
    assert printed(pipe) == [line]


def test_what_is_done_is_told_in_lines_where_nothing_can_be_replaced(pipe: Console) -> None:
    with saying(pipe, "fetching the model") as say:
        say("building b")
    assert printed(pipe) == ["… fetching the model", "… building b"]
