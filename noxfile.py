"""Nox sessions: each prepares an environment and calls `python -m harness` or a checker."""

from __future__ import annotations

import hashlib
import subprocess
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Sequence

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


def _install(session: nox.Session, *groups: str, project: bool = True) -> None:
    """Install the project, or not, and some dependency groups, unless that was done already.

    Nox would ask the package index each time, which takes longer than a warm matrix.
    """
    packages = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    stamp, digest = _stamp(Path(session.virtualenv.location), packages)
    if stamp.is_file() and stamp.read_text() == digest:
        return
    session.install(*(("-e", ".") if project else ()), *packages)
    stamp.write_text(digest)


def _stamp(environment: Path, packages: Sequence[str] = ()) -> tuple[Path, str]:
    """Return the file that says what is installed in an environment, and what it should say."""
    content = Path("pyproject.toml").read_bytes() + repr(packages).encode()
    return environment / "installed", hashlib.sha256(content).hexdigest()


def _environment() -> Path:
    """Return the Python of the one environment that all commands of the harness share."""
    place = Path(__file__).parent / ".nox" / "harness"
    python = place / "bin" / "python"
    stamp, digest = _stamp(place)
    if not (stamp.is_file() and stamp.read_text() == digest):
        print(f"preparing {place}, once: it serves all commands of the harness")
        venv.create(place, with_pip=True)
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", "-e", "."])
        stamp.write_text(digest)
    return python


def _harness(session: nox.Session, command: str) -> None:
    """Run one command of the harness and end with its exit code.

    Nox itself would turn every code but 0 into 1.
    """
    code = subprocess.call([_environment(), "-m", "harness", command, *session.posargs])
    if code:
        raise SystemExit(code)


@nox.session(venv_backend="none")
def matrix(session: nox.Session) -> None:
    """Build every version and flag set, run the model, find the cause of a drop."""
    _harness(session, "matrix")


@nox.session(venv_backend="none")
def report(session: nox.Session) -> None:
    """Turn results into one HTML page, Markdown, CSV, JSON and JUnit XML."""
    _harness(session, "report")


@nox.session(venv_backend="none")
def bisect(session: nox.Session) -> None:
    """Find the commit, the build flag or the run option that made results worse."""
    _harness(session, "bisect")


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Time each way to a result beside a plain build of ncnn."""
    _harness(session, "bench")


@nox.session(venv_backend="none")
def diagnose(session: nox.Session) -> None:
    """Say which layers of one cell are at fault, by which mechanism, and what fixes it."""
    _harness(session, "diagnose")


@nox.session(venv_backend="none")
def sweep(session: nox.Session) -> None:
    """Try every layer type of ncnn in several versions, without a model."""
    _harness(session, "sweep")


@nox.session(venv_backend="none")
def audit(session: nox.Session) -> None:
    """Say which known faults of ncnn a model meets, without running anything."""
    _harness(session, "audit")


@nox.session(venv_backend="none")
def corpus(session: nox.Session) -> None:
    """Run the known faults of ncnn where they should show, and where they should not."""
    _harness(session, "corpus")


@nox.session(venv_backend="none")
def reproducer(session: nox.Session) -> None:
    """Write a finding as a test for ncnn's tree and as a program, and try both."""
    _harness(session, "reproducer")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, real builds of ncnn included (`-- -m 'not native'` leaves those out)."""
    _install(session, "test")
    # They have a session of their own, which runs them on all cores.
    session.run("pytest", "--ignore=tests/hostile", *session.posargs)


@nox.session
def hostile(session: nox.Session) -> None:
    """Run the table of hostile inputs alone (`-- --report DIR` keeps what happened)."""
    _install(session, "test")
    words = list(session.posargs)
    env: dict[str, str | None] = {}
    if "--report" in words:
        at = words.index("--report")
        folder = Path(words[at + 1]).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hostile.jsonl").unlink(missing_ok=True)
        env["HOSTILE_REPORT"] = str(folder)
        del words[at : at + 2]
    session.run("pytest", "-n", "auto", "tests/hostile", *words, env=env)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the parsers (`-- --seconds N --parser NAME`), guided by what code an input reaches."""
    _install(session, "test", "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the order of the packages."""
    _install(session, "lint", project=False)
    session.run("lint-imports", env={"PYTHONPATH": "."})
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly."""
    _install(session, "types")
    session.run("mypy")
