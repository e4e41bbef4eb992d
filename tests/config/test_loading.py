from pathlib import Path

import pytest

from harness.config.cells import expand
from harness.config.loading import config_text, load_config
from harness.config.tables import InputTable, ModelTable, with_model
from harness.util.errors import ConfigError

VALID = """
[inputs.a]
random = 1
shape = [1, 3, 8, 8]
[matrix]
versions = ["20250503"]
flags = ["avx2"]
runs = ["default"]
"""


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    load_config(path)


def test_default_configuration_is_valid() -> None:
    config = load_config(Path("configs/default.toml"))
    assert "avx2" in config.flags
    assert config.matrix.runs[0] == "default"


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.toml")), ids=lambda p: p.stem)
def test_every_configuration_expands(path: Path) -> None:
    matrix = expand(load_config(path), base=path.parent)
    assert matrix.cells
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[matrx]\n", "matrx: unknown key, did you mean 'matrix'"),
        ("[runs.x]\nthread = 2\n", "runs.x.thread: unknown key, did you mean 'threads'"),
        ("[runs.x]\nthreads = 0\n", "runs.x.threads: input should be greater than or equal to 1"),
        ("[flags.x]\nneeds = 3\n", "flags.x.needs: input should be a valid tuple, not 3"),
        ("[model]\nparam = 'a'\nbin = 'b'\n", "model: param and bin are compared with the ONNX"),
        ("[model]\nonnx = 'a'\nbin = 'b'\n", "model: give both of param and bin, or neither"),
        ("[model]\nconverter = 'pnnx'\n", "model: converter goes with onnx alone"),
        ("[model]\nonnx = 'a'\nconverter = 'files'\n", "model: converter goes with onnx alone"),
        ("[model]\nconverter = 'onnx2ncnn'\n", "model.converter: give pnnx with or without a vers"),
        ("[inputs.b]\nrandom = 1\nshape = [1]\nshapes = {x = [1]}\n", "inputs.b: shapes goes with"),
        ("[inputs.b]\ntext = 'a'\n", "inputs.b: shape is missing"),
        ("[inputs.b]\nshape = [1]\n", "inputs.b: give exactly one of text, image, npy and random"),
        ("[runs.one-at-a-time]\n", "runs.one-at-a-time: this name stands for generated"),
        ("[runs.x]\nwhen = 'late'\n", "runs.x.when: input should be 'first', 'after-param',"),
        ("[targets.x]\ncompiler = 'c'\narch = 'arm'\n", "targets.x.processor: missing"),
        ("[source]\ngit = 'a'\ndirectory = 'b'\n", "source: give git or directory, not both"),
        ("[", "not valid TOML"),
    ],
)
def test_mistake_is_one_clear_line(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, VALID + change)
    assert f"c.toml: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"avx2"', '"avx3"', "matrix.flags: 'avx3' is not defined, did you mean 'avx"),
        (
            '"default"',
            '"fp16-of"',
            "matrix.runs: 'fp16-of' is not defined, did you mean 'fp16-off'",
        ),
        ('"20250503"', '"origin/master"', "matrix.versions: 'origin/master' has a '/'"),
        ('["20250503"]', "[]", "matrix.versions: tuple should have at least 1 item"),
        ("[inputs.a]", "[input.a]", "inputs: missing"),
    ],
)
def test_wrong_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"c\.toml: ") as caught:
        load(tmp_path, VALID.replace(old, new))
    assert message in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read"):
        load_config(tmp_path / "nothing.toml")


def test_the_text_of_a_configuration_in_use(tmp_path: Path) -> None:
    path = Path("configs/issue-4666.toml")
    own = load_config(path)
    assert config_text(path, own) == path.read_text(encoding="utf-8")
    inputs = {"a": InputTable(random=1, shapes={"input:0": (1, 2), "ids": ()})}
    changed = with_model(own, ModelTable(name='my "m"', onnx="/m.onnx"), inputs)
    (tmp_path / "c.toml").write_text(config_text(path, changed))
    again = load_config(tmp_path / "c.toml")
    assert (again.model, again.inputs, again.title) == (changed.model, inputs, 'my "m"')
    assert (again.matrix, again.flags, again.sources) == (own.matrix, own.flags, own.sources)
