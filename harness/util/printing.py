"""What programs print while they run: taken into a log or into memory, and never too much of it."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from typing import IO, TYPE_CHECKING

from harness.util.bounded_log import BoundedLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

PUMP_SECONDS = 0.1
_PIPE_BYTES = 1 << 16


@contextlib.contextmanager
def logged(log: Path, title: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a log with a title line, and yield it with the place where the output begins."""
    logger.info("running %s, log %s", title, log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab", buffering=0) as stream:
        stream.write(f"$ {title}\n".encode(errors="backslashreplace"))
        yield stream, stream.tell()


@contextlib.contextmanager
def pumped(stream: IO[bytes]) -> Iterator[tuple[int, BoundedLog]]:
    """Yield the end of a pipe to print to, and the log that a thread takes that into meanwhile.

    Whoever gets the end of the pipe closes it.
    """
    reader, writer = os.pipe()
    log, done = BoundedLog(stream), threading.Event()
    thread = threading.Thread(target=_pump, args=(reader, log, done), daemon=True)
    thread.start()
    try:
        yield writer, log
    finally:
        # Somebody who is not known may hold the other end: what is there is taken, no more.
        done.set()
        thread.join()
        os.close(reader)
        log.end()


def _pump(reader: int, log: BoundedLog, done: threading.Event) -> None:
    while True:
        last = done.is_set()
        if select.select([reader], [], [], 0 if last else PUMP_SECONDS)[0]:
            data = os.read(reader, _PIPE_BYTES)
            if not data:
                return
            log.add(data)
        elif last:
            return


def tail(log: Path, start: int, tail_bytes: int) -> str:
    """Return the end of what a log has from a place on."""
    with log.open("rb") as reader:
        size = reader.seek(0, os.SEEK_END)
        reader.seek(max(start, size - tail_bytes))
        return reader.read().decode(errors="replace")


class Taken(threading.Thread):
    """Takes what a program prints into memory, up to some size."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        """Take no more than `most` bytes."""
        super().__init__(daemon=True)
        self._stream = stream
        self._most = most
        self.data = bytearray()
        self.is_full = False

    def run(self) -> None:
        """Read to the end, and throw away what is too much."""
        while piece := os.read(self._stream.fileno(), _PIPE_BYTES):
            room = self._most - len(self.data)
            self.data += piece[:room]
            self.is_full = self.is_full or len(piece) > room


def feed(stream: IO[bytes], data: bytes) -> None:
    """Give a program what it reads, as far as it takes it."""
    with contextlib.suppress(OSError), stream:
        stream.write(data)
