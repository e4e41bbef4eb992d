"""How a command ends that did not end well: one line for people, and an exit code."""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.util.codes import Code
from harness.util.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    HarnessError,
    MachineError,
    OutputClosedError,
)
from harness.util.files import disk_trouble, write_atomically
from harness.util.interruption import OutOfTimeError
from harness.util.places import temporary_directory
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
    if isinstance(error, OutOfTimeError):
        return Ending(
            EXIT_ENVIRONMENT,
            f"error[{Code.MEMORY}]: the processor time that this shell allows is used up. Raise it "
            "(ulimit -t); the same command continues where it stopped",
        )
    if isinstance(error, KeyboardInterrupt):
        return Ending(EXIT_INTERRUPTED, "interrupted; the same command continues where it stopped")
    if isinstance(error, HarnessError):
        return Ending(error.exit_code, printable(f"error[{error.code}]: {error}"))
    if isinstance(error, OSError) and (said := disk_trouble(error, results or Path())):
        return Ending(EXIT_ENVIRONMENT, printable(f"error[{Code.DISK}]: {said}"))
    place = save_traceback(error, words, results)
    seen = f"The traceback is in {place}." if place else "The traceback could not be saved."
    if _is_of_memory(error):
        return Ending(
            EXIT_ENVIRONMENT,
            f"error[{Code.MEMORY}]: there is not enough memory for this. Close other programs, "
            f"lower --jobs, or take smaller inputs. {seen}",
        )
    return Ending(
        EXIT_INTERNAL,
        printable(
            f"internal error[{Code.INTERNAL}]: {_brief(error)}. This is a mistake in the harness; "
            f"please report it with that file. {seen}"
        ),
    )


def _is_of_memory(error: BaseException) -> bool:
    """Return whether an error came of want of memory, perhaps while another one was tidied up."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or "can't start new thread" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


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
    places = [folder] if folder else []
    with suppress(MachineError):
        places.append(Path(temporary_directory()))
    for place in places:
        path = place / f"internal-error-{stamp}-{os.getpid()}.txt"
        try:
            write_atomically(path, data)
        except (OSError, HarnessError):
            continue
        return path.absolute()
    return None
