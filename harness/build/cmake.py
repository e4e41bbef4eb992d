"""Driving CMake and Ninja from the package index, and reading back what they did."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cmake
import ninja
from pydantic import BaseModel, TypeAdapter

from harness.util.errors import BuildError
from harness.util.sealed import read_sealed, write_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CMAKE = Path(cmake.CMAKE_BIN_DIR) / "cmake"
NINJA = Path(ninja.BIN_DIR) / "ninja"
VERSION = cmake.__version__
ANSWERS = "probes.cmake"
"""What a configured build directory says of the compiler, see `native/probes.cmake`."""
ASKED_AGAIN = "the compiler is asked again"

_FIRST_ERROR = re.compile(
    r"^(?:CMake Error.*(?:\n\s*\n?\s+\S.*)?"
    r"(?:\n\n\s+\".*\"\n\n\s+is not able to compile a\s+simple test program\.)?"
    r"|.*(?:fatal )?error: .*|.*undefined reference to .*)$",
    re.MULTILINE,
)
_PROGRESS = re.compile(r"\[(\d+)/(\d+)\]")


def query_file_api(build: Path) -> None:
    """Ask CMake to describe its cache and toolchain while it configures `build`."""
    query = build / ".cmake" / "api" / "v1" / "query"
    query.mkdir(parents=True, exist_ok=True)
    for kind in ("cache-v2", "toolchains-v1"):
        (query / kind).touch()


class _Entry(BaseModel):
    name: str
    value: str


class _Cache(BaseModel):
    entries: tuple[_Entry, ...]


class _Compiler(BaseModel):
    id: str
    version: str


class _Toolchain(BaseModel):
    language: str
    compiler: _Compiler


class _Toolchains(BaseModel):
    toolchains: tuple[_Toolchain, ...]


class _Command(BaseModel):
    file: Path
    command: str
    directory: Path
    output: Path = Path()


_COMMANDS = TypeAdapter(tuple[_Command, ...])
_Reply = TypeVar("_Reply")


def _read(path: Path, parse: Callable[[bytes], _Reply]) -> _Reply:
    """Read what CMake wrote: the source that it configures may have tampered with it.

    Raises:
        BuildError: it is not there, or not as CMake writes it.
    """
    try:
        return parse(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BuildError(f"{path}: not what CMake writes ({reason})") from error


def _reply(build: Path, kind: str) -> Path:
    folder = build / ".cmake" / "api" / "v1" / "reply"
    return max(folder.glob(f"{kind}-*.json"), default=folder / f"{kind}.json")


def read_cache(build: Path) -> dict[str, str]:
    """Return all entries of a configured build's CMake cache.

    Raises:
        BuildError: CMake did not tell.
    """
    cache = _read(_reply(build, "cache-v2"), _Cache.model_validate_json)
    return {entry.name: entry.value for entry in cache.entries}


def read_compiler(build: Path) -> str:
    """Return the C++ compiler's id and version as CMake found them, such as `GNU 12.2.0`.

    Raises:
        BuildError: CMake did not tell.
    """
    found = _read(_reply(build, "toolchains-v1"), _Toolchains.model_validate_json)
    for toolchain in found.toolchains:
        if toolchain.language == "CXX":
            return f"{toolchain.compiler.id} {toolchain.compiler.version}"
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
    output: Path = Path()
    """The object file."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that select code: everything but file names, includes and definitions.

        Raises:
            BuildError: a quotation mark has no end.
        """
        try:
            words = shlex.split(self.command)[1:]
        except ValueError as error:
            raise BuildError(f"{self.file}: its compile command is none ({error})") from error
        return tuple(word for word in words if word.startswith(("-m", "-f", "-O", "-std")))


def read_compile_commands(build: Path) -> list[CompileCommand]:
    """Return the compile commands of a configured build.

    Raises:
        BuildError: CMake did not tell.
    """
    entries = _read(build / "compile_commands.json", _COMMANDS.validate_json)
    return [CompileCommand(**dict(entry)) for entry in entries]


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
