"""Where a command may write: its directories, and what its options name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.lock_file import builtin_path, lock_path
from harness.util.files import existing_parent
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
