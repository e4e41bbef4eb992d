"""The whole way on real builds, over a git repository made from releases of the index.

Its history: a release, a change outside the library, a commit that does not compile, the
regression (weights become wrong while they are loaded), and the next release with the regression.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.domain.records import Verdict
from harness.domain.spec import Revision
from harness.report.dataset import read_run
from harness.sources import obtain
from harness.sources.tree import PARTS
from tests import one_layer
from tests.sources.conftest import Repo, empty_repository

RELEASES = ("20250428", "20250503")
LAYER = "src/layer/innerproduct.cpp"
LOADED = "weight_data = mb.load(weight_data_size, 0);"
REGRESSION = f"{LOADED} for (int i = 0; i < weight_data_size; i++) weight_data[i] *= 1.01f;"
CONFIG = one_layer.CONFIG + '[bisect]\nflags = "sse2"\n[matrix]\nversions = ["x"]\n'
CONFIG += 'flags = ["sse2"]\nruns = ["default"]\n'

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    one_layer.write_model(folder)
    (folder / "c.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def repo(project: Path) -> Repo:
    made = empty_repository(project / "ncnn")
    add(made, project, RELEASES[0])
    made.commit("first release")
    made.git("tag", RELEASES[0])
    made.write("README.md", "about")
    made.commit("docs")
    text = (made.path / LAYER).read_text()
    made.write(LAYER, f"{text}\nthis does not compile\n")
    made.commit("oops")
    made.write(LAYER, text.replace(LOADED, REGRESSION))
    made.commit("faster loading")
    add(made, project, RELEASES[1], lambda text: text.replace(LOADED, REGRESSION))
    made.commit("second release")
    made.git("tag", RELEASES[1])
    return made


def add(
    repo: Repo, project: Path, release: str, edit: Callable[[str], str] = lambda text: text
) -> None:
    """Put the source of a release into the work tree."""
    revision = Revision(label=release, kind="index", name=release)
    tree = obtain(revision, store=project / "builds" / "sources", log=project / "log")
    subprocess.run(["rm", "-rf", *(repo.path / part for part in PARTS)], check=True)
    subprocess.run(["cp", "-r", *(tree.path / part for part in PARTS), repo.path], check=True)
    repo.write(LAYER, edit((repo.path / LAYER).read_text()))


def arguments(project: Path, results: str, *more: str) -> list[str]:
    places = {"config": "c.toml", "builds": "builds", "results": results, "repo": "ncnn"}
    return ["bisect", *(f"--{key}={project / name}" for key, name in places.items()), *more]


def answer(project: Path, results: str) -> dict[str, object]:
    (folder,) = (project / results).iterdir()
    content: dict[str, object] = json.loads((folder / "bisection.json").read_text())
    return content


def test_suspects_adjoin_what_does_not_compile(project: Path, repo: Repo) -> None:
    assert main(arguments(project, "commits", "--good=20250428", "--bad=20250503")) == 4
    found = answer(project, "commits")
    assert [str(name).split()[-1] for name in found["suspects"]] == ["oops", "loading"]  # type: ignore[attr-defined]
    assert "does not name a type" in str(found["untested"]) or "error" in str(found["untested"])
    (folder,) = (project / "commits").iterdir()
    assert "cannot be tested" in (folder / "report.md").read_text()


def test_commit_is_found_from_releases_alone(project: Path, repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "clean", "20250428")
    repo.write(LAYER, (repo.path / LAYER).read_text().replace(LOADED, REGRESSION))
    at_fault = repo.commit("faster loading")
    repo.write("README.md", "more")
    repo.commit("docs again")
    repo.git("tag", "--force", "20250503")
    assert main(arguments(project, "releases")) == 0
    found = answer(project, "releases")
    commit = found["commit"]
    assert isinstance(commit, dict)
    assert (commit["sha"], commit["files"]) == (at_fault, [LAYER])
    assert "+" in commit["hunk"]
    assert "1.01f" in commit["hunk"]
    assert commit["releases"] == ["20250503"]
    assert "with every run option switched off and one thread it shows" in str(found["evidence"])
    (folder,) = (project / "releases").iterdir()
    told = (folder / "report.md").read_text()
    assert f"{at_fault[:9]} (" in told
    assert "made it bad" in told
    before, after = read_run(folder).records
    assert (before.verdict, after.verdict) == (Verdict.OK, Verdict.DROP)
    assert after.version == at_fault[:12]
    assert f"--repo {project / 'ncnn'} --version {at_fault[:12]}" in after.command
    again = shlex.split(after.command.partition(" -- ")[2])
    places = [f"--builds={project / 'builds'}", f"--results={project / 'again'}"]
    assert main(["matrix", *again, *places]) == 1


def test_under_git_bisect(project: Path, repo: Repo) -> None:
    first, at_fault = repo.git("rev-parse", "20250428"), repo.git("rev-parse", "clean~1")
    repo.git("checkout", "--quiet", "clean")
    repo.git("bisect", "start", "clean", first)
    step = [sys.executable, "-m", "harness", "bisect-step", "--threshold=1e-3"]
    step += [f"--config={project / 'c.toml'}", f"--builds={project / 'builds'}"]
    output = repo.git("bisect", "run", *step)
    assert f"{at_fault} is the first bad commit" in output
