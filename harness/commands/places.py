"""Where a command may write: its directories, and what its options name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.lock_file import builtin_path, lock_path
from harness.execution.run_directory import CELLS, STATE
from harness.util.build_store import is_store
from harness.util.errors import UsageError
from harness.util.files import existing_parent
from harness.util.paths import real
from harness.util.places import Places

if TYPE_CHECKING:
    import argparse

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
"""Environment variable that names the summary of a GitHub job."""
REPORT = "report.html"
REPRODUCERS = Path("results", "reproducers")
"""Where reproducers go if nothing else is said."""


def places_of(options: argparse.Namespace) -> Places:
    """Return where a command with these options may write, besides temporary files."""
    runs: list[Path] = getattr(options, "runs", None) or []
    out: Path | None = getattr(options, "out", None)
    given = (getattr(options, name, None) for name in ("builds", "results", "dump"))
    trees = [path for path in given if path]
    files = [path for path in (getattr(options, "junit", None),) if path]
    command = getattr(options, "command", "")
    if command == "report":
        # Several runs have their report beside them.
        trees += runs
        files += [path.resolve().parent / REPORT for path in runs[:1]]
        files += [out / REPORT if out.is_dir() else out] if out else []
    elif command == "doctor":
        # What is not there yet is tried where it would be made.
        trees += [existing_parent(path) for path in trees]
    elif command == "lock":
        files.append(builtin_path() if options.builtin else lock_path(options.config))
    elif command == "reproducer":
        trees += [out or REPRODUCERS]
    if getattr(options, "github_summary", False) and os.environ.get(SUMMARY_VARIABLE):
        files.append(Path(os.environ[SUMMARY_VARIABLE]))
    return Places.of(trees, files)


def check_apart(options: argparse.Namespace) -> None:
    """Refuse results in a build store, which is safe to delete, and a store in a run directory.

    A store may lie beside run directories: deleting it deletes nothing else.

    Raises:
        UsageError: one lies within the other.
    """
    builds: Path | None = getattr(options, "builds", None)
    for option, path in _kept(options).items():
        store = _within(path, builds)
        if store:
            raise UsageError(
                f"{option} {path}: lies in the build store {store}, all of which may be deleted at "
                "any time. Name a directory outside of it."
            )
    above = [path for path in _with_parents(builds) if _is_run(path)] if builds else []
    if above:
        raise UsageError(
            f"--builds {builds}: lies in the run directory {above[0]}, and a build store may be "
            "deleted at any time. Name a directory outside of it."
        )


def _kept(options: argparse.Namespace) -> dict[str, Path]:
    """Return where a command puts what cannot be made again, by the option that says so."""
    command = getattr(options, "command", "")
    names = ("out",) if command == "report" else ("results", "dump", "out")
    given = {f"--{name}": getattr(options, name, None) for name in names}
    if command == "reproducer":
        given["--out"] = given["--out"] or REPRODUCERS
    return {option: path for option, path in given.items() if path}


def _within(path: Path, builds: Path | None) -> Path | None:
    """Return the build store in which a path lies: that of the command, or another one."""
    store = real(builds) if builds else None
    return next((each for each in _with_parents(path) if each == store or is_store(each)), None)


def _with_parents(path: Path) -> tuple[Path, ...]:
    return (real(path), *real(path).parents)


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in (STATE, CELLS))
