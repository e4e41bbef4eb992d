from pathlib import Path

import pytest

from harness.config.cells import Matrix, expand, select
from harness.config.loading import load_config
from harness.config.tables import Config, ModelTable, Rule, with_repository
from harness.domain.spec import Revision, RunSpec
from harness.util.errors import ConfigError, SelectorError

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


CONVERTERS = ("pnnx 20250530", "pnnx 20240819")


def by_converters(config: Config, base: Path, *names: str, **model: str) -> Matrix:
    axes = config.matrix.model_copy(update={"converters": names})
    table = ModelTable(name="m", **model)
    return expand(config.model_copy(update={"matrix": axes, "model": table}), base=base)


@pytest.mark.parametrize(
    ("names", "model", "converters", "labels"),
    [
        ((), {}, [""], [""]),
        ((), {"onnx": "m.onnx"}, ["pnnx 20250530"], [""]),
        ((), {"onnx": "m.onnx", "converter": "pnnx 20240101"}, ["pnnx 20240101"], [""]),
        (CONVERTERS[1:], {"onnx": "m.onnx"}, ["pnnx 20240819"], [""]),
        (CONVERTERS, {"onnx": "m.onnx"}, [*CONVERTERS], ["pnnx-20250530", "pnnx-20240819"]),
        (("files", "pnnx 20250530"), {}, ["", "pnnx 20250530"], ["files", "pnnx-20250530"]),
    ],
)
def test_models_by_converters(
    names: tuple[str, ...],
    model: dict[str, str],
    converters: list[str],
    labels: list[str],
    config: Config,
    tmp_path: Path,
) -> None:
    cells = by_converters(config, tmp_path, *names, **model).cells
    models = list(dict.fromkeys(cell.model for cell in cells))
    assert [each.converter for each in models] == converters
    assert [each.label for each in models] == labels
    assert all(each.shapes == ((("", (1,)),),) for each in models if each.converter)
    assert {each.onnx for each in models} == ({f"{tmp_path}/m.onnx"} if "onnx" in model else {""})


def test_files_stand_for_files_that_are_there(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'files' stands for param and bin"):
        by_converters(config, tmp_path, "files", "pnnx 20250530", onnx="m.onnx")
    files = {"onnx": "m.onnx", "param": "m.param", "bin": "m.bin"}
    both = by_converters(config, tmp_path, "files", "pnnx 20250530", **files).cells
    params = {cell.model.converter: cell.model.param for cell in both}
    assert params == {"": f"{tmp_path}/m.param", "pnnx 20250530": ""}


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("today-avx2/default@pnnx-20250530/a", 1),
        ("today-avx2/default@pnnx-20250530", 2),
        ("today-avx2/default/a", 2),
        ("today-avx2/default", 4),
        ("*@pnnx-20240819/*", 23),
        ("*/bf16/*", 4),
    ],
)
def test_selection_among_converters(
    pattern: str, kept: int, config: Config, tmp_path: Path
) -> None:
    matrix = by_converters(config, tmp_path, *CONVERTERS, onnx="m.onnx")
    assert "today-avx2/default@pnnx-20250530/a" in ids(matrix)
    assert len(select(matrix, only=[pattern], skip=[]).cells) == kept


def test_rules_about_converters(config: Config, tmp_path: Path) -> None:
    rule = Rule(converter="pnnx 2024*")
    axes = config.matrix.model_copy(update={"exclude": (rule,)})
    matrix = by_converters(
        config.model_copy(update={"matrix": axes}), tmp_path, *CONVERTERS, onnx="m.onnx"
    )
    assert {cell.model.converter for cell in matrix.cells} == {"pnnx 20250530"}
