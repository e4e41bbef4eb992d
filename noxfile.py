"""Nox sessions: each prepares an environment and calls `python -m harness` or a checker."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


REQUIREMENTS = {
    "harness": ("build",),
    "tests": ("build", "test"),
    "fuzz": ("build", "test", "fuzz"),
    "types": ("build", "types"),
    "lint": ("lint",),
    "audit": ("audit",),
    "lock": ("lock",),
    "ci": ("ci",),
}
"""The files in `requirements/`, and the dependency groups of pyproject.toml that each locks; those
with `build` have the project's own dependencies too."""
UNLOCKED = "NCNN_MATRIX_UNLOCKED"
"""An environment variable for those whose package index lacks a version that is locked."""
COMPILE = (
    *("uv", "pip", "compile", "--quiet", "--universal", "--python-version=3.11"),
    *("--generate-hashes", "--no-annotate", "--custom-compile-command=nox -s lock-dependencies"),
)
"""Works out versions for every Python from 3.11 on and every platform, with all hashes."""
UNREACHABLE = 2
"""The exit code of uv where the package index is at fault, not the requirements."""


def _requirements(name: str) -> Path:
    return Path("requirements") / f"{name}.txt"


def _pip_arguments(name: str) -> list[list[str]]:
    """Return what pip is to install for an environment, in calls one after the other.

    Versions and hashes are those of `requirements/`, also of what builds the project.
    """
    project = "build" in REQUIREMENTS[name]
    if os.environ.get(UNLOCKED):
        groups = nox.project.dependency_groups(PROJECT, *REQUIREMENTS[name])
        return [[*(("-e", ".") if project else ()), *groups]]
    own = [["--no-deps", "--no-build-isolation", "-e", "."]] if project else []
    return [["--require-hashes", "-r", str(_requirements(name))], *own]


def _install(session: nox.Session, name: str) -> None:
    """Install what `requirements/` has under a name, unless that was done already.

    Nox would ask the package index each time, which takes longer than a warm matrix.
    """
    stamp, digest = _stamp(Path(session.virtualenv.location), name)
    if stamp.is_file() and stamp.read_text() == digest:
        return
    for arguments in _pip_arguments(name):
        session.install(*arguments)
    stamp.write_text(digest)


def _stamp(environment: Path, name: str) -> tuple[Path, str]:
    """Return the file that says what is installed in an environment, and what it should say."""
    content = Path("pyproject.toml").read_bytes() + _requirements(name).read_bytes()
    content += os.environ.get(UNLOCKED, "").encode()
    return environment / "installed", hashlib.sha256(content).hexdigest()


def _environment() -> Path:
    """Return the Python of the one environment that all commands of the harness share."""
    place = Path(__file__).parent / ".nox" / "harness"
    python = place / "bin" / "python"
    stamp, digest = _stamp(place, "harness")
    if not (stamp.is_file() and stamp.read_text() == digest):
        # Standard output is the command's: what it prints may be read by a program.
        words = f"preparing {place}, once: it serves all commands of the harness"
        print(words, file=sys.stderr)
        venv.create(place, with_pip=True)
        for arguments in _pip_arguments("harness"):
            if subprocess.call([python, "-m", "pip", "install", "--quiet", *arguments]):
                raise SystemExit(
                    "pip could not install what requirements/harness.txt locks; it says why above. "
                    f"Where your package index lacks a version, set {UNLOCKED}=1 to take any that "
                    "pyproject.toml allows, without verifying hashes."
                )
        stamp.write_text(digest)
    return python


def _harness(session: nox.Session, command: str) -> None:
    """Run one command of the harness and end with its exit code.

    Nox itself would turn every code but 0 into 1.
    """
    _module(session, "harness", command)


def _module(session: nox.Session, name: str, *words: str) -> None:
    """Run a Python module with the words behind `--` and end with its exit code."""
    code = subprocess.call([_environment(), "-m", name, *words, *session.posargs])
    if code:
        raise SystemExit(code)


@nox.session(venv_backend="none")
def matrix(session: nox.Session) -> None:
    """Build every version and flag set, run the model, find the cause of a drop."""
    _harness(session, "matrix")


