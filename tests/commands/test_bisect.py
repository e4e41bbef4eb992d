"""What the commands say before anything is built."""

import json
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.commands import bisect
from harness.util.errors import HarnessError, MachineError, SourceError
from tests import one_layer
from tests.local_index import NCNN, make_sdist, use_find_links
from tests.sources.conftest import empty_repository

CONFIG = (
    one_layer.CONFIG
    + """
[bisect]
flags = "sse2"
[matrix]
versions = ["x"]
flags = ["sse2"]
runs = ["default"]
"""
)

ENDS = ("--good=20250503", "--bad=20260526")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(CONFIG)
    for version in ("1.0.20250503", "1.0.20260526"):
        make_sdist(tmp_path / "dist", version, NCNN)
    use_find_links(monkeypatch, tmp_path / "dist")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--good=20250503", "--bad=20250504"], "20250504: not a release"),
        (["--good=20260526", "--bad=20250503"], "the ends are swapped"),
        (["--bad=2020"], "2020: not a release"),
        (["--version=2020"], "2020: not a release"),
        (["--find-fix", "--good=20260526"], "needs both"),
        (["--resume"], "no interrupted bisection"),
        (["--layer=a", "--whole-model"], "exclude each other"),
        (["--input=nope", *ENDS], "--input nope: the configuration has random"),
        (["--layer=NoSuch", *ENDS], "--layer NoSuch: the model has no layer of this name or type"),
        (["--repo=clone", "--good=master", "--bad=HEAD"], "are the same commit"),
        (["--repo=clone", "--good=HEAD", "--bad=20200101"], "the ends are swapped"),
    ],
)
def test_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    repo = empty_repository(Path("clone"))
    repo.commit("first")
    repo.git("tag", "20200101")
    repo.commit("second")
    one_layer.write_model(Path())
    assert main(["bisect", "--config=c.toml", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    # Nothing was begun that could be resumed.
    assert "--resume" not in printed.out
    assert not list(Path().glob("results/*"))


@pytest.mark.parametrize(
    ("error", "resumed"),
    [
        (SourceError("no such commit"), 2),
        # A full disk, a compiler that is not installed: that can be mended.
        (MachineError("no compiler"), 3),
    ],
)
def test_only_what_may_work_the_next_time_is_resumed(
    monkeypatch: pytest.MonkeyPatch, error: HarnessError, resumed: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(bisect, "revision_tester", fail)
    assert main(["bisect", "--config=c.toml", *ENDS]) == 3
    (command,) = Path("results").glob("*/command.json")
    assert json.loads(command.read_text())["good"] == "20250503"
    assert main(["bisect", "--resume"]) == resumed


def test_inside_is_for_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bisect", "--config=c.toml", "--inside", *ENDS, "--scheduler=tcp://x:1"]) == 2
    assert "leave out --scheduler" in capsys.readouterr().err


def test_git_bisect_stops_at_what_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bisect-step", "--config=c.toml", "--threshold=1", "--repo=nowhere"]
    assert main(arguments) == 128 + 3
    assert "no such directory" in capsys.readouterr().err
