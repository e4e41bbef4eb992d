from pathlib import Path

import pytest

from harness.config.axes import run_text, with_axes
from harness.config.cells import expand
from harness.config.loading import load_config
from harness.config.tables import Config, with_repository
from harness.util.errors import UsageError

CONFIG = """
[inputs.x]
random = 1
shape = [1, 3]

[matrix]
versions = ["1", "2"]
flags = ["avx2"]
runs = ["default"]
exclude = [{ version = "2" }]
include = [{ version = "3", flags = "sse2" }]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "c.toml").write_text(CONFIG)
    return load_config(tmp_path / "c.toml")


def ids(config: Config) -> list[str]:
    return [cell.id for cell in expand(config, base=Path()).cells]


def test_without_axes_nothing_changes(config: Config) -> None:
    assert with_axes(config, versions=[], flags=[], runs=[]) is config


def test_axes_replace_those_of_the_file_with_their_rules(config: Config) -> None:
    other = with_axes(config, versions=["2", "9"], flags=[], runs=["bf16", "lightmode=off"])
    assert ids(other) == [
        f"{version}-avx2/{run}/x" for version in ("2", "9") for run in ("bf16", "lightmode=off")
    ]
    (run,) = {cell.run for cell in expand(other, base=Path()).cells if cell.run.name != "bf16"}
    assert dict(run.options) == {"lightmode": False}


def test_changed_flags_get_a_name_of_their_own(config: Config) -> None:
    other = with_axes(config, versions=[], flags=["avx2,NCNN_F16C=OFF", "avx2"], runs=[])
    first, second = dict.fromkeys(build.flags for build in expand(other, base=Path()).builds)
    assert second.name == "avx2"
    assert first.name.startswith("avx2-")
    assert dict(first.options) == dict(second.options) | {"NCNN_F16C": "OFF"}


@pytest.mark.parametrize(
    ("versions", "flags", "runs", "words"),
    [
        (["origin/main"], [], [], "Give the commit instead"),
        ([], ["avx3"], [], "--flags avx3: give one of"),
        ([], [], ["lightmode=maybe"], "true, false or an integer"),
    ],
)
def test_axes_that_are_none(
    config: Config, versions: list[str], flags: list[str], runs: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        with_axes(config, versions=versions, flags=flags, runs=runs)


def test_a_repository_serves_a_configuration_without_one(config: Config) -> None:
    cell = expand(with_repository(config, "/ncnn"), base=Path()).cells[0]
    assert (cell.build.revision.kind, cell.build.revision.where) == ("git", "/ncnn")


@pytest.mark.parametrize(
    ("base", "changes", "text"),
    [
        ("default", {}, "default"),
        ("default", {"b": "1", "a": "0"}, "a=0,b=1"),
        ("fp16-off", {"a": "0"}, "fp16-off,a=0"),
        ("fp16-off,a=1,b=2", {"a": "0"}, "fp16-off,b=2,a=0"),
        ("a=1", {"a": "0"}, "a=0"),
    ],
)
def test_a_change_takes_the_place_of_an_earlier_one(
    base: str, changes: dict[str, str], text: str
) -> None:
    assert run_text(base, changes) == text
