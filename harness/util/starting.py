"""Programs as processes: started in sessions of their own, waited for, ended with their groups."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import IO, TYPE_CHECKING

from harness.util.codes import Code
from harness.util.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def start(
    words: tuple[str, ...],
    cwd: Path | None,
    env: Mapping[str, str | None] | None,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own.

    Args:
        words: program and arguments; no shell is involved.
        cwd: working directory.
        env: variables set on top of the current environment; None removes one.
        stdin: as `subprocess` takes it, like the other two.

    Raises:
        MachineError: it does not exist, or cannot be started.
    """
    # Without a PATH programs are found in the system's own places, and are to find others there.
    merged = {"PATH": os.defpath, **os.environ, **(env or {})}
    try:
        return subprocess.Popen(
            words,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env={name: value for name, value in merged.items() if value is not None},
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise MachineError(
                f"{cwd}: no such directory to run {words[0]} in.", code=Code.NO_PROGRAM
            ) from error
        raise MachineError(
            f"{words[0]}: program not found. Install it or put it on PATH.", code=Code.NO_PROGRAM
        ) from error
    except PermissionError as error:
        raise MachineError(
            f"{words[0]}: not allowed to run it. Make it executable (chmod +x).",
            code=Code.NO_PROGRAM,
        ) from error
    except (OSError, ValueError) as error:
        # Another machine's program, too many processes, arguments that are too long or have NULs.
        reason = error.strerror if isinstance(error, OSError) else error
        raise MachineError(
            f"{words[0]!r} cannot be started: {reason}. Try it by hand: {words[0]!r} --version",
            code=Code.NO_PROGRAM,
        ) from error


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started with `start_new_session`, children included, and reap it."""
    end_group(process.pid)
    process.wait()


def end_group(group: int) -> None:
    """End a process group, if it is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a program, but not for long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
