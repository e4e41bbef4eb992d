"""What an assembler text can write to, and what it has called when its library is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TOKEN = re.compile(r"[A-Za-z_.][\w.$]*")
"""A name; what stands before one that is taken as an address, `$name`, is no part of it."""
LABEL = re.compile(r"([\w.$]+):")
COMMON = re.compile(r"\s*\.comm\s+([\w.$]+)\s*,\s*(\d+)")
"""Defines an object of zeros, without a label."""
_SECTION = re.compile(r'\s*\.section\s+"?([\w.$-]+)"?(?:\s*,\s*"([^"]*)")?')
_SHORT = re.compile(r"\s*(\.(?:text|data|bss))\b")
_SIZE = re.compile(r"\s*\.size\s+([\w.$]+)\s*,\s*(\d+)\b")
_STARTING = (".init_array", ".fini_array", ".ctors", ".dtors")
_CONSTANT = ".data.rel.ro"
"""Written to by the loader only."""
_WRITABLE = (".data", ".bss", ".tdata", ".tbss")


@dataclass(frozen=True)
class State:
    """What is in the memory of a library by one of its translation units."""

    sizes: Mapping[str, int]
    """Objects that can be written to, with their bytes."""
    starters: frozenset[str]
    """What is called when the library is loaded or unloaded, and all that is named beside it."""

    @classmethod
    def parse(cls, text: str) -> State:
        """Read the output of GCC or Clang for an ELF target."""
        found: dict[str, int] = {}
        writable: set[str] = set()
        starters: set[str] = set()
        for section, line in in_sections(text.splitlines()):
            if common := COMMON.match(line):
                writable.add(common[1])
                found[common[1]] = int(common[2])
            elif size := _SIZE.match(line):
                found[size[1]] = int(size[2])
            elif section.startswith(_STARTING):
                starters.update(TOKEN.findall(line))
            elif section.startswith(_WRITABLE) and (label := LABEL.match(line)):
                writable.add(label[1])
        sizes = {name: size for name, size in found.items() if name in writable}
        return cls(sizes, frozenset(starters))


def in_sections(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each line of a text with the section that it is in; no section for constants."""
    section = ""
    for line in lines:
        if found := _SECTION.match(line) or _SHORT.match(line):
            section = "" if found[1].startswith(_CONSTANT) else found[1]
        yield section, line


def starts(section: str) -> bool:
    """Return whether a section lists what is called when a library is loaded or unloaded."""
    return section.startswith(_STARTING)
