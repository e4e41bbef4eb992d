"""Where a process was when a signal ended it: what `native/crash_trace.cpp` wrote, with names."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.extension import MODULE
from harness.domain.records import Crash, CrashFrame
from harness.util.process import capture, signal_name
from harness.util.reading import read_left

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMING_SECONDS = 60.0
MAX_FRAMES = 24
TRACE_BYTES = 1 << 20
"""Of a trace: 64 frames with the names of functions and modules."""
_FRAME = re.compile(r"(at|by) ([0-9a-f]+) (\S+) (.+)")


@dataclass(frozen=True, kw_only=True)
class RawFrame:
    """One frame as the handler wrote it."""

    interrupted: bool
    """Whether the signal came here, and not in what this one called."""
    offset: int
    """Place in the module."""
    exported: str
    """The exported function at hand, which is only right where the module exports them all."""
    module: str
    """Path of the module; empty if the place belongs to none."""


def read_trace(text: str) -> tuple[int, list[RawFrame]]:
    """Return the number of the signal and the frames below the handler's, the innermost first.

    The number is 0 where nothing was written. Frames end where the Python binding begins.
    """
    number = 0
    frames: list[RawFrame] = []
    # The last line may be torn.
    for line in text[: text.rfind("\n") + 1].splitlines():
        found = _FRAME.fullmatch(line)
        if line.startswith("signal ") and line[7:].isdigit():
            number, frames = int(line[7:]), []
        elif found:
            kind, offset, exported, module = found.groups()
            frames.append(
                RawFrame(
                    interrupted=kind == "at",
                    offset=int(offset, 16),
                    exported="" if exported == "-" else exported,
                    module="" if module == "-" else module,
                )
            )
    start = next((at for at, frame in enumerate(frames) if frame.interrupted), len(frames))
    inner = frames[start:]
    end = next((at for at, frame in enumerate(inner) if MODULE in frame.module), len(inner))
    return number, inner[:end]


def crash_of(trace: Path, core: Path) -> Crash | None:
    """Return what a process wrote of its end; None if it wrote nothing.

    Args:
        trace: the file that it wrote to.
        core: the shared library of the build, whose functions are named by its symbols.
    """
    text = read_left(trace, limit=TRACE_BYTES).decode(errors="replace")
    number, frames = read_trace(text)
    if not number:
        return None
    frames = frames[:MAX_FRAMES]
    names = _names([frame.offset for frame in frames if Path(frame.module) == core], core)
    return Crash(
        signal=signal_name(number),
        frames=tuple(
            CrashFrame(function=names.get(frame.offset, "") or frame.exported)
            if Path(frame.module) == core
            else CrashFrame(function=frame.exported, module=Path(frame.module).name)
            for frame in frames
        ),
    )


def _names(offsets: Sequence[int], core: Path) -> dict[int, str]:
    """Return the functions at places of the build by its symbol table, as far as it has them."""
    program = shutil.which("addr2line")
    if not (offsets and program):
        return {}
    words = [hex(offset) for offset in offsets]
    said = capture([program, "-C", "-f", "-e", core, *words], timeout=NAMING_SECONDS)
    functions = said.text.splitlines()[::2]
    if not said.ok or len(functions) != len(offsets):
        return {}
    return {
        offset: "" if name == "??" else short_name(name)
        for offset, name in zip(offsets, functions, strict=True)
    }


def short_name(function: str) -> str:
    """Return a demangled function without its parameters and what a compiler made of it.

    `ncnn::f(ncnn::Mat const&) [clone ._omp_fn.1]` → `ncnn::f`.
    """
    name = re.sub(r" \[clone [^\]]*\]", "", function)
    name = name.replace("(anonymous namespace)::", "")
    shorter = re.sub(r"\([^()]*\)", "", name)
    while shorter != name:
        name, shorter = shorter, re.sub(r"\([^()]*\)", "", shorter)
    return name.removesuffix(" const").rpartition(" ")[2] if "<" not in name else name
