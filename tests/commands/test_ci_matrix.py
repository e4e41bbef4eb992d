"""Jobs of GitHub Actions for a matrix, and that `matrix --shard` means the same by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.__main__ import main

CONFIG = """
[inputs.a]
random = 1
shape = [3]
[source]
git = "https://host/ncnn.git"
[sources.20250503]
[targets.board]
compiler = "board-g++"
processor = "aarch64"
arch = "arm"
emulator = "ssh board"
[flags.board]
target = "board"
[matrix]
versions = ["20250503", "master"]
flags = ["avx2", "vulkan", "avx2-clang", "avx2-gcc", "arm64", "board"]
runs = ["default", "fp16-off"]
exclude = [{ version = "2025*", flags = "arm64" }]
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/default.toml").write_text(CONFIG)


def jobs(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["ci-matrix", *words]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    content = json.loads(out)
    assert list(content) == ["include"]
    found: list[dict[str, Any]] = content["include"]
    return found


def test_a_job_for_each_build(capsys: pytest.CaptureFixture[str]) -> None:
    packages = {job["name"]: " ".join(job["packages"]) for job in jobs(capsys)}
    assert packages == {
        "20250503-avx2": "",
        "20250503-vulkan": "mesa-vulkan-drivers",
        "20250503-avx2-clang": "clang libomp-dev",
        "20250503-avx2-gcc": "",
        "20250503-board": "",
        "master-avx2": "",
        # Whether a revision of a repository brings its own headers is not known before.
        "master-vulkan": "mesa-vulkan-drivers libvulkan-dev",
        "master-avx2-clang": "clang libomp-dev",
        "master-avx2-gcc": "",
        "master-arm64": "g++-aarch64-linux-gnu qemu-user",
        "master-board": "",
    }


def test_what_a_job_has_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = jobs(capsys, "--shards=2", "--only=*-vulkan", "--only=*-avx2-clang")
    assert first == {
        "shard": "1/2",
        "name": "20250503-vulkan and 1 other",
        "key": "20250503-vulkan+20250503-avx2-clang",
        "builds": ["20250503-vulkan", "20250503-avx2-clang"],
        "runner": "ubuntu-latest",
        "packages": ["mesa-vulkan-drivers", "clang", "libomp-dev"],
    }
    assert second["builds"] == ["master-vulkan", "master-avx2-clang"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--shards=3"],
        ["--shards=1"],
        ["--shards=4", "--only=master*", "--skip=*/fp16-off/*"],
        ["--version=1", "--version=2", "--flags=avx2,NCNN_INT8=OFF", "--flags=sse2"],
    ],
)
def test_shards_run_what_the_jobs_say(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shared = [word for word in words if "--shards" not in word]
    for job in jobs(capsys, *words):
        assert main(["matrix", *shared, "--list", "--json", f"--shard={job['shard']}"]) == 0
        content = json.loads(capsys.readouterr().out)
        assert list(dict.fromkeys(cell["build"] for cell in content["cells"])) == job["builds"]


def test_never_more_jobs_than_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(jobs(capsys, "--shards=256")) == 11


def test_another_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert {job["runner"] for job in jobs(capsys, "--runner=my-runner")} == {"my-runner"}


@pytest.mark.parametrize("name", ["a", "x" * 200, "ä b", "a,b:c", "$(id)", "\u202e"])
def test_keys_are_names_of_files(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (job,) = jobs(capsys, f"--version={name}", "--flags=avx2")
    assert job["key"].isascii()
    assert not set(job["key"]) & set('/\\:*?"<>| \r\n,')
    assert len(job["key"]) < 100


def test_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    jobs(capsys)
    assert sorted(map(str, Path().iterdir())) == ["configs"]
