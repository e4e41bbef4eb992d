import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.__main__ import main

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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
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
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert "Traceback" not in printed.err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["matrix", "--help"])
    assert caught.value.code == 0
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
