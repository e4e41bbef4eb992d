"""Processes that begin as a copy of one that has its imports done.

Starting Python and importing NumPy takes longer than a pass of a small model. A server imports
once and forks for each call; what it forks is as isolated as a program of its own. (The standard
library's fork server imports the caller's main module again in every process, which runs a script
without a guard once more.)

The protocol: the caller sends one line of JSON with the writing end of a pipe, and reads from the
pipe the process's number and, when it has ended, its exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from harness.util.errors import MachineError
from harness.util.places import Places, active, confine

Function = Callable[[list[str]], int]
"""Takes arguments and returns an exit code; known by its module and name."""

_CHUNK = 1 << 16
_TUNABLES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Large pages where the system has them: a worker touches hundreds of megabytes once, and a fifth
of its time would go into mapping them. The C library reads this when a program starts."""

_SANITIZER = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
"""Python itself frees little at its end. A sanitizer reads this when a program starts."""


@dataclass(kw_only=True)
class Fork:
    """A process that was forked, the first of a process group of its own."""

    pid: int
    pipe: int

    def wait(self, timeout: float | None = None) -> int | None:
        """Return its exit code, or minus the signal's number; None if it runs on."""
        if not select.select([self.pipe], [], [], timeout)[0]:
            return None
        code = _line(self.pipe)
        os.close(self.pipe)
        # Without a line the server was killed together with all it had forked.
        return int(code) if code else -signal.SIGKILL


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

    def start(self) -> None:
        """Start now, so that the first process need not wait for the imports."""
        with self._lock:
            self._connection()

    def fork(
        self, function: Function, arguments: list[str], *, output: Path, env: Mapping[str, str]
    ) -> Fork:
        """Call a function in a new process.

        Args:
            function: what to call.
            arguments: what it gets.
            output: file that its stdout and stderr are appended to.
            env: all of its environment.

        Raises:
            MachineError: the server was killed.
        """
        request = {
            "module": function.__module__,
            "name": function.__name__,
            "arguments": arguments,
            "output": str(output),
            "env": dict(env),
            "path": sys.path,
            "places": asdict(places) if (places := active()) else None,
        }
        reader, writer = os.pipe()
        with self._lock:
            connection = self._connection()
            message = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(connection, [message], [writer])
            connection.sendall(message[sent:])
            os.close(writer)
            # The next request may only come when this one has been taken.
            pid = _line(reader)
        if not pid:
            raise MachineError(
                "the process that starts all others was killed: perhaps the machine is out of "
                "memory. Lower --jobs, and run again."
            )
        return Fork(pid=int(pid), pipe=reader)

    def _connection(self) -> socket.socket:
        if self._process is None or self._process.poll() is not None or self._socket is None:
            path = os.pathsep.join(filter(None, sys.path))
            self._socket, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(theirs.fileno()), self._module],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env={**_TUNABLES, **os.environ, "PYTHONPATH": path, **self._library},
                    # Ctrl-C is for the caller, who ends what runs.
                    start_new_session=True,
                )
            weakref.finalize(self, _end, self._socket, self._process)
        return self._socket


def _end(connection: socket.socket, server: subprocess.Popen[bytes]) -> None:
    """Close a server's socket, at which it ends, and reap it."""
    connection.close()
    server.wait()


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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that watch need nobody to reap them
    with socket.socket(fileno=int(number)) as connection:
        while True:
            message, descriptors, _, _ = socket.recv_fds(connection, _CHUNK, 1)
            if not message:
                return 0
            while not message.endswith(b"\n"):
                message += connection.recv(_CHUNK)
            (pipe,) = descriptors
            if os.fork() == 0:
                connection.close()
                _watch(json.loads(message), pipe)
            os.close(pipe)


def _watch(request: dict[str, object], pipe: int) -> NoReturn:
    """Fork once more, and tell how that process ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(pipe)
        _enter(**request)  # type: ignore[arg-type]
    _lead(pid)
    os.write(pipe, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(pipe, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _lead(pid: int) -> None:
    """Make a process the first of its group: it does so itself too, whoever comes first."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def _enter(
    *,
    module: str,
    name: str,
    arguments: list[str],
    output: str,
    env: dict[str, str],
    path: list[str],
    places: dict[str, list[str]] | None,
) -> NoReturn:
    """Become what looks like a program of its own, and call the function."""
    code = 1
    try:
        _lead(os.getpid())
        with Path(output).open("ab") as stream:
            for standard in (1, 2):
                os.dup2(stream.fileno(), standard)
        os.environ.clear()
        os.environ.update(env)
        sys.path[:] = path
        confine(Places(**{k: tuple(v) for k, v in places.items()}) if places else None)
        code = getattr(importlib.import_module(module), name)(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
