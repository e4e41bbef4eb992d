"""The process's own standard streams, so that nobody who reads them, or does not, breaks a run."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from harness.util.codes import Code
from harness.util.errors import MachineError, OutputClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

STDOUT, STDERR = 1, 2


def prepare_streams() -> None:
    """Make the process's standard streams fit for anything.

    What a shell closed (`>&-`) leads to the null device, so that no other file gets its number; a
    character that the encoding lacks is written as an escape; a reader who has gone ends the
    process as `OutputClosedError`, a full disk as `MachineError`, and nobody is told of what
    cannot be told on standard error. A stream that somebody put in place of the process's own
    stays as it is.
    """
    for descriptor in (0, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(STDOUT, sys.stdout, _told)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(STDERR, sys.stderr, lambda _: None)


def abandon(descriptor: int) -> None:
    """Lead a standard stream, and what still waits to be written to it, to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def _told(error: OSError) -> None:
    """Say what is wrong with standard output."""
    if isinstance(error, BrokenPipeError):
        raise OutputClosedError("standard output: nobody reads it any more.") from error
    raise MachineError(
        f"standard output: cannot be written ({error.strerror}). Give it a place with space; what "
        "is finished stays.",
        code=Code.DISK,
    ) from error


class _Raw(io.FileIO):
    """A descriptor, with other words for what goes wrong."""

    def __init__(self, descriptor: int, failed: Callable[[OSError], None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._failed = failed

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self._failed(error)
            return memoryview(data).nbytes


def _stream(
    descriptor: int, own: TextIO | None, failed: Callable[[OSError], None]
) -> io.TextIOWrapper:
    """Return a stream in place of the process's own, which is None where a shell closed it."""
    encoding = own.encoding if own else "utf-8"
    to_terminal = os.isatty(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(descriptor, failed)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=to_terminal or descriptor == STDERR,
        write_through=bool(own and getattr(own, "write_through", False)),
    )
