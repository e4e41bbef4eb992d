"""The one way this package starts other programs, and its own functions in other processes.

Every call has a time limit, keeps its output in a live log file, and ends its whole process
group when it is over, so that neither a hanging compiler nor an interrupted run leaves children.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness.util.errors import MachineError
from harness.util.forking import ForkServer, Function

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

logger = logging.getLogger(__name__)

LINE_BYTES = 1 << 10
WATCH_SECONDS = 2.0
"""How often a program's watcher is told how far it is."""
LAST_WORDS_SECONDS = 2.0
"""How long a function whose time is up may take to say where it is."""
Watch = Callable[[str], None]
TAIL_BYTES = 1 << 20
"""How much of a program's output is returned at most, if nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """What is known of every program that ended."""

    command: tuple[str, ...]
    returncode: int
    """Exit code, or minus the signal's number."""
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Whether the program ended by itself with exit code 0."""
        return self.returncode == 0 and not self.timed_out


@dataclass(frozen=True, kw_only=True)
class Completed(_Ended):
    """What became of a finished program."""

    seconds: float
    output: str
    """The end of stdout and stderr together (all of it unless `tail_bytes` cut it)."""

    @property
    def fate(self) -> str:
        """How it ended, in words: `exit code 1`, `SIGILL`, `no result after 60 s`."""
        if self.timed_out:
            return f"no result after {self.seconds:.0f} s"
        if self.returncode < 0:
            return signal_name(-self.returncode)
        return f"exit code {self.returncode}"


def signal_name(number: int) -> str:
    """Return the name of a signal, such as `SIGSEGV`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, kw_only=True)
class Captured(_Ended):
    """What a short program printed."""

    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """What it printed to stdout, decoded."""
        return self.stdout.decode(errors="replace")


class Processes:
    """Programs and functions in processes of their own, which can all be ended at once."""

    def __init__(self, preload: ModuleType | None = None) -> None:
        """Start with nothing running.

        Args:
            preload: module that processes of `call` have imported already, its own imports
                included; that of the function to be called.
        """
        self._running: set[int] = set()
        self._stopping = threading.Event()
        self._module = preload.__name__ if preload else __name__
        self._forks: dict[str, ForkServer] = {}
        self._starting = threading.Lock()

    def prepare(self) -> None:
        """Start now what `call` would have to wait for."""
        self._server("").start()

    def _server(self, library: str) -> ForkServer:
        with self._starting:
            if library not in self._forks:
                self._forks[library] = ForkServer(self._module, library=library)
            return self._forks[library]

    def stop(self) -> None:
        """End all that other threads run here; their calls raise `KeyboardInterrupt`."""
        self._stopping.set()
        for group in tuple(self._running):
            _kill(group)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        timeout: float,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        tail_bytes: int = TAIL_BYTES,
        watch: Watch | None = None,
    ) -> Completed:
        """Run a program to its end with stdout and stderr in `log` (appended, readable meanwhile).

        Args:
            command: program and arguments; no shell is involved.
            log: file that receives the command line and everything that the program prints.
            timeout: seconds after which the whole process group is killed.
            cwd: working directory.
            env: variables set on top of the current environment; None removes one.
            tail_bytes: how much of the output to return at most.
            watch: told the last line of the output every few seconds.

        Raises:
            MachineError: the program does not exist.
        """
        words = tuple(str(word) for word in command)
        started = time.monotonic()
        with _logged(log, " ".join(words)) as (stream, start):
            process = _start(words, cwd, env, subprocess.DEVNULL, stream, subprocess.STDOUT)
            timed_out = False
            with self._known(process.pid):
                try:
                    while not _ended(
                        process, min(WATCH_SECONDS, max(0.0, started + timeout - time.monotonic()))
                    ):
                        timed_out = time.monotonic() - started >= timeout
                        if timed_out:
                            break
                        if watch:
                            watch(_last_line(log, start))
                finally:
                    kill_group(process)
        return self._completed(
            words,
            returncode=process.returncode,
            started=started,
            output=_tail(log, start, tail_bytes),
            timed_out=timed_out,
        )

    def call(
        self,
        function: Function,
        arguments: Sequence[str | Path],
        *,
        log: Path,
        timeout: float,
        env: Mapping[str, str] | None = None,
        library: str = "",
    ) -> Completed:
        """Run a function in a process of its own, as `run` runs a program.

        Args:
            function: takes the arguments and returns the exit code; known by its module and name.
            arguments: what it gets.
            log: as for `run`.
            timeout: seconds after which it is asked by SIGTERM to say where it is, and soon after
                that its whole process group is killed.
            env: variables set on top of the current environment.
            library: shared library that the process has loaded before all others.
        """
        words = tuple(str(word) for word in arguments)
        name = f"{function.__module__}.{function.__name__}"
        started = time.monotonic()
        with _logged(log, f"{name} {' '.join(words)}") as (_, start):
            fork = self._server(library).fork(
                function, list(words), output=log, env={**os.environ, **(env or {})}
            )
            code = None
            timed_out = False
            with self._known(fork.pid):
                try:
                    code = fork.wait(timeout)
                    timed_out = code is None
                    if timed_out:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(fork.pid, signal.SIGTERM)
                        code = fork.wait(LAST_WORDS_SECONDS)
                finally:
                    _kill(fork.pid)
            if code is None:
                code = fork.wait()
        return self._completed(
            (name, *words),
            returncode=-signal.SIGKILL if code is None else code,
            started=started,
            output=_tail(log, start),
            timed_out=timed_out,
        )

    @contextlib.contextmanager
    def _known(self, group: int) -> Iterator[None]:
        """Let `stop` know of a process group while it runs."""
        self._running.add(group)
        try:
            yield
        finally:
            self._running.discard(group)

    def _completed(
        self,
        command: tuple[str, ...],
        *,
        returncode: int,
        started: float,
        output: str,
        timed_out: bool,
    ) -> Completed:
        if self._stopping.is_set():
            # How it ended says nothing about it: nobody may take that for a result.
            raise KeyboardInterrupt
        return Completed(
            command=command,
            returncode=returncode,
            seconds=time.monotonic() - started,
            output=output,
            timed_out=timed_out,
        )


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    tail_bytes: int = TAIL_BYTES,
    watch: Watch | None = None,
) -> Completed:
    """Run one program by itself, see `Processes.run`."""
    return Processes().run(
        command, log=log, timeout=timeout, cwd=cwd, env=env, tail_bytes=tail_bytes, watch=watch
    )


