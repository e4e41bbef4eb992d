"""A finished build directory, set aside with its object files, from which parts are linked anew."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build import cmake
from harness.build.builder import BUILD, SOURCE
from harness.build.plan import CORE, NATIVE
from harness.util.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.build.builder import Builder
    from harness.build.cmake import CompileCommand
    from harness.build.plan import BuildPlan
    from harness.domain.records import BuildRecord

LIBRARY = "src/libncnn.a"
CORE_UNIT = "core"
_GENERATED = "generated"
_LINK_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class ObjectBuild:
    """What one build was linked of."""

    folder: Path
    """The build directory as it was left."""
    source: Path
    """The source that it was compiled of."""
    record: BuildRecord
    units: Mapping[str, CompileCommand]
    """How each translation unit of the library was compiled, by its path in the source; paths in
    the commands are those of `folder` and `source`. `core` is the harness's own."""
    link: tuple[str, ...]
    """The command that links the core, in `folder`; `LIBRARY` and the core's object are in it."""
    archiver: str
    """The program that makes static libraries."""

    def object_of(self, unit: str) -> Path:
        """Return the object file of a translation unit."""
        return self.units[unit].output

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that are linked besides, with their whole paths."""
        return tuple(
            word if word.startswith("-") else str(self.folder / word)
            for word in self.link
            if word.startswith("-l")
            or (word.endswith((".so", ".a")) and word not in (LIBRARY, CORE))
            if not word.startswith("-Wl")
        )


def object_build(builder: Builder, plan: BuildPlan, folder: Path) -> ObjectBuild:
    """Compile a plan and keep its build directory.

    Args:
        builder: where it is compiled.
        plan: what to compile.
        folder: a directory that is not there yet.

    Raises:
        BuildError: it does not configure or compile.
        MachineError: the disk or the memory is full.
    """
    source = plan.tree.path.absolute()
    log = builder.store.logs / f"inside-{plan.key}.log"
    with builder.workplace(plan, log=log) as work:
        build = work / BUILD
        shutil.copytree(build, folder, symlinks=True, ignore=shutil.ignore_patterns("*.gch"))
        words = _link_command(builder, build, log)
        record = builder.describe(plan, build, 0.0)
        commands = cmake.read_compile_commands(build)
    moved = {str(build): str(folder), str(work / SOURCE): str(source)}
    units = {}
    for command in commands:
        own = _moved(command, moved)
        if own.output.suffix == ".o" and own.output.is_file():
            units[_name(own, folder, source)] = own
    return ObjectBuild(
        folder=folder,
        source=source,
        record=record,
        units=units,
        link=tuple(_replaced(word, moved) for word in words),
        archiver=cmake.read_cache(folder).get("CMAKE_AR") or "ar",
    )


def _link_command(builder: Builder, build: Path, log: Path) -> list[str]:
    """Return the words of the command that links the core."""
    command: list[str | Path] = [cmake.NINJA, "-C", build, "-t", "commands", "-s", CORE]
    done = builder.processes.run(command, log=log, timeout=_LINK_SECONDS)
    # CMake has other commands before and after it, which do nothing here.
    for line in done.output.splitlines():
        for part in line.split(" && "):
            words = shlex.split(part)
            if LIBRARY in words and "-shared" in words:
                return words
    raise BuildError(f"{build}: Ninja does not tell how {CORE} is linked", log=str(log))


def _replaced(text: str, moved: Mapping[str, str]) -> str:
    for before, after in moved.items():
        text = text.replace(before, after)
    return text


def _moved(command: CompileCommand, moved: Mapping[str, str]) -> CompileCommand:
    return cmake.CompileCommand(
        file=Path(_replaced(str(command.file), moved)),
        command=_replaced(command.command, moved),
        directory=Path(_replaced(str(command.directory), moved)),
        output=Path(_replaced(str(command.output), moved)),
    )


def _name(command: CompileCommand, folder: Path, source: Path) -> str:
    """Return the name of a unit: the same in builds of the same source."""
    for root, prefix in ((folder, f"{_GENERATED}/"), (source, "")):
        if command.file.is_relative_to(root):
            return f"{prefix}{command.file.relative_to(root).as_posix()}"
    return CORE_UNIT if command.file.is_relative_to(NATIVE) else command.file.as_posix()


def linked(
    builder: Builder,
    lead: ObjectBuild,
    objects: Sequence[Path],
    core: Path,
    libraries: Sequence[str],
    target: Path,
) -> None:
    """Link a core of object files.

    Args:
        builder: what runs programs.
        lead: the build whose command links it.
        objects: what is in the library.
        core: object file of the harness's own unit.
        libraries: to be linked besides, if they are not in the command.
        target: the file to write, in a folder of its own.

    Raises:
        BuildError: it does not link.
    """
    log = target.with_name("link.log")
    archive = target.with_name("mixture.a")
    archive.unlink(missing_ok=True)
    # A thin one: names of object files repeat, and nothing need be copied.
    made: list[str | Path] = [lead.archiver, "qcsT", archive, *objects]
    words: list[str | Path] = []
    for word in lead.link:
        if word == LIBRARY:
            words += [archive, *(each for each in libraries if each not in lead.libraries)]
        elif word == CORE:
            words.append(target)
        elif word.endswith(".o"):
            words.append(core)
        elif not word.startswith("-Wl,--dependency-file"):
            words.append(word)
    for command in (made, words):
        done = builder.processes.run(
            command, log=log, timeout=_LINK_SECONDS, cwd=lead.folder, env={"LANGUAGE": "C"}
        )
        if not done.ok:
            error = cmake.first_error(done.output)
            # Its log goes with all else that is linked.
            raise BuildError(f"link: {error}", first_error=f"link: {error}")
