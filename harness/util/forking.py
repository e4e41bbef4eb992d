"""Processes that begin as a copy of one that has its imports done.

Starting Python and importing NumPy takes longer than a pass of a small model. A server imports
once and forks for each call; what it forks is as isolated as a program of its own. (The standard
library's fork server imports the caller's main module again in every process, which runs a script
without a guard once more.)

The protocol: the caller sends one line of JSON with the writing end of a pipe, and reads from the
pipe the process's number and, when it has ended, how (`watching.py`). Everything that was forked
ends with the server, and the server with who uses it.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.util import guardian, sandbox
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.family import adopt_orphans, end_descendants, end_strays
from harness.util.places import active
from harness.util.watching import watch

if TYPE_CHECKING:
    from pathlib import Path

    from harness.util.limits import ProcessLimits
    from harness.util.sandbox import Confinement

logger = logging.getLogger(__name__)

Function = Callable[[list[str]], int]
"""Takes arguments and returns an exit code; known by its module and name."""

_STARTS = 3
"""How many servers may be killed before they are asked for a process."""
_CHUNK = 1 << 16
_TUNABLES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Large pages where the system has them: a worker touches hundreds of megabytes once, and a fifth
of its time would go into mapping them. The C library reads this when a program starts."""

_SANITIZER = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
"""Python itself frees little at its end. A sanitizer reads this when a program starts."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a forked process ended."""

    code: int
    """Exit code, or minus the signal's number."""
    over_memory: bool = False
    """Whether it was ended because it used more memory than it may."""


@dataclass(kw_only=True)
class Fork:
    """A process that was forked, the first of a process group of its own."""

    pid: int
    pipe: int

    def wait(self, timeout: float | None = None) -> Ending | None:
        """Return how it ended; None if it runs on."""
        if not select.select([self.pipe], [], [], timeout)[0]:
            return None
        words = _line(self.pipe).split()
        os.close(self.pipe)
        if len(words) != 2:
            # The server was killed, together with all it had forked.
            return Ending(code=-signal.SIGKILL)
        return Ending(code=int(words[0]), over_memory=words[1] == "1")


class ForkServer:
    """Forks processes that have a module imported already; starts when it is first needed.

    It ends together with this object, or with the process that uses it.
    """

    def __init__(self, module: str, *, library: str = "") -> None:
        """Name the module to import, and a library to load before all others."""
        self._module = module
        self._library = {"LD_PRELOAD": library, **_SANITIZER} if library else {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._end: Callable[[], object] | None = None

    def start(self) -> None:
        """Start now, so that the first process need not wait for the imports."""
        with self._lock:
            self._connection()

    def fork(
        self,
        function: Function,
        arguments: list[str],
        *,
        output: Path,
        env: Mapping[str, str],
        limits: ProcessLimits,
        confinement: Confinement | None = None,
    ) -> Fork:
        """Call a function in a new process.

        Args:
            function: what to call.
            arguments: what it gets.
            output: file that its stdout and stderr are appended to, the middle of much left out.
            env: all of its environment.
            limits: what it may use.
            confinement: what it may do; None for everything.

        Raises:
            MachineError: the server was killed, again and again.
        """
        request = {
            "module": function.__module__,
            "name": function.__name__,
            "arguments": arguments,
            "output": str(output),
            "env": dict(env),
            "path": sys.path,
            "limits": asdict(limits),
            "confinement": asdict(confinement) if confinement else None,
            "places": asdict(places) if (places := active()) else None,
        }
        message = json.dumps(request).encode() + b"\n"
        for _ in range(_STARTS):
            fork = self._forked(message)
            if fork:
                return fork
            logger.info("the process that starts all others was killed: it is started again")
        raise MachineError(
            f"the process that starts all others was killed {_STARTS} times: perhaps the machine "
            "is out of memory. Lower --jobs, and run again.",
            code=Code.MEMORY,
        )

    def _forked(self, message: bytes) -> Fork | None:
        """Ask the server for a process; None if it was killed."""
        reader, writer = os.pipe()
        with self._lock:
            try:
                connection = self._connection()
                sent = socket.send_fds(connection, [message], [writer])
                connection.sendall(message[sent:])
            except OSError:
                os.close(writer)
            else:
                os.close(writer)
                # The next request may only come when this one has been taken.
                if pid := _line(reader):
                    return Fork(pid=int(pid), pipe=reader)
            os.close(reader)
            self._forget()
            return None

    def _forget(self) -> None:
        """Have the next request start another server, and end what this one left running."""
        if self._end:
            self._end()
        self._process, self._socket, self._end = None, None, None

    def _connection(self) -> socket.socket:
        if self._process and self._process.poll() is not None:
            self._forget()
        if self._socket is None:
            path = os.pathsep.join(filter(None, sys.path))
            self._socket, theirs = socket.socketpair()
            own = {guardian.SERVER: uuid4().hex}
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(theirs.fileno()), self._module],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env={
                        **_TUNABLES,
                        **os.environ,
                        "PYTHONPATH": path,
                        **self._library,
                        **own,
                        **guardian.mark(),
                    },
                    # Ctrl-C is for the caller, who ends what runs.
                    start_new_session=True,
                )
            self._end = weakref.finalize(
                self, _end, self._socket, self._process, own[guardian.SERVER]
            )
        return self._socket


def _end(connection: socket.socket, server: subprocess.Popen[bytes], own: str) -> None:
    """Close a server's socket, at which it ends, and reap it."""
    connection.close()
    if server.wait():
        # It was killed, and could not end what it had forked.
        end_strays(guardian.SERVER, own)


def _line(pipe: int) -> str:
    """Read one line, byte by byte: what follows it is for later."""
    line = b""
    while (byte := os.read(pipe, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode()


def main(arguments: list[str]) -> int:
    """Serve the socket `arguments[0]` until the caller closes it, with the module imported."""
    number, module = arguments
    importlib.import_module(module)
    sandbox.prepare()
    adopt_orphans()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that watch need nobody to reap them
    me = os.getpid()
    with socket.socket(fileno=int(number)) as connection:
        while True:
            message, descriptors = _received(connection)
            if not message:
                break
            (pipe,) = descriptors
            if os.fork() == 0:
                connection.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                watch(json.loads(message), pipe, me)
            os.close(pipe)
    # Nobody waits for what still runs.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_descendants()
    return 0


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next request with its pipe; nothing if the caller is gone."""
    try:
        message, descriptors, _, _ = socket.recv_fds(connection, _CHUNK, 1)
        while message and not message.endswith(b"\n"):
            more = connection.recv(_CHUNK)
            message = message + more if more else b""
    except OSError:
        return b"", []
    return message, descriptors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
