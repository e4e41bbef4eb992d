"""What a sweep is asked for: its cases by the command line, and errors that name the remedy."""

import argparse
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.analysis.sweep.finding import SweepFinding
from harness.analysis.sweep.suspects import FaultKind, FaultState
from harness.cases.layer_case import parse_case
from harness.commands.sweep import add_arguments
from harness.commands.sweep_bisection import transitions


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["sweep", "--list", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_same_cases_each_time_and_more_are_those_and_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = listed(capsys, "--layers=Softmax", "--cases=12")
    assert listed(capsys, "--layers=Softmax", "--cases=12") == few
    assert listed(capsys, "--layers=Softmax", "--cases=25")[:12] == few
    both = listed(capsys, "--layers=ReLU,Soft*", "--cases=12")
    assert [text for text in both if text.startswith("Softmax:")] == few
    assert listed(capsys, "--layers=Softmax", "--cases=12", "--seed=1") != few


def test_ids_that_are_listed_can_be_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    for text in listed(capsys, "--cases=2"):
        assert listed(capsys, "--case", text) == [parse_case(text).id] == [text]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layers=Softmx"], "no such layer type"),
        (["--case=softmax:0=1:3x7"], "is no layer type"),
        (["--versions", "a/b", "--layers=ReLU"], "separates the parts"),
        (["--layers=ReLU", "--flags=strange"], "strange"),
        (["--layers=ReLU", "--coverage", "--scheduler=tcp://x:1"], "leave out one of them"),
    ],
)
def test_errors(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600)])
def test_budgets(text: str, seconds: float) -> None:
    assert arguments("--budget", text).budget == seconds


def test_a_budget_without_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--budget", "soon"]) == 2
    assert "90s, 10m or 1h" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "kind"), [([], None), (["--bisect"], "changes"), (["--bisect", "all"], "all")]
)
def test_what_is_bisected(words: list[str], kind: str | None) -> None:
    assert arguments(*words).bisect == kind


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("states", "pairs"),
    [
        ("+-", [(0, 1)]),
        ("-+", [(0, 1)]),
        ("+-+", [(0, 1), (1, 2)]),
        ("+?-", [(0, 2)]),
        ("--", []),
        ("?-", []),
    ],
)
def test_changes_are_between_neighbours_whose_states_are_known(
    states: str, pairs: list[tuple[int, int]]
) -> None:
    kinds = {"+": FaultState.GOOD, "-": FaultState.BAD, "?": FaultState.UNKNOWN}
    finding = SweepFinding(
        id="x",
        layer="ReLU",
        kind=FaultKind.VALUES,
        case="ReLU::3",
        found_as="ReLU::3",
        run="default",
        flags="f",
        builds=tuple(map(str, range(len(states)))),
        states=tuple(kinds[s] for s in states),
        verdicts=(None,) * len(states),
        cases=1,
    )
    assert list(transitions(finding)) == pairs


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    text = Path(__file__).parents[2].joinpath("configs/default.toml").read_text(encoding="utf-8")
    (tmp_path / "configs" / "default.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
