"""One run of the harness: started, watched, struck, ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from faults import processes
from faults.confinement import as_nobody, confined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from faults.processes import Process

PATIENCE_SECONDS = 240.0
"""How long any run of this suite may take before it counts as hanging."""
HUNG = 1000
"""In place of an exit code: it was still there when patience ended."""
TRACEBACK = re.compile(
    r"Traceback \(most recent call last\)|Fatal Python error|^Exception (?:ignored )?in ",
    re.MULTILINE,
)
SHOWN = 1 << 20
"""Bytes of output that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What is left of a run."""

    code: int
    """Exit code, minus the signal's number, or `HUNG`."""
    output: str
    """What it printed to stdout and stderr."""
    struck: bool = True
    """Whether the fault found what it was to strike."""

    @property
    def fate(self) -> str:
        """How it ended, in words."""
        if self.code == HUNG:
            return "hung"
        return signal.Signals(-self.code).name if self.code < 0 else f"exit code {self.code}"

    @property
    def has_traceback(self) -> bool:
        """Whether Python itself had to complain."""
        return bool(TRACEBACK.search(self.output))

    def line(self, pattern: str) -> str:
        """Return the first line of the output that matches, without blanks around; or nothing."""
        lines = (line.strip() for line in self.output.splitlines())
        return next((line for line in lines if re.search(pattern, line, re.IGNORECASE)), "")


def untimed(line: str) -> str:
    """Return a line of output without the time of day that it may begin with."""
    return re.sub(r"^\d\d:\d\d:\d\d ", "", line)


class NeverHappenedError(Exception):
    """What a fault waits for did not come: the run ended before."""


class Running:
    """A run in progress."""

    def __init__(
        self,
        words: list[str],
        *,
        place: Path,
        cwd: Path,
        log: Path,
        env: Mapping[str, str],
        nobody: bool = False,
        stdout: Path | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Start a command with nothing but `place` writable.

        Args:
            words: the command.
            place: the directory that may be written to.
            cwd: working directory.
            log: where stdout and stderr go.
            env: all of its environment.
            nobody: whether to run it as a user without rights.
            stdout: a file, or a device, for stdout alone.
            prepare: called in the new process, such as for resource limits.
        """
        self._log = log
        command = confined(place, as_nobody(words) if nobody else words)
        with log.open("wb") as stream, (stdout or log).open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out if stdout else stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=partial(_begin, prepare),
            )
        processes.STARTED.add(self.process.pid)
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        """The harness's own process: what confines it is replaced by it."""
        return self.process.pid

    def output(self) -> str:
        """Return what was printed so far."""
        with self._log.open("rb") as stream:
            return stream.read(SHOWN).decode(errors="replace")

    def until(self, happened: Callable[[], object], *, patience: float = PATIENCE_SECONDS) -> None:
        """Wait for something.

        Raises:
            NeverHappenedError: the run ended before.
        """
        ends = time.monotonic() + patience
        while not happened():
            if self.process.poll() is not None or time.monotonic() > ends:
                raise NeverHappenedError
            time.sleep(processes.POLL_SECONDS)

    def until_there(self, find: Callable[[int], list[Process]]) -> list[Process]:
        """Wait for processes and return them."""
        found: list[Process] = []

        def there() -> list[Process]:
            found[:] = find(self.pid)
            return found

        self.until(there)
        return found

    def send(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the harness, or to its group as a terminal does."""
        if self.process.poll() is None:
            (os.killpg if group else os.kill)(self.pid, number)

    def ended(self, *, patience: float = PATIENCE_SECONDS, struck: bool = True) -> Ended:
        """Wait for its end, and return what is left; what hangs is killed."""
        try:
            code = self.process.wait(max(0.0, self.started + patience - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = HUNG
            self.send(signal.SIGKILL)
            self.process.wait()
        processes.STARTED.discard(self.pid)
        return Ended(code=code, output=self.output(), struck=struck)


def _begin(prepare: Callable[[], None] | None) -> None:
    """Heed signals, which whoever started this suite in the background had it ignore."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if prepare:
        prepare()


def harness_words(command: str, *words: str) -> list[str]:
    """Return the command line of one command of the harness."""
    return [sys.executable, "-m", "harness", command, *words]
