"""The C++ compilers at hand and the CPU that will execute what they make."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import archspec.cpu

from harness.build.packages import INSTALL, compiler_packages
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.process import capture

if TYPE_CHECKING:
    from collections.abc import Iterable

CANDIDATES = ("c++", "g++", "clang++")
ANSWER_SECONDS = 60.0
ANSWER_BYTES = 16 << 20
"""How much a compiler may say about itself."""


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """A C++ compiler on this machine."""

    path: Path
    version: str
    """First line of `--version`."""
    c_path: Path | None = None
    """The C compiler of the same family, if there is one; ncnn's CMake code asks for one too."""


@cache
def find_compiler(name: str) -> Compiler:
    """Return the compiler called `name`, or the first usable one if the name is empty.

    Raises:
        MachineError: there is none, or it does not say which it is; with the remedy.
    """
    silent = ""
    for candidate in (name,) if name else CANDIDATES:
        found = shutil.which(candidate)
        if not found:
            continue
        answer = capture([found, "--version"], timeout=ANSWER_SECONDS, most_bytes=ANSWER_BYTES)
        first = next(iter(answer.text.strip().splitlines()), "")
        if answer.ok and first:
            return Compiler(path=Path(found), version=first, c_path=_c_compiler(found))
        silent = silent or f"{found} --version: {answer.fate}{'' if first else ', without a word'}"
    if silent:
        raise MachineError(
            f"{silent}. Is it a compiler? Try it by hand, and put another one on PATH, or name it "
            "in the flag set (compiler)",
            code=Code.NO_COMPILER,
        )
    raise MachineError(
        f"{name or 'C++ compiler'}: not found on PATH. Install it, on Debian or Ubuntu with: "
        f"{INSTALL} {' '.join(compiler_packages(name))}",
        code=Code.NO_COMPILER,
    )


def _c_compiler(path: str) -> Path | None:
    """Return the C compiler beside a C++ compiler: `…/aarch64-linux-gnu-g++-12` → `…-gcc-12`."""
    place = Path(path)
    for plus, c in (("clang++", "clang"), ("g++", "gcc"), ("c++", "cc")):
        if plus in place.name:
            found = shutil.which(place.with_name(place.name.replace(plus, c)))
            return Path(found) if found else None
    return None


@cache
def predefined_macros(compiler: Path, flags: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the macros that a compiler defines under `flags`.

    They are the truth about what a compile command enables, whatever the flags are called.
    """
    command = [str(compiler), *flags, "-dM", "-E", "-x", "c++", "/dev/null"]
    text = capture(command, timeout=ANSWER_SECONDS, most_bytes=ANSWER_BYTES).text
    return frozenset(words[1] for line in text.splitlines() if len(words := line.split()) > 1)


def missing_features(needs: Iterable[str]) -> tuple[str, ...]:
    """Return those of the CPU features `needs` that the CPU at hand does not have."""
    host = archspec.cpu.host()
    return tuple(sorted(feature for feature in needs if feature not in host))


def cpu_features() -> tuple[str, ...]:
    """Return the features of the CPU at hand by archspec's names."""
    return tuple(sorted(archspec.cpu.host().features))


def cpu_description() -> str:
    """Return the CPU's microarchitecture and model as far as they can be known."""
    host = archspec.cpu.host()
    brand = archspec.cpu.brand_string()
    return f"{host.name} ({brand})" if brand else str(host.name)


_ARCHS = {
    "x86": "x86",
    "amd64": "x86",
    "i386": "x86",
    "i686": "x86",
    "arm": "arm",
    "aarch64": "arm",
    "riscv": "riscv",
    "mips": "mips",
    "loongarch": "loongarch",
}
"""How names of machines begin, and ncnn's folder for each."""


def layer_arch() -> str:
    """Return the folder below `src/layer` with the kernels of the machine at hand."""
    machine = platform.machine().lower()
    return next((arch for prefix, arch in _ARCHS.items() if machine.startswith(prefix)), machine)
