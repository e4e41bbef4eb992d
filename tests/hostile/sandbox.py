"""Runs hostile inputs, one after another, each in a fork of a warm process that may write nowhere.

The folder that they run in has the three places in which the harness may write: `builds`,
`results` and `tmp`. All else in it, and on the machine, is read-only for them.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hostile import namespace

if TYPE_CHECKING:
    from tests.hostile.case import Hostile

ROOT = Path(__file__).parents[2]
_WRITABLE = ("builds", "results", "tmp", "io")
_ERROR = re.compile(r"error(\[\w+\])?: ")
PRINTED_BYTES = 1 << 20
"""As much of what was printed is looked at."""


@dataclass(frozen=True, kw_only=True)
class Happened:
    """What came of a hostile input."""

    code: int
    """Exit code, or minus the number of a signal."""
    timed_out: bool
    seconds: float
    mebibytes: int
    """Most memory that a process of it took, that of the warm one included."""
    stdout: str
    stderr: str
    events: tuple[str, ...]
    """What it tried outside of its places, and what it started; see `watch.py`."""
    left: tuple[str, ...]
    """Processes that outlived it."""
    litter: tuple[str, ...]
    """What it left in the temporary directory."""

    @property
    def printed(self) -> str:
        """All that it printed."""
        return f"{self.stdout}\n{self.stderr}"

    @property
    def errors(self) -> list[str]:
        """Lines that report an error."""
        return [line for line in self.stderr.splitlines() if re.search(r"error(\[\w+\])?: ", line)]

    def told(self) -> dict[str, object]:
        """Return the essence, for a report."""
        lines = self.stderr.splitlines() or self.stdout.splitlines()
        return {
            "exit": self.code,
            "seconds": self.seconds,
            "mebibytes": self.mebibytes,
            "said": (self.errors or lines or [""])[0][:300],
            "outside": [event for event in self.events if event.startswith("write ")],
            "left": list(self.left),
        }


class Sandbox:
    """A warm process, and the folder in which hostile inputs are made and run."""

    def __init__(self, place: Path) -> None:
        """Start the process; `place` is an empty folder."""
        self.place = place
        for name in _WRITABLE:
            (place / name).mkdir()
        self._clear()
        self.is_closed = namespace.is_possible()
        words = [sys.executable, "-m", "tests.hostile.server", str(place)]
        words += ["closed"] if self.is_closed else ["open"]
        self._process = subprocess.Popen(
            [*namespace.ENTER, *words] if self.is_closed else words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Threads would not live on in forks.
            env={**self._environment(), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            cwd=ROOT,
        )
        self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, case: Hostile) -> Happened:
        """Make an input, run it, and return what came of it."""
        self._clear()
        case.make(self.place)
        io = self.place / "io"
        (io / "stdin").write_bytes(case.stdin)
        request = {
            "words": list(map(self._placed, case.words)),
            "env": {**self._environment(), **{k: self._placed(v) for k, v in case.env.items()}},
            "stdout": case.stdout,
            "program": case.program,
            "seconds": case.seconds,
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        return Happened(
            **{**answer, "left": tuple(answer["left"])},
            stdout=_text(io / "stdout"),
            stderr=_text(io / "stderr"),
            events=tuple(map(str, map(ast.literal_eval, _text(io / "events").splitlines()))),
            litter=tuple(sorted(path.name for path in (self.place / "tmp").iterdir())),
        )

    def _placed(self, text: str) -> str:
        return text.replace("{here}", str(self.place))

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the warm process ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _environment(self) -> dict[str, str]:
        """Return a small environment: no index has any package, and no compiler compiles."""
        return {
            "PATH": f"{self.place / 'programs'}:{os.environ['PATH']}",
            "HOME": str(self.place / "home"),
            "TMPDIR": str(self.place / "tmp"),
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
        }

    def _clear(self) -> None:
        """Remove all but the folders, which are mounted."""
        for path in self.place.iterdir():
            if path.name not in _WRITABLE:
                _remove(path)
            else:
                for inner in path.iterdir():
                    _remove(inner)
        for name in ("home", "programs"):
            (self.place / name).mkdir()
        # What is taken so far that it is compiled ends here: inputs are at stake, not builds.
        compiler = self.place / "programs" / "c++"
        compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo c++ 12.2.0\n')
        compiler.chmod(0o755)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        with suppress(OSError):
            path.chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink()


def _text(path: Path) -> str:
    """Return the beginning of a file; empty if there is none."""
    try:
        with path.open("rb") as stream:
            return stream.read(PRINTED_BYTES).decode(errors="backslashreplace")
    except FileNotFoundError:
        return ""
