import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from harness.__main__ import main
from tests.model.onnx_text import model

CONFIG = """
[inputs.a]
random = 1
shape = [1, 3]
[matrix]
versions = ["20250503"]
flags = ["sse2", "avx2"]
runs = ["default"]
exclude = [{ flags = "sse2" }]
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG)
    return f"--config={path}"


def test_list(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", config, "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "20250503-avx2/default/a",
        "# 20250503-sse2/default/a: excluded by matrix.exclude: flags = 'sse2'",
    ]


def test_list_for_machines(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", config, "--list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [cell["id"] for cell in data["cells"]] == ["20250503-avx2/default/a"]
    assert data["left_out"][0]["reason"].startswith("excluded by")


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """A model whose input has open axes."""
    proto = model({"x": (1, 3)}, "y = Relu(x)", {})
    shape = proto.graph.input[0].type.tensor_type.shape
    for name in ("height", "width"):
        shape.dim.add(dim_param=name)
    onnx.save(proto, tmp_path / "mine.onnx")
    return tmp_path / "mine.onnx"


def test_a_model_from_the_command_line(
    config: str, onnx_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["matrix", config, "--list", f"--onnx={onnx_file}"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[:2] == [
        "20250503-avx2/default/random",
        "20250503-avx2/default/text",
    ]
    assert printed.err == (
        "input x: axes 2 and 3 are symbolic: 224 × 224 assumed; --shape x=1,3,H,W changes it\n"
    )


def test_a_model_alone_in_the_configuration(
    onnx_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alone.toml"
    head = f"[model]\nonnx = '{onnx_file.name}'\n[matrix]"
    path.write_text(head + CONFIG.partition("[matrix]")[2])
    assert main(["matrix", f"--config={path}", "--list", "--shape=1,3,9,20"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "20250503-avx2/default/random"
    assert printed.err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "1,3"], "--shape 1,3: goes with --onnx"),
        (["--onnx", "nowhere.onnx"], "nowhere.onnx: cannot be read"),
        (["--only", "nothing*"], "--only 'nothing*' matches none of 1 cells"),
        (["--json"], "--json goes with --list"),
        (["--config", "no.toml"], "no.toml: cannot be read"),
    ],
)
def test_usage_errors_are_one_message(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["matrix", config, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error[")
    assert message in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dump", "d"], "--dump goes with no --scheduler"),
        (["--inputs", "i"], "--inputs goes with no --scheduler: all reference values"),
    ],
)
def test_what_a_cluster_is_not_asked(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["diagnose", config, "--scheduler=tcp://127.0.0.1:9", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", "--help"]) == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "exit codes:" in text


def test_missing_compiler(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code = subprocess.run(
        [sys.executable, "-m", "harness", "matrix", config, f"--builds={tmp_path / 'b'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert code.returncode == 3
    assert "apt-get install g++" in code.stderr
