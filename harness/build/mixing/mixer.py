"""Cores linked of parts of two builds: what compiles, assembles and links them."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from harness.build import cmake
from harness.build.builder import Build
from harness.build.mixing.assembly import AssemblyText, TwoTexts
from harness.build.mixing.objects import CORE_UNIT, ObjectBuild, linked
from harness.build.plan import CORE
from harness.domain.spec import content_key
from harness.util.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.build.builder import Builder

LINK = "the link"
"""Stands among translation units for the command that links them, and the libraries in it."""

_GNU_NAME = "GNU "
"""How the name of GCC begins in a record."""
LINKED = "linked"
_SECONDS = 600
_GNU = (
    "-fno-ipa-ra",
    "-fno-ipa-pure-const",
    "-fno-ipa-reference",
    "-fno-ipa-vrp",
    "-fno-ipa-bit-cp",
    "-fno-section-anchors",
)
"""Functions must not know each other: which registers one leaves alone, what it reads and writes,
what it is called with. Objects have names."""
_GNU_11 = ("-fno-ipa-modref",)
_CLANG = ("-fsemantic-interposition", "-fvisibility=default")
"""The same: Clang takes nothing for granted of what another library might replace."""
_APART = ("-fno-inline",)
"""Functions stay what they are in the source."""
_GNU_APART = (
    "-fno-ipa-cp",
    "-fno-ipa-sra",
    "-fno-ipa-icf",
    "-fno-partial-inlining",
)
_PRECOMPILED = "cmake_pch."
"""How the header begins that CMake has precompiled and included."""
_LEFT_OUT = ("-c", "-Winvalid-pch")


@dataclass(frozen=True, order=True)
class Function:
    """A function of a translation unit."""

    unit: str
    symbol: str


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """Two builds, and the parts that differ in them."""

    builder: Builder
    sides: tuple[ObjectBuild, ObjectBuild]
    """The good build and the bad one."""
    folder: Path
    """Where to work."""

    def units(self) -> tuple[str, ...]:
        """Return what differs: translation units by path, and the link, if that does."""
        first, second = self.sides
        names = sorted({*first.units, *second.units})
        found = [name for name in names if not self._is_same(name)]
        return (*found, LINK) if self._differ_in_link() else tuple(found)

    def _is_same(self, unit: str) -> bool:
        contents = [
            side.object_of(unit).read_bytes() if unit in side.units else b"" for side in self.sides
        ]
        return contents[0] == contents[1]

    def _differ_in_link(self) -> bool:
        """Return whether the two builds are linked in different ways, their folders aside."""
        first, second = (
            [
                word.replace(str(side.folder), "")
                for word in side.link
                if not word.startswith("-Wl,--dependency-file")
            ]
            for side in self.sides
        )
        return first != second

    def split(self, unit: str, *, inlining: bool) -> TwoTexts | None:
        """Return a translation unit as functions that can be exchanged; None if one has it not.

        Args:
            unit: its name.
            inlining: whether functions may be inlined and specialised.

        Raises:
            BuildError: it does not compile so.
        """
        if unit in (LINK, CORE_UNIT) or not all(unit in side.units for side in self.sides):
            return None
        first, second = (
            AssemblyText.parse(self._assembly(side, unit, inlining)) for side in (0, 1)
        )
        return TwoTexts(
            # Without the key, a-b.cpp and a_b.cpp would be one.
            name=re.sub(r"\W", "_", unit) + content_key(unit),
            texts=(first, second),
            local=all(_is_gnu(side.record.compiler) for side in self.sides),
        )

    def made(
        self, bad: frozenset[str], split: Mapping[str, TwoTexts], functions: frozenset[Function]
    ) -> Build:
        """Return a build that is linked of parts of both.

        Args:
            bad: translation units as the bad build has them; all others are the good build's.
            split: translation units of which functions are exchanged, with their functions.
            functions: the functions of these that come from the bad build.

        Raises:
            BuildError: it does not link.
        """
        first, second = self.sides
        objects: list[Path] = []
        core = first.object_of(CORE_UNIT)
        # In the order of the library: of what several files define, the linker takes the first.
        for unit in dict.fromkeys([*first.units, *second.units]):
            if unit in split:
                own = frozenset(each.symbol for each in functions if each.unit == unit)
                both = self._assembled(unit, split[unit], own)
                # Whichever is taken first, the other comes next, before any other unit.
                objects += [*both, both[0]]
                continue
            side = self.sides[unit in bad]
            if unit not in side.units:
                continue
            if unit == CORE_UNIT:
                core = side.object_of(unit)
            else:
                objects.append(side.object_of(unit))
        lead = self.sides[LINK in bad]
        key = content_key([list(map(str, objects)), str(core), str(lead.folder)])
        target = self.folder / LINKED / key / CORE
        target.parent.mkdir(parents=True, exist_ok=True)
        libraries = [*first.libraries, *second.libraries]
        linked(self.builder, lead, objects, core, libraries, target)
        record = self.sides[1].record.model_copy(update={"key": key})
        return Build(core=target, record=record)

    def tidy(self) -> None:
        """Remove what was linked."""
        shutil.rmtree(self.folder / LINKED, ignore_errors=True)

    def _assembly(self, side: int, unit: str, inlining: bool) -> str:
        build = self.sides[side]
        flags = ["-g1", "-fno-lto", *_apart(build.record.compiler, inlining=inlining)]
        target = self._place(unit, side, "whole" if inlining else "apart", ".s")
        command = build.units[unit]
        self._run([*_words(command.command), *flags, "-S", "-o", target], target, build)
        return target.read_text(encoding="utf-8", errors="surrogateescape")

    def _assembled(self, unit: str, texts: TwoTexts, bad: frozenset[str]) -> list[Path]:
        """Return the object files of a unit of which some functions are as in the bad build."""
        objects = []
        for side, text in enumerate(texts.mixed(bad)):
            key = content_key([unit, text])
            target = self._place(unit, side, key, ".o")
            if not target.exists():
                source = target.with_suffix(".s")
                source.write_text(text, encoding="utf-8", errors="surrogateescape")
                build = self.sides[side]
                words = [
                    word
                    for word in _words(build.units[unit].command)
                    if word != str(build.units[unit].file)
                ]
                self._run([*words, "-c", source, "-o", target], target, build)
            objects.append(target)
        return objects

    def _place(self, unit: str, side: int, key: str, suffix: str) -> Path:
        folder = self.folder / "units" / content_key(unit)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{side}-{key}{suffix}"

    def _run(self, command: Sequence[str | Path], target: Path, build: ObjectBuild) -> None:
        log = target.with_suffix(".log")
        done = self.builder.processes.run(
            command, log=log, timeout=_SECONDS, cwd=build.folder, env={"LANGUAGE": "C"}
        )
        if not done.ok:
            # What was written of it is not to be linked by the next mixture.
            target.unlink(missing_ok=True)
            error = cmake.first_error(done.output)
            raise BuildError(f"compile: {error}", first_error=f"compile: {error}")


def _is_gnu(compiler: str) -> bool:
    return compiler.startswith(_GNU_NAME)


def _apart(compiler: str, *, inlining: bool) -> list[str]:
    """Return the flags with which functions rely on nothing but each other's declarations."""
    if not _is_gnu(compiler):
        return [*_CLANG, *(() if inlining else _APART)]
    version = compiler.removeprefix(_GNU_NAME).partition(".")[0]
    flags = [*_GNU, *(_GNU_11 if version.isdigit() and int(version) >= 11 else ())]
    return flags if inlining else [*flags, *_APART, *_GNU_APART]


def _words(command: str) -> list[str]:
    """Return a compile command without what it writes, and without its precompiled header."""
    words: list[str] = []
    rest = iter(shlex.split(command))
    for word in rest:
        if word == "-o":
            next(rest, "")
        elif word == "-include":
            header = next(rest, "")
            if not PurePath(header).name.startswith(_PRECOMPILED):
                words += [word, header]
        elif word not in _LEFT_OUT:
            words.append(word)
    return words
