"""A failed step of a build, and what is to blame: ncnn, this machine, or nobody knows.

Only what ncnn is to blame for is remembered. What this machine did or lacked is another thing
tomorrow, and a failure without a reason may be a success the next time.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from harness.build import cmake
from harness.build.linker_output import undefined_symbols
from harness.util.process import signal_name

if TYPE_CHECKING:
    from pathlib import Path

    from harness.util.process import Completed

Step = Literal["configure", "compile"]


class Blame(Enum):
    """Why a step of a build failed."""

    NCNN = "ncnn"
    """It does not configure or compile so: it never will."""
    SHORTAGE = "shortage"
    """Of disk, memory or whatever a limit of this machine counts: every build would fail."""
    LACKING = "lacking"
    """Something that can be installed here: other builds may not need it."""
    UNKNOWN = "unknown"
    """A compiler that crashed or took too long, or nothing that was said."""


_SHORTAGE = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error"
    r"|Cannot allocate|virtual memory exhausted|out of memory allocating|LLVM ERROR: out of memory"
    r"|Too many open files|File too large|File size limit exceeded|Resource temporarily unavailable"
    r"|CPU time limit exceeded|Killed signal terminated program|unable to execute command: Killed"
    r"|terminated with signal 9\b|terminated with signal 2[45]\b|FAILED: \[code=137\]"
)
"""What compilers, linkers, CMake and Ninja say of a machine that is full or sets limits."""
_CRASH = re.compile(
    r"what\(\):  std::bad_alloc|MemoryError"
    r"|internal compiler error|likely a hardware or OS problem|PLEASE submit a bug report"
    r"|\w+ signal terminated program|terminated with signal \d+|due to signal"
    r"|unable to execute command|FAILED: \[code=1(?:29|[34]\d|5\d)\]"
)
_HEADER = re.compile(r"fatal error: '?([^':\n]+?)'?(?:: No such file or directory| file not found)")
_LACKING = re.compile(
    r"cannot find (-l[^\s:]+)|unable to find library (-l\S+)|library not found for (-l\S+)"
    r"|Could NOT find (\w+)|package configuration file provided by\s+\"(\w+)\""
    r"|cannot execute '(\w+)'|collect2: fatal error: cannot find '(\w+)'"
    r"|(?:c\+\+|g\+\+|gcc|clang\S*): (?:fatal )?error: cannot execute '?([^\s':]+)"
)
_NO_COMPILER = re.compile(
    r"No CMAKE_C\w*_COMPILER could be found|is not able to compile a\s+simple test program"
)
A_COMPILER = "a compiler that works, with its assembler and linker on PATH"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What became of a step that did not succeed."""

    step: Step
    fate: str
    """How it ended, in words."""
    output: str
    returncode: int = 1
    """Exit code, or minus the signal's number."""
    timed_out: bool = False

    @classmethod
    def of(cls, step: Step, done: Completed) -> Failure:
        """Return the failure of a program that ended without success."""
        return cls(
            step=step,
            fate=done.fate,
            output=done.output,
            returncode=done.returncode,
            timed_out=done.timed_out,
        )

    @property
    def error(self) -> str:
        """What is said of it in one line."""
        return f"{self.step}: {self.fate}: {cmake.first_error(self.output)}"

    @property
    def is_of_linking(self) -> bool:
        """Whether all was compiled, and symbols were missing in the end."""
        return self.step == "compile" and bool(undefined_symbols(self.output))

    @property
    def shortage(self) -> str:
        """The sign that disk, memory or a limit of this machine is behind it; empty if none is."""
        found = _SHORTAGE.search(self.output)
        if found:
            return "SIGKILL" if "code=137" in found[0] else found[0]
        # Who ends Ninja or CMake is a person, or a machine that is short of memory.
        killed = not self.timed_out and self.returncode == -signal.SIGKILL
        return signal_name(signal.SIGKILL) if killed else ""

    @property
    def may_be_of_shortcuts(self) -> bool:
        """Whether this version may only not compile with shortcuts, or the cache be at fault.

        What lacks symbols, or disk and memory, is no better without them.
        """
        return not self.shortage and not self.is_of_linking

    def blame(self, source: Path) -> tuple[Blame, str]:
        """Return what is to blame, and the sign of it; of what is lacking, what to install.

        Args:
            source: the tree that was compiled: a header of its own is not this machine's to have.
        """
        if self.shortage:
            return Blame.SHORTAGE, self.shortage
        header = _HEADER.search(self.output)
        if header and not _has(source, header[1].rpartition("/")[2]):
            return Blame.LACKING, f"what has {header[1]}"
        # What is optional is not found without harm before the first error.
        begin = max(0, self.output.find("CMake Error"))
        if lacking := _LACKING.search(self.output, begin):
            return Blame.LACKING, f"what has {next(filter(None, lacking.groups()))}"
        if _NO_COMPILER.search(self.output, begin):
            return Blame.LACKING, A_COMPILER
        crash = _CRASH.search(self.output)
        if crash or self.timed_out or self.returncode < 0:
            return Blame.UNKNOWN, crash[0] if crash else self.fate
        return Blame.NCNN, ""


def _has(source: Path, header: str) -> bool:
    """Return whether a tree has a header of this name, or makes one."""
    if any(source.rglob(header)) or header.endswith(".hex.h"):
        return True
    lists = (*source.rglob("CMakeLists.txt"), *source.rglob("*.cmake"))
    return any(header.encode() in path.read_bytes() for path in lists)
