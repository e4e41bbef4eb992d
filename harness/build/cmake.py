"""Driving CMake and Ninja from the package index, and reading back what they did."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cmake
import ninja

from harness.util.sealed import read_sealed, write_sealed

if TYPE_CHECKING:
    from collections.abc import Iterable

CMAKE = Path(cmake.CMAKE_BIN_DIR) / "cmake"
NINJA = Path(ninja.BIN_DIR) / "ninja"
VERSION = cmake.__version__
ANSWERS = "probes.cmake"
"""What a configured build directory says of the compiler, see `native/probes.cmake`."""
ASKED_AGAIN = "the compiler is asked again"

_FIRST_ERROR = re.compile(
    r"^(?:CMake Error.*(?:\n\s*\n?\s+\S.*)?|.*(?:fatal )?error: .*|.*undefined reference to .*)$",
    re.MULTILINE,
)
_PROGRESS = re.compile(r"\[(\d+)/(\d+)\]")


def query_file_api(build: Path) -> None:
    """Ask CMake to describe its cache and toolchain while it configures `build`."""
    query = build / ".cmake" / "api" / "v1" / "query"
    query.mkdir(parents=True, exist_ok=True)
    for kind in ("cache-v2", "toolchains-v1"):
        (query / kind).touch()


def _reply(build: Path, kind: str) -> dict[str, Any]:
    replies = sorted((build / ".cmake" / "api" / "v1" / "reply").glob(f"{kind}-*.json"))
    data: dict[str, Any] = json.loads(replies[-1].read_text(encoding="utf-8"))
    return data


def read_cache(build: Path) -> dict[str, str]:
    """Return all entries of a configured build's CMake cache."""
    return {entry["name"]: entry["value"] for entry in _reply(build, "cache-v2")["entries"]}


def read_compiler(build: Path) -> str:
    """Return the C++ compiler's id and version as CMake found them, such as `GNU 12.2.0`."""
    for toolchain in _reply(build, "toolchains-v1")["toolchains"]:
        if toolchain["language"] == "CXX":
            return f"{toolchain['compiler']['id']} {toolchain['compiler']['version']}"
    return ""


def remember_answers(build: Path, known: Path) -> None:
    """Add to the file `known` the answers that the compiler gave while `build` was configured."""
    new = build / ANSWERS
    if not new.exists():
        return
    before = (read_sealed(known, then=ASKED_AGAIN) or "").splitlines()
    lines = dict.fromkeys([*before, *new.read_text(encoding="utf-8").splitlines()])
    write_sealed(known, "".join(f"{line}\n" for line in lines))


@dataclass(frozen=True, kw_only=True)
class CompileCommand:
    """How one file was compiled."""

    file: Path
    command: str
    directory: Path
    """Where it was run: the build directory."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that select code: everything but file names, includes and definitions."""
        words = shlex.split(self.command)[1:]
        return tuple(word for word in words if word.startswith(("-m", "-f", "-O", "-std")))


def read_compile_commands(build: Path) -> list[CompileCommand]:
    """Return the compile commands of a configured build."""
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    return [
        CompileCommand(
            file=Path(entry["file"]), command=entry["command"], directory=Path(entry["directory"])
        )
        for entry in entries
    ]


def representative(commands: Iterable[CompileCommand], arch: str) -> CompileCommand | None:
    """Return the compile command that stands for a build: InnerProduct's kernel, else any kernel.

    All kernels of a fixed-ISA build share their flags, so that any of them can stand for it.
    """
    kernels = [c for c in commands if c.file.parent.name == arch]
    preferred = [c for c in kernels if c.file.name == f"innerproduct_{arch}.cpp"]
    return next(iter(preferred or kernels), None)


def progress(line: str) -> tuple[int, int] | None:
    """Return how many of how many steps Ninja has done, from a line that it prints."""
    found = _PROGRESS.match(line)
    return (int(found[1]), int(found[2])) if found else None


def first_error(output: str) -> str:
    """Return the first line of a build's output that reports an error, else its last line."""
    found = _FIRST_ERROR.search(output)
    if found:
        return " ".join(found.group().split())[:500]
    lines = output.strip().splitlines()
    return lines[-1][:500] if lines else "no output"
