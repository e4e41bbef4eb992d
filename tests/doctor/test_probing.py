"""The probes themselves, on whatever machine the tests run."""

import json
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.config.loading import load_config
from harness.doctor.probing import probe
from harness.util.errors import MachineError

DEFAULT = Path(__file__).parents[2] / "configs" / "default.toml"


def test_a_machine_is_described_and_left_as_it_was(tmp_path: Path) -> None:
    found = probe(
        load_config(DEFAULT),
        path=DEFAULT,
        builds=tmp_path / "builds",
        results=tmp_path,
        offline=True,
    )
    assert [each.option for each in found.places] == ["--builds", "--results", ""]
    builds = found.places[0]
    assert not builds.trouble
    assert builds.locks
    assert builds.filesystem
    assert found.resources.cores >= 1
    assert found.resources.memory > 0
    assert set(found.resources.limits) == set("nusftvc")
    assert found.surroundings.newest > "2026"
    assert not found.unpinned
    assert {"avx2", "arm64"} <= {each.name for each in found.flag_sets}
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_to(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    found = probe(load_config(DEFAULT), path=DEFAULT, builds=file, results=file, offline=True)
    assert found.places[0].trouble == f"{file}: Not a directory"


def test_no_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(name: str) -> None:
        raise MachineError(f"{name}: not found on PATH. Install it: apt-get install g++")

    monkeypatch.setattr("harness.doctor.probing.find_compiler", nothing)
    places = [f"--{name}={tmp_path / name}" for name in ("builds", "results")]
    code = main(["doctor", f"--config={DEFAULT}", "--offline", "--json", *places])
    findings = json.loads(capsys.readouterr().out)["findings"]
    (compiler,) = (each for each in findings if each["what"] == "C++ compiler")
    assert (code, compiler["state"], compiler["stops"]) == (3, "missing", True)
    assert compiler["remedy"] == "apt-get install g++"
    assert list(tmp_path.iterdir()) == []
