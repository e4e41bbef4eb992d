"""Builds that count which of their lines and branches were run, and what reads those counts.

GCC's gcov writes, for each object file, a note when it is compiled (`.gcno`: which lines and
branches there are) and adds to a file of counts when a process says so (`.gcda`).
"""

from __future__ import annotations

import ctypes
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.build.cmake import read_compile_commands
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.process import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.build.toolchain import Compiler
    from harness.domain.spec import FlagSet

NOTES = "gcov"
"""Directory beside a build's core with its notes, laid out as the build directory was."""
NOTE = ".gcno"
PREFIX = "GCOV_PREFIX"
"""Environment variable with the directory below which counts are written."""
DUMP = "__gcov_dump"
"""What a core exports that adds to the files of counts what a process has run."""
READ_SECONDS = 300.0
_NOTHING_RUN = "cannot open data file, assuming not executed"
Report: TypeAlias = "dict[str, Any]"
"""One object of `gcov --json-format`, see "Invoking gcov" in GCC's manual."""

_OPTIONS = {
    # GCC makes a function of its own of each loop over threads, and gcov leaves those out. What a
    # layer does with more than one thread it does here too, one part after the other.
    "NCNN_OPENMP": "OFF",
}
_ADDED = {
    "CMAKE_CXX_FLAGS": "--coverage",
    # Nothing in a library calls it, so that the linker would leave it out; what no other function
    # calls it shall leave out, since nothing could reach that.
    "CMAKE_SHARED_LINKER_FLAGS": f"-Wl,-u,{DUMP} -Wl,--gc-sections",
}
_COMPILED = "-O0 -ffunction-sections"
"""Optimised code merges lines and turns branches into arithmetic, which counts as neither."""


def with_coverage(flags: FlagSet) -> FlagSet:
    """Return a flag set that compiles the same sources to count what is run of them."""
    if flags.wants_coverage:
        return flags
    options = {**dict(flags.options), **_OPTIONS}
    for name, added in _ADDED.items():
        options[name] = f"{options.get(name, '')} {added}".strip()
    return replace(
        flags,
        name=f"{flags.name}-coverage",
        options=tuple(sorted(options.items())),
        cxx_flags=f"{flags.cxx_flags} {_COMPILED}".strip(),
    )


def gcov_of(compiler: Compiler) -> Path:
    """Return the gcov that came with a compiler: one of another version cannot read its notes.

    Raises:
        MachineError: there is none, or the compiler is not GCC.
    """
    path = compiler.path.resolve()
    if "clang" in compiler.version:
        raise MachineError(
            f"{compiler.path}: coverage is counted and read by GCC's gcov. Choose a flag set of "
            'GCC: compiler = "g++"',
            code=Code.COVERAGE,
        )
    name = path.name.replace("g++", "gcov").replace("c++", "gcov")
    found = shutil.which(str(path.with_name(name)))
    if not found or name == path.name:
        raise MachineError(
            f"{compiler.path}: there is no {name} beside it, which comes with GCC",
            code=Code.COVERAGE,
        )
    return Path(found)


def keep_notes(build: Path, folder: Path) -> None:
    """Copy the notes of the layers in a build directory to where the build is kept."""
    for note in build.glob(f"**/layer/**/*{NOTE}"):
        place = folder / NOTES / note.relative_to(build)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(note, place)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The counts of all processes that run a build."""

    folder: Path
    """Where they are written; processes add to what is there."""
    gcov: Path
    notes: tuple[Path, ...]
    """Copies of the build's notes, each where its counts are written."""

    @classmethod
    def begun(cls, core: Path, compiler: Compiler, folder: Path) -> Counts:
        """Return where the processes of a build are to count, with nothing counted yet.

        Args:
            core: of a build `with_coverage`.
            compiler: what compiled it.
            folder: a directory, empty or not there.

        Raises:
            MachineError: the build keeps no notes, or there is no gcov.
        """
        gcov = gcov_of(compiler)
        compiled = next(iter(read_compile_commands(core.parent)), None)
        kept = core.parent / NOTES
        if compiled is None or not kept.is_dir():
            raise MachineError(
                f"{core.parent}: it was not compiled to count what is run of it", code=Code.COVERAGE
            )
        place = folder / compiled.directory.relative_to(compiled.directory.anchor)
        shutil.copytree(kept, place)
        return cls(folder=folder, gcov=gcov, notes=tuple(sorted(place.rglob(f"*{NOTE}"))))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to know."""
        return {PREFIX: str(self.folder)}

    def linked(self, core: Path) -> frozenset[str]:
        """Return the functions that a core consists of, by their names in object files.

        Raises:
            MachineError: its symbols cannot be read.
        """
        nm = self.gcov.with_name(self.gcov.name.partition("gcov")[0] + "nm")
        done = capture((nm, "--format=posix", core), timeout=READ_SECONDS)
        if not done.ok:
            raise MachineError(
                f"{nm} cannot read {core}: {done.stderr.strip()}", code=Code.COVERAGE
            )
        return frozenset(line.partition(" ")[0] for line in done.text.splitlines())

    def reports(self) -> Iterator[Report]:
        """Yield what gcov says of each object file; also of those of which nothing was run.

        Raises:
            MachineError: gcov cannot read notes or counts.
        """
        for note in self.notes:
            command = (self.gcov, "--json-format", "--stdout", "--branch-probabilities", note)
            done = capture(command, timeout=READ_SECONDS, env={"LANGUAGE": "C"})
            # It ends well whatever it says; with counts of another build it takes all for zero.
            trouble = [line for line in done.stderr.splitlines() if _NOTHING_RUN not in line]
            if trouble or not done.ok:
                raise MachineError(
                    f"{self.gcov} cannot read {note}: {done.stderr.strip()}", code=Code.COVERAGE
                )
            yield json.loads(done.text)


def dump_counts(core: Path) -> None:
    """Add what this process has run of a core to the files of counts."""
    getattr(ctypes.CDLL(str(core)), DUMP)()
