from pathlib import Path

import pytest

from harness.config.cells import Matrix, expand, select
from harness.config.loading import load_config
from harness.config.tables import Config, with_repository
from harness.domain.spec import Revision, RunSpec
from harness.util.errors import SelectorError

TEXT = """
[inputs.a]
random = 1
shape = [1]
[inputs.b]
random = 2
shape = [1]
[source]
git = "clone"
[sources.today]
git = "https://host/ncnn.git"
revision = "origin/master"
[sources.mine]
directory = "src"
[sources.release]
[flags.mine]
base = "avx2"
options = { NCNN_F16C = false, NCNN_INT8 = "OFF" }
[matrix]
versions = ["20220420", "today", "mine", "release"]
flags = ["avx2", "mine"]
runs = ["default", "fp16-off"]
exclude = [{ version = "2022*", flags = "mine" }, { run = "fp16*", input = "b" }]
include = [{ version = "20221128", flags = "sse2", run = "bf16" }]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    return load_config(path)


@pytest.fixture
def matrix(config: Config, tmp_path: Path) -> Matrix:
    return expand(config, base=tmp_path)


def ids(matrix: Matrix) -> set[str]:
    return {cell.id for cell in matrix.cells}


def test_product_with_rules(matrix: Matrix) -> None:
    assert len(matrix.cells) + len(matrix.left_out) == 4 * 2 * 2 * 2 + 2
    assert "20220420-avx2/default/a" in ids(matrix)
    assert "20221128-sse2/bf16/b" in ids(matrix)
    assert "20220420-mine/default/a" not in ids(matrix)
    reasons = {item.cell.id: item.reason for item in matrix.left_out}
    assert reasons["20220420-mine/default/a"] == (
        "excluded by matrix.exclude: version = '2022*', flags = 'mine'"
    )
    assert "today-avx2/fp16-off/b" in reasons


def test_sources_of_versions(matrix: Matrix, tmp_path: Path) -> None:
    revisions = {build.revision.label: build.revision for build in matrix.builds}
    assert (revisions["20220420"].kind, revisions["20220420"].where) == ("git", f"{tmp_path}/clone")
    assert (revisions["today"].name, revisions["today"].where) == (
        "origin/master",
        "https://host/ncnn.git",
    )
    assert (revisions["mine"].kind, revisions["mine"].name) == ("directory", f"{tmp_path}/src")
    assert revisions["release"].kind == "index"


def test_flag_set_inherits_and_overrides(matrix: Matrix) -> None:
    flags = {build.flags.name: dict(build.flags.options) for build in matrix.builds}
    assert flags["mine"] == flags["avx2"] | {"NCNN_F16C": "OFF", "NCNN_INT8": "OFF"}
    assert flags["avx2"]["NCNN_AVX2"] == "ON"
    assert flags["avx2"]["NCNN_RUNTIME_CPU"] == "OFF"


@pytest.mark.parametrize(
    ("only", "skip", "kept"),
    [
        (["20221128-*"], [], 2),
        (["*/fp16-off/*"], ["*-mine"], 4),
        (["today-avx2/default"], [], 2),
        ([], ["*"], 0),
    ],
)
def test_selection(matrix: Matrix, only: list[str], skip: list[str], kept: int) -> None:
    chosen = select(matrix, only=only, skip=skip)
    assert len(chosen.cells) == kept
    assert len(chosen.cells) + len(chosen.left_out) == len(matrix.cells) + len(matrix.left_out)


def test_unmatched_selector_names_the_nearest(matrix: Matrix) -> None:
    with pytest.raises(SelectorError, match="nearest id is '20220420-avx2'"):
        select(matrix, only=["20220420-avx"], skip=[])


def test_generated_run_options_differ_per_version(config: Config, tmp_path: Path) -> None:
    def generate(revision: Revision) -> tuple[RunSpec, ...]:
        return (RunSpec(name=f"has-{revision.label}"),)

    axes = config.matrix.model_copy(update={"runs": ("default", "one-at-a-time")})
    matrix = expand(config.model_copy(update={"matrix": axes}), base=tmp_path, generate=generate)
    names = [cell.run.name for cell in matrix.cells if cell.build.id == "today-avx2"]
    assert names == ["default", "default", "has-today", "has-today"]


def test_another_repository_for_all_that_are_named(config: Config, tmp_path: Path) -> None:
    matrix = expand(with_repository(config, "/clone"), base=tmp_path)
    revisions = {build.revision.label: build.revision for build in matrix.builds}
    assert {r.where for r in revisions.values() if r.kind == "git"} == {"/clone"}
    assert revisions["mine"].kind == "directory"
    assert revisions["today"].name == "origin/master"
