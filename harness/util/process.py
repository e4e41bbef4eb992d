"""The one way this package starts other programs, and its own functions in other processes.

Every call has limits (`limits.py`), keeps its output in a live log file that does not grow without
end (`bounded_log.py`), and ends all that it started when it is over (`family.py`), so that neither
a hanging compiler nor an interrupted run leaves children. What runs foreign code is confined
besides (`sandbox.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.family import end_strays
from harness.util.forking import ForkServer, Function
from harness.util.guardian import RUN, mark
from harness.util.limits import PROGRAM_BYTES, ProcessLimits, for_seconds
from harness.util.printing import PUMP_SECONDS, Taken, feed, logged, pumped, tail
from harness.util.starting import end_group, ended, kill_group, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from harness.util.sandbox import Confinement

WATCH_SECONDS = 2.0
"""How often a program's watcher is told how far it is."""
LAST_WORDS_SECONDS = 2.0
"""How long a function whose time is up may take to say where it is."""
END_SECONDS = 30.0
"""How long the end of what was killed may take."""
CAPTURE_BYTES = 1 << 30
STDERR_BYTES = 1 << 20
Watch = Callable[[str], None]
TAIL_BYTES = 1 << 20
"""How much of a program's output is returned at most, if nothing else is said."""
FROM_OUTSIDE = frozenset(
    {
        signal.SIGKILL,
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGXCPU,
        signal.SIGXFSZ,
    }
)
"""Signals that no mistake in a computation raises: somebody sent them, or a limit did."""


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """What is known of every program that ended."""

    command: tuple[str, ...]
    returncode: int
    """Exit code, or minus the signal's number."""
    timed_out: bool
    seconds: float
    """How long it took; the limit where that is why it ended."""

    @property
    def ok(self) -> bool:
        """Whether the program ended by itself with exit code 0."""
        return self.returncode == 0 and not self.timed_out

    @property
    def fate(self) -> str:
        """How it ended, in words: `exit code 1`, `SIGILL`, `no result after 60 s`."""
        if self.timed_out:
            return f"no result after {self.seconds:.0f} s"
        if self.returncode < 0:
            return signal_name(-self.returncode)
        return f"exit code {self.returncode}"


