"""What the commands say before anything is built."""

import json
from pathlib import Path

import pytest

from harness.__main__ import main
from tests import one_layer
from tests.local_index import NCNN, make_sdist, use_find_links

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
    ],
)
def test_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bisect", "--config=c.toml", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_what_cannot_work_is_not_resumed() -> None:
    assert main(["bisect", "--config=c.toml", "--version=2020"]) == 2
    (command,) = Path("results").glob("*/command.json")
    assert json.loads(command.read_text())["version"] == "2020"
    assert main(["bisect", "--resume"]) == 2


def test_git_bisect_stops_at_what_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bisect-step", "--config=c.toml", "--threshold=1", "--repo=nowhere"]
    assert main(arguments) == 128 + 3
    assert "no such directory" in capsys.readouterr().err
