"""How a command ends that did not end well: one line for people, and an exit code."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.util.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    HarnessError,
    OutputClosedError,
)
from harness.util.files import disk_trouble, write_atomically
from harness.util.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 300
"""Characters of a message that nobody worded."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]+@")


@dataclass(frozen=True)
class Ending:
    """What is told at last."""

    code: int
    line: str
    """For standard error; empty where nothing is to be said."""


def ending_of(error: BaseException, words: Sequence[str], results: Path | None) -> Ending:
    """Return how a command ends that raised something.

    What is no `HarnessError` is a mistake in the harness, or something that the machine lacks. Of
    the former a traceback is saved: among the results if there are any and they can be written,
    else in the temporary directory.

    Args:
        error: what was raised.
        words: the command line.
        results: the results directory; None for commands that have none.
    """
    if isinstance(error, OutputClosedError):
        return Ending(error.exit_code, "")
    if isinstance(error, KeyboardInterrupt):
        return Ending(EXIT_INTERRUPTED, "interrupted; the same command continues where it stopped")
    if isinstance(error, HarnessError):
        return Ending(error.exit_code, printable(f"error: {error}"))
    if isinstance(error, OSError) and (said := disk_trouble(error, results or Path())):
        return Ending(EXIT_ENVIRONMENT, printable(f"error: {said}"))
    place = save_traceback(error, words, results)
    seen = f"The traceback is in {place}." if place else "The traceback could not be saved."
    if isinstance(error, MemoryError):
        return Ending(
            EXIT_ENVIRONMENT,
            "error: there is not enough memory for this. Close other programs, lower --jobs, or "
            f"take smaller inputs. {seen}",
        )
    return Ending(
        EXIT_INTERNAL,
        printable(
            f"internal error: {_brief(error)}. This is a mistake in the harness; please report it "
            f"with that file. {seen}"
        ),
    )


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split())
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return f"{type(error).__name__}: {shown}".rstrip(": .")


def save_traceback(error: BaseException, words: Sequence[str], folder: Path | None) -> Path | None:
    """Keep where an error came from in a file, and return its path; None if it cannot be kept.

    It has the command line and the versions of what takes part, and nothing of the environment;
    credentials in addresses are left out.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    about = os.uname()
    text = "\n".join(
        [
            f"command: python -m harness {shlex.join(words)}",
            f"harness: {harness.__version__}",
            f"python: {sys.version}",
            f"system: {about.sysname} {about.release} {about.machine}",
            f"finished: {stamp}",
            "",
            *traceback.format_exception(error),
        ]
    )
    data = _CREDENTIALS.sub("…@", text).encode(errors="backslashreplace")
    for place in (folder, Path(tempfile.gettempdir())):
        if place is None:
            continue
        path = place / f"internal-error-{stamp}-{os.getpid()}.txt"
        try:
            write_atomically(path, data)
        except (OSError, HarnessError):
            continue
        return path.absolute()
    return None