@dataclass(frozen=True, kw_only=True)
class Completed(_Ended):
    """What became of a finished program."""

    output: str
    """The end of stdout and stderr together (all of it unless `tail_bytes` cut it)."""
    over_memory: bool = False
    """Whether it was ended because it used more memory than it may."""


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
            end_group(group)

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
        memory_bytes: int = PROGRAM_BYTES,
    ) -> Completed:
        """Run a program to its end with stdout and stderr in `log` (appended, readable meanwhile).

        Args:
            command: program and arguments; no shell is involved.
            log: file that receives the command line and everything that the program prints, the
                middle of very much left out.
            timeout: seconds after which the whole process group is killed.
            cwd: working directory.
            env: variables set on top of the current environment; None removes one.
            tail_bytes: how much of the output to return at most.
            watch: told the last line of the output every few seconds.
            memory_bytes: memory that the program may ask for, and each of its children.

        Raises:
            MachineError: the program does not exist.
        """
        words = tuple(str(word) for word in command)
        started = time.monotonic()
        own = uuid4().hex
        marks = {RUN: own, **mark()}
        timed_out = False
        with logged(log, " ".join(words)) as (stream, begin):
            with pumped(stream) as (writer, said):
                try:
                    named = {**(env or {}), **marks}
                    process = start(
                        words, cwd, named, subprocess.DEVNULL, writer, subprocess.STDOUT
                    )
                finally:
                    os.close(writer)
                for_seconds(timeout, data_bytes=memory_bytes).apply(process.pid)
                with self._known(process.pid):
                    try:
                        while not ended(
                            process,
                            min(WATCH_SECONDS, max(0.0, started + timeout - time.monotonic())),
                        ):
                            timed_out = time.monotonic() - started >= timeout
                            if timed_out:
                                break
                            if watch:
                                watch(said.last_line)
                    finally:
                        kill_group(process)
                        # What left the group, and even its parent, is known by its mark.
                        end_strays(RUN, own)
            output = tail(stream, begin, tail_bytes)
        return self._completed(
            words,
            returncode=process.returncode,
            started=started,
            timeout=timeout,
            output=output,
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
        limits: ProcessLimits | None = None,
        confinement: Confinement | None = None,
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
            limits: what it may use; by default what its time allows.
            confinement: what it may do; None for everything.

        Raises:
            MachineError: no process can be started.
        """
        words = tuple(str(word) for word in arguments)
        name = f"{function.__module__}.{function.__name__}"
        started = time.monotonic()
        with logged(log, f"{name} {' '.join(words)}") as (stream, begin):
            fork = self._server(library).fork(
                function,
                list(words),
                output=log,
                env={**os.environ, **(env or {})},
                limits=limits or for_seconds(timeout),
                confinement=confinement,
            )
            ending = None
            timed_out = False
            with self._known(fork.pid):
                try:
                    ending = fork.wait(timeout)
                    timed_out = ending is None
                    if timed_out:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(fork.pid, signal.SIGTERM)
                        ending = fork.wait(LAST_WORDS_SECONDS)
                finally:
                    end_group(fork.pid)
            if ending is None:
                ending = fork.wait(END_SECONDS)
            output = tail(stream, begin, TAIL_BYTES)
        return self._completed(
            (name, *words),
            returncode=ending.code if ending else -signal.SIGKILL,
            started=started,
            timeout=timeout,
            output=output,
            timed_out=timed_out,
            over_memory=bool(ending and ending.over_memory),
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
        timeout: float,
        output: str,
        timed_out: bool,
        over_memory: bool = False,
    ) -> Completed:
        if self._stopping.is_set():
            # How it ended says nothing about it: nobody may take that for a result.
            raise KeyboardInterrupt
        return Completed(
            command=command,
            returncode=returncode,
            seconds=timeout if timed_out else time.monotonic() - started,
            output=output,
            timed_out=timed_out,
            over_memory=over_memory,
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
    memory_bytes: int = PROGRAM_BYTES,
) -> Completed:
    """Run one program by itself, see `Processes.run`."""
    return Processes().run(
        command,
        log=log,
        timeout=timeout,
        cwd=cwd,
        env=env,
        tail_bytes=tail_bytes,
        watch=watch,
        memory_bytes=memory_bytes,
    )


def capture(
    command: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes = b"",
    most_bytes: int = CAPTURE_BYTES,
) -> Captured:
    """Run a program whose output is data, such as `git cat-file`, and return all it printed.

    Args:
        command: program and arguments; no shell is involved.
        timeout: seconds after which the whole process group is killed.
        cwd: working directory.
        env: variables set on top of the current environment; None removes one.
        stdin: what the program reads.
        most_bytes: how much it may print.

    Raises:
        MachineError: the program does not exist, or prints more than that.
    """
    words = tuple(str(word) for word in command)
    pipe = subprocess.PIPE
    process = start(words, cwd, env, pipe, pipe, pipe)
    for_seconds(timeout, data_bytes=PROGRAM_BYTES).apply(process.pid)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    stdout, stderr = Taken(process.stdout, most_bytes), Taken(process.stderr, STDERR_BYTES)
    feeder = threading.Thread(target=feed, args=(process.stdin, stdin), daemon=True)
    threads = [stdout, stderr, feeder]
    timed_out = False
    until = time.monotonic() + timeout
    try:
        for thread in threads:
            thread.start()
        while stdout.is_alive() and not stdout.is_full:
            stdout.join(min(PUMP_SECONDS, max(0.0, until - time.monotonic())))
            # What holds the pipe on behind the program's back is not waited for.
            if process.poll() is not None:
                stdout.join(PUMP_SECONDS)
                break
            timed_out = time.monotonic() >= until
            if timed_out:
                break
        if not timed_out and not stdout.is_full:
            timed_out = not ended(process, max(0.0, until - time.monotonic()))
    finally:
        kill_group(process)
        for thread in threads:
            thread.join(END_SECONDS)
        if not any(thread.is_alive() for thread in threads):
            for stream in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    stream.close()
    if stdout.is_full:
        raise MachineError(
            f"{words[0]}: printed more than {most_bytes} bytes and was ended. Check that it is the "
            f"program that it should be: {' '.join(words)[:200]}",
            code=Code.NO_PROGRAM,
        )
    return Captured(
        command=words,
        returncode=process.returncode,
        stdout=bytes(stdout.data),
        stderr=stderr.data.decode(errors="replace"),
        timed_out=timed_out,
        seconds=timeout if timed_out else time.monotonic() - (until - timeout),
    )
