"""The workflows of docs/ci: their own commands, as GitHub would run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import harness
from harness.commands.command_line import parser
from tests import one_layer

ROOT = Path(harness.__file__).parents[1]
FOLDER = ROOT / "docs" / "ci"
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))}
VALUES = {
    "CONFIG": "c.toml",
    "SHARDS": "8",
    "SHARD": "2/3",
    "NCNN": "https://github.com/Tencent/ncnn.git",
    "RELEASE": "20260526",
}
"""What the environment of a step holds."""
COMMAND = re.compile(r"(?:nox -s|-m harness) [^|)]*[^|) ]")

Step = dict[str, Any]


def steps() -> list[tuple[str, Step]]:
    return [
        (name, step)
        for name, workflow in WORKFLOWS.items()
        for job in workflow["jobs"].values()
        for step in job["steps"]
    ]


def commands() -> list[str]:
    """Return each command of the harness in a workflow."""
    lines = [line for _, step in steps() for line in step.get("run", "").splitlines()]
    return [found for line in lines for found in COMMAND.findall(line)]


def words_of(command: str) -> list[str]:
    """Return the arguments of the harness."""
    for name, value in VALUES.items():
        command = command.replace(f'"${name}"', value)
    words = shlex.split(command)
    return [word for word in words[2:] if word != "--"]


def test_there_are_workflows() -> None:
    assert list(WORKFLOWS) == ["matrix.yml", "weekly-sweep.yml"]
    assert {words_of(command)[0] for command in commands()} == {
        "ci-matrix",
        "matrix",
        "report",
        "store",
        "sweep",
    }


@pytest.mark.parametrize("command", commands())
def test_arguments_are_those_of_the_command(command: str) -> None:
    assert "$" not in " ".join(words_of(command))
    parser().parse_args(words_of(command))


@pytest.mark.parametrize(("name", "step"), steps())
def test_nothing_but_steps_that_can_be_trusted(name: str, step: Step) -> None:
    """Nothing of an event goes into a shell's text, and actions are named by their commits."""
    assert "${{" not in step.get("run", "")
    assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}|", step.get("uses", ""))
    used = set(re.findall(r"\$([A-Z]+)\b", step.get("run", "")))
    given = {*WORKFLOWS[name].get("env", {}), *step.get("env", {}), "GITHUB_OUTPUT"}
    assert used <= given


@pytest.mark.parametrize("name", WORKFLOWS)
def test_rights_are_the_least(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    for job in WORKFLOWS[name]["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
    assert "secrets." not in (FOLDER / name).read_text()


def run(name: str, place: Path, **env: str) -> None:
    """Run the step of the matrix workflow with this name, in a directory, as a runner does."""
    (step,) = [s for _, s in steps() if s.get("name") == name]
    # Nox would prepare an environment; the harness at hand is what it would run.
    python = shlex.quote(sys.executable)
    nox = f'nox() {{ local command=$2; shift 3; {python} -m harness "$command" "$@"; }}\n'
    subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", nox + step["run"]],
        check=True,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CONFIG": "c.toml", **env},
    )


def outputs(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


CONFIG = (
    one_layer.CONFIG
    + """
[matrix]
versions = ["20250503"]
flags = ["sse2", "avx"]
runs = ["default"]
"""
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    one_layer.write_model(tmp_path)
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path


def test_the_matrix_is_one_output(project: Path) -> None:
    run("Divide the matrix", project, SHARDS="8", GITHUB_OUTPUT="output")
    jobs = json.loads(outputs(project / "output")["matrix"])["include"]
    assert [job["shard"] for job in jobs] == ["1/2", "2/2"]


def test_a_wrong_configuration_fails_the_job(project: Path) -> None:
    (project / "c.toml").write_text("[")
    with pytest.raises(subprocess.CalledProcessError):
        run("Divide the matrix", project, SHARDS="8", GITHUB_OUTPUT="output")
    assert not (project / "output").exists()


@pytest.mark.native
def test_from_the_plan_to_the_report(project: Path) -> None:
    run("Divide the matrix", project, SHARDS="8", GITHUB_OUTPUT="output")
    for job in json.loads(outputs(project / "output")["matrix"])["include"]:
        run("Run the shard", project, SHARD=job["shard"])
        (project / "artifacts").mkdir(exist_ok=True)
        (project / "results").rename(project / "artifacts" / f"run-{job['key']}")
    run("Join the shards", project, GITHUB_STEP_SUMMARY="summary.md")
    content = json.loads((project / "artifacts/report.json").read_text())
    assert content["incomplete"] == []
    (part,) = content["parts"]
    assert [cell["cell"] for cell in part["cells"]] == [
        "20250503-sse2/default/random",
        "20250503-avx/default/random",
    ]
    assert "| 20250503 |" in (project / "summary.md").read_text().replace("**", "")
    assert (project / "artifacts/junit.xml").is_file()