@nox.session(name="ci-matrix", venv_backend="none")
def ci_matrix(session: nox.Session) -> None:
    """Print a matrix of GitHub Actions: jobs that each run a shard of the builds."""
    _harness(session, "ci-matrix")


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


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Pin what the harness downloads by its content, or check that all of it is (`-- --check`)."""
    _harness(session, "lock")


@nox.session(venv_backend="none")
def doctor(session: nox.Session) -> None:
    """Say what is missing or odd on this machine, what it costs, and what mends it."""
    _harness(session, "doctor")


@nox.session(venv_backend="none")
def faults(session: nox.Session) -> None:
    """Disturb real runs in many ways (`-- --short` for some minutes, `-- --only ID` for one)."""
    _module(session, "faults")


@nox.session(venv_backend="none")
def soak(session: nox.Session) -> None:
    """Kill and restart the default matrix at random for `-- --hours N`."""
    _module(session, "faults.soak")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, real builds of ncnn included (`-- -m 'not native'` leaves those out)."""
    _install(session, "tests")
    # They have a session of their own, which runs them on all cores.
    session.run("pytest", "--ignore=tests/hostile", *session.posargs)


@nox.session
def hostile(session: nox.Session) -> None:
    """Run the table of hostile inputs (`-- --report DIR` keeps what happened)."""
    _install(session, "tests")
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
    _install(session, "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, the order of the packages, and the workflows of docs/ci."""
    _install(session, "lint")
    session.run("lint-imports", env={"PYTHONPATH": "."})
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    workflows = sorted(map(str, Path("docs", "ci").glob("*.yml")))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", *workflows)


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly."""
    _install(session, "types")
    session.run("mypy")


def _compile(session: nox.Session, name: str, *arguments: str | Path) -> int:
    """Work out one file of `requirements/` and return the exit code of uv."""
    sources = [f"--group={group}" for group in REQUIREMENTS[name]]
    sources += ["pyproject.toml"] if "build" in REQUIREMENTS[name] else []
    program, *words = COMPILE
    return subprocess.call([Path(session.bin) / program, *words, *sources, *arguments])


@nox.session(name="lock-dependencies")
def lock_dependencies(session: nox.Session) -> None:
    """Write `requirements/`: versions and hashes of all that is installed (`-- --upgrade`: new)."""
    _install(session, "lock")
    for name in REQUIREMENTS:
        if _compile(session, name, f"--output-file={_requirements(name)}", *session.posargs):
            session.error(f"{_requirements(name)}: not written; uv says why above")


@nox.session(name="check-dependencies")
def check_dependencies(session: nox.Session) -> None:
    """Check that `requirements/` is what pyproject.toml asks for, if the index can be asked."""
    _install(session, "lock")
    for name in REQUIREMENTS:
        copy = Path(session.create_tmp()) / f"{name}.txt"
        shutil.copyfile(_requirements(name), copy)
        code = _compile(session, name, f"--output-file={copy}")
        if code == UNREACHABLE:
            session.warn("not checked: the package index cannot be reached")
            return
        if code or copy.read_bytes() != _requirements(name).read_bytes():
            session.error(f"{_requirements(name)} is stale: run `nox -s lock-dependencies`")


@nox.session(name="audit-dependencies")
def audit_dependencies(session: nox.Session) -> None:
    """Look up known vulnerabilities of all that is installed, if a service can be reached."""
    _install(session, "audit")
    files = [f"--requirement={_requirements(name)}" for name in REQUIREMENTS]
    for service in ("pypi", "osv"):
        words = ("--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off")
        program = str(Path(session.bin) / "pip-audit")
        command = [program, *words, "--timeout=10", f"--vulnerability-service={service}", *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            found = json.loads(done.stdout)["dependencies"]
        except ValueError:
            continue
        known = [entry for entry in found if "vulns" in entry]
        bad = {f"{each['name']} {each['version']}": each["vulns"] for each in known}
        for package, vulnerabilities in bad.items():
            for each in vulnerabilities:
                fixed = ", ".join(each["fix_versions"]) or "no version"
                session.warn(f"{package}: {each['id']}, mended in {fixed}")
        if any(bad.values()):
            session.error("known vulnerabilities: `nox -s lock-dependencies -- --upgrade`")
        if known:
            session.log(f"{len(known)} of {len(found)} packages: no known vulnerability")
            return
    session.warn("not checked: no service that knows vulnerabilities can be reached")