@contextlib.contextmanager
def _logged(log: Path, title: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a log with a title line, and yield it with the place where the output begins."""
    logger.info("running %s, log %s", title, log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(f"$ {title}\n".encode())
        stream.flush()
        yield stream, stream.tell()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a program, but not for long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _last_line(log: Path, start: int) -> str:
    return (_tail(log, start, LINE_BYTES).splitlines() or [""])[-1]


def _tail(log: Path, start: int, tail_bytes: int = TAIL_BYTES) -> str:
    with log.open("rb") as reader:
        size = reader.seek(0, os.SEEK_END)
        reader.seek(max(start, size - tail_bytes))
        return reader.read().decode(errors="replace")


def capture(
    command: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes = b"",
) -> Captured:
    """Run a program whose output is data, such as `git cat-file`, and return all it printed.

    Args:
        command: program and arguments; no shell is involved.
        timeout: seconds after which the whole process group is killed.
        cwd: working directory.
        env: variables set on top of the current environment; None removes one.
        stdin: what the program reads.

    Raises:
        MachineError: the program does not exist.
    """
    words = tuple(str(word) for word in command)
    pipe = subprocess.PIPE
    process = _start(words, cwd, env, pipe, pipe, pipe)
    timed_out = False
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        kill_group(process)
        stdout, stderr = process.communicate()
    finally:
        kill_group(process)
    return Captured(
        command=words,
        returncode=process.returncode,
        stdout=stdout,
        stderr=stderr.decode(errors="replace"),
        timed_out=timed_out,
    )


def _start(
    words: tuple[str, ...],
    cwd: Path | None,
    env: Mapping[str, str | None] | None,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int,
) -> subprocess.Popen[bytes]:
    merged = {**os.environ, **(env or {})}
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
            raise MachineError(f"{cwd}: no such directory to run {words[0]} in.") from error
        raise MachineError(
            f"{words[0]}: program not found. Install it or put it on PATH."
        ) from error
    except PermissionError as error:
        raise MachineError(
            f"{words[0]}: not allowed to run it. Make it executable (chmod +x)."
        ) from error


def end_strays(variable: str, value: str) -> None:
    """End programs that a killed process of the harness left running.

    They are known by an environment variable, which their children inherit. Without `/proc`
    nothing is done.
    """
    wanted = f"{variable}={value}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started with `start_new_session`, children included, and reap it."""
    _kill(process.pid)
    process.wait()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
