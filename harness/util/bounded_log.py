"""What a program prints, in a file that does not grow without end.

A compiler or a module in a loop prints gigabytes. Its beginning, the lines that tell of errors and
its end are what anybody reads: they are kept, and it is said how much is not.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_BYTES = 8 << 20
"""Of the beginning, which is in the file at once."""
TAIL_BYTES = 2 << 20
"""Of the end, which is added when the program has ended."""
ERRORS_BYTES = 256 << 10
"""Of the lines in between that tell of errors."""
LINE_BYTES = 4 << 10
"""Of a line that tells of an error, and of the last line."""
_TELLS = re.compile(rb"error|fatal|undefined reference|terminate called|Sanitizer", re.IGNORECASE)


class BoundedLog:
    """Takes what a program prints, piece by piece."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to a stream, which is open for appending and without a buffer of its own."""
        self._stream = stream
        self._written = 0
        self._left_out = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._errors: list[bytes] = []
        self._errors_bytes = 0
        self._line = b""

    @property
    def last_line(self) -> str:
        """The last line so far, which need not be complete."""
        return (self._line.decode(errors="replace").splitlines() or [""])[-1]

    def add(self, data: bytes) -> None:
        """Take what was printed."""
        self._line = (self._line + data)[-LINE_BYTES:]
        head = data[: max(0, HEAD_BYTES - self._written)]
        self._write(head)
        self._written += len(head)
        rest = data[len(head) :]
        if rest:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
        while self._tail_bytes - len(self._tail[0] if self._tail else b"") > TAIL_BYTES:
            gone = self._tail.popleft()
            self._tail_bytes -= len(gone)
            self._left_out += len(gone)
            self._keep_errors(gone)

    def end(self) -> None:
        """Add what was kept of the end."""
        if self._left_out:
            said = f"\n[{self._left_out} bytes are left out here"
            more = "; the lines among them that tell of errors:" if self._errors else ""
            self._write(f"{said}{more}]\n".encode() + b"".join(self._errors))
            self._write(b"[the end:]\n")
        for data in self._tail:
            self._write(data)
        self._tail.clear()

    def _keep_errors(self, data: bytes) -> None:
        for line in self._telling(data):
            if self._errors_bytes >= ERRORS_BYTES:
                return
            self._errors.append(line)
            self._errors_bytes += len(line)

    def _telling(self, data: bytes) -> Iterator[bytes]:
        if self._errors_bytes < ERRORS_BYTES and _TELLS.search(data):
            for line in data.split(b"\n"):
                if _TELLS.search(line):
                    yield line[:LINE_BYTES] + b"\n"

    def _write(self, data: bytes) -> None:
        # The program runs on where there is no more room for what it says.
        with contextlib.suppress(OSError):
            self._stream.write(data)
            self._stream.flush()
