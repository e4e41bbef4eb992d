"""What must not lie in what may be deleted."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.commands.places import check_apart
from harness.util.build_store import Store
from harness.util.errors import UsageError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store, another one, a run, and links to them."""
    monkeypatch.chdir(tmp_path)
    for name in ("builds", "other"):
        Store(root=Path(name)).prepare()
    Path("results/run").mkdir(parents=True)
    Path("results/run/run.json").write_text("{}")
    Path("to-builds").symlink_to("builds")
    Path("to-run").symlink_to("results/run")


def options(command: str, **paths: str) -> argparse.Namespace:
    return argparse.Namespace(command=command, **{name: Path(p) for name, p in paths.items()})


@pytest.mark.parametrize(
    ("command", "paths", "said"),
    [
        ("matrix", {"results": "builds"}, "--results builds: lies in the build store"),
        ("matrix", {"results": "builds/modules"}, "--results builds/modules: lies in the build"),
        ("matrix", {"results": "to-builds/new/er"}, "--results to-builds/new/er: lies in the"),
        ("matrix", {"results": "other/x"}, "/other, all of which may be deleted"),
        ("matrix", {"builds": "new", "results": "new"}, "--results new: lies in the build store"),
        ("matrix", {"builds": "new", "results": "new/x/.."}, "--results new/x/..: lies in"),
        ("matrix", {"builds": "results/run"}, "--builds results/run: lies in the run directory"),
        ("matrix", {"builds": "to-run/x"}, "--builds to-run/x: lies in the run directory"),
        ("diagnose", {"dump": "builds/x"}, "--dump builds/x: lies in the build store"),
        ("report", {"out": "builds/a.html"}, "--out builds/a.html: lies in the build store"),
        ("reproducer", {"builds": "results"}, "--out results/reproducers: lies in the build"),
    ],
)
def test_one_within_the_other(command: str, paths: dict[str, str], said: str) -> None:
    given = {"builds": "builds", "results": "results", **paths}
    if command in ("report", "reproducer"):
        given.pop("results" if command == "reproducer" else "builds")
    with pytest.raises(UsageError) as caught:
        check_apart(options(command, **given))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("matrix", {"builds": "builds", "results": "results"}),
        ("matrix", {"builds": "to-builds", "results": "results/deeper"}),
        ("matrix", {"builds": "results/x", "results": "results"}),
        ("matrix", {"builds": "builds", "results": "builds-of-mine"}),
        ("matrix", {"builds": "builds", "results": "."}),
        ("store", {"builds": "builds"}),
        ("report", {"results": "builds/x"}),
    ],
)
def test_beside_each_other(command: str, paths: dict[str, str]) -> None:
    check_apart(options(command, **paths))


def test_nothing_is_begun(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", "--list", "--results=builds/x"]) == 2
    assert capsys.readouterr().err.startswith("error[U01]: --results builds/x: lies in the build")
    assert not Path("builds/x").exists()
