"""One translation unit compiled in two ways, with each function from either.

Both assembler texts are kept whole, and both are assembled. What changes is names: a function that
is to come from the other text is given another name where it is defined, and keeps its name where
it is called, so that the linker takes the other's. Functions that are local to a unit get a name
that both texts can refer to. No instruction is touched.

FLiT (M. Bentley et al., "Multi-Level Analysis of Compiler-Induced Variability and Performance
Tradeoffs", HPDC 2019) does the same with weak symbols in object files, which reaches only what is
global there; in an assembler text local functions and templates still have their names.

What can be written to is there once, since functions of both texts share it, and is initialised
once. Where several units define a function, the linker takes the first, as it does without this.

What has a dot in its name (`.constprop`, `.isra`, `.part`, `.cold`, `._omp_fn`) is a part of the
function around it, with a calling convention of its own, and goes where that goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from harness.build.mixing.state import COMMON, LABEL, TOKEN, State, in_sections, starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Side = Literal[0, 1]
"""0: as the good build compiles it; 1: as the bad one does."""
Binding = Literal["global", "weak", "local"]

_TYPE = re.compile(r"\s*\.type\s+([\w.$]+)\s*,\s*[@%](function|object|gnu_unique_object)")
_BINDING = re.compile(r"\s*\.(globl|global|weak)\s+([\w.$]+)")
_ALIAS = re.compile(r"\s*\.set\s+([\w.$]+)\s*,\s*([\w.$]+)\s*$")
_NAMED = re.compile(
    r"\s*\.(?:globl|global|weak|hidden|protected|internal|local|type|size|set|comm)\s+([\w.$]+)"
)
_SCOPE = re.compile(r"\s*\.(?:globl|global|weak|hidden|protected|internal|local)\s")
_GROUP = re.compile(
    r'(\s*\.section\s+[^,]+,\s*"[a-zA-Z]*)G([a-zA-Z]*"\s*,\s*[@%]\w+(?:,\d+)?),([\w.$]+),comdat'
)
_LINE = re.compile(r"\s*\.loc\s+(\d+)\s+(\d+)")
_FILE = re.compile(r'\s*\.file\s+(\d+)\s+"([^"]*)"(?:\s+"([^"]*)")?')
_TEXT = re.compile(r"\s*\.(?:string|ascii|asciz|file|ident)\b")
_DIRECTIVE = re.compile(r"\s*\.")
_ALIGNED = 64
"""Bytes by which objects for both texts are aligned: one may count on more than the other has."""
_DROPPED = re.compile(r"\s*\.addrsig")
"""What only helps a linker to fold functions that are alike."""


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A function or an object that a text defines."""

    name: str
    binding: Binding
    is_function: bool
    place: str = ""
    """Source file and line of a function, if the text was compiled with `-g1`."""


@dataclass(frozen=True)
class AssemblyText:
    """What a compiler made of a translation unit, as text."""

    text: str
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names for what has another name as well."""
    mentions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By function: the functions of this text that it calls or takes the address of."""
    state: State = field(default_factory=lambda: State({}, frozenset()))

    @classmethod
    def parse(cls, text: str) -> AssemblyText:
        """Read the output of GCC or Clang for an ELF target."""
        kinds: dict[str, bool] = {}
        bindings: dict[str, Binding] = {}
        aliases: dict[str, str] = {}
        places: dict[str, str] = {}
        files: dict[str, str] = {}
        mentions: dict[str, set[str]] = {}
        labels: set[str] = set()
        inside = root = ""
        for line in text.splitlines():
            if found := _TYPE.match(line):
                kinds[found[1]] = found[2] == "function"
            elif found := _BINDING.match(line):
                bindings[found[2]] = "weak" if found[1] == "weak" else "global"
            elif found := _ALIAS.match(line):
                aliases[found[1]] = found[2]
            elif found := COMMON.match(line):
                kinds[found[1]] = False
                labels.add(found[1])
            elif found := LABEL.match(line):
                labels.add(found[1])
                inside = found[1] if kinds.get(found[1]) else inside
            elif found := _FILE.match(line):
                # The first one, 0, says what others are relative to; what is absolute stays so.
                root = found[2] if found[1] == "0" and found[3] else root
                files[found[1]] = str(PurePosixPath(root, found[2], found[3] or ""))
            elif inside and inside not in places and (found := _LINE.match(line)):
                places[inside] = f"{files.get(found[1], '')}:{found[2]}"
            elif inside and not _DIRECTIVE.match(line):
                mentions.setdefault(inside, set()).update(TOKEN.findall(line))
        aliases = {name: of for name, of in aliases.items() if of in kinds}
        # Not every compiler says what they are.
        kinds |= {name: kinds[of] for name, of in aliases.items()}
        symbols = {
            name: Symbol(
                name=name,
                binding=bindings.get(name, "local"),
                is_function=is_function,
                place=places.get(name, ""),
            )
            for name, is_function in kinds.items()
            if name in labels or name in aliases
        }
        functions = frozenset(name for name, symbol in symbols.items() if symbol.is_function)
        known = {name: functions & found - {name} for name, found in mentions.items()}
        return cls(text, symbols, aliases, known, State.parse(text))

    def reached(self, name: str) -> tuple[str, ...]:
        """Return the functions that a function calls, and those that these call, by their base.

        What has a dot in its name is part of the function that it is called after.
        """
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            one = waiting.pop()
            for other in sorted(self.mentions.get(one, ())):
                if other not in found:
                    found[other] = None
                    waiting.append(other)
        bases = dict.fromkeys(each.partition(".")[0] or each for each in found)
        return tuple(base for base in bases if base != name)


@dataclass(frozen=True, kw_only=True)
class TwoTexts:
    """A translation unit as two builds compile it."""

    name: str
    """Tells the unit from others in names of symbols: letters, digits and underscores."""
    texts: tuple[AssemblyText, AssemblyText]
    local: bool
    """Whether functions that are local are called as others are, in both texts.

    GCC gives one with another convention another name; Clang does not.
    """

    def functions(self) -> tuple[str, ...]:
        """Return the functions that can come from either text, in the order of the first.

        Of several names of one function, the one that it is defined under.
        """
        return tuple(name for name in self.texts[0].symbols if name in self._exchangeable)

    def company(self, name: str) -> tuple[str, ...]:
        """Return what a function of the second text calls that the first has not got."""
        first, second = self.texts
        had = {each.partition(".")[0] for each in first.symbols}
        return tuple(each for each in second.reached(name) if each not in had)

    def mixed(self, bad: frozenset[str]) -> tuple[str, str]:
        """Return both texts to be assembled and linked together.

        Args:
            bad: the functions to come from the second text; all others come from the first.
        """
        owners = (self._exchangeable - bad, self._exchangeable & bad)
        first, second = (self._written(side, owners[side]) for side in (0, 1))
        return first, second

    @cached_property
    def _exchangeable(self) -> frozenset[str]:
        first, second = self.texts
        return frozenset(
            name
            for name, symbol in first.symbols.items()
            if symbol.is_function
            and name in second.symbols
            and second.symbols[name].is_function
            and self._has_standard_calls(name)
            and self._has_one_scope(name)
            and name not in first.aliases
            and name not in second.aliases
            and _names_of(first, name) == _names_of(second, name)
        )

    def _has_standard_calls(self, name: str) -> bool:
        if all(name in text.state.starters for text in self.texts):
            return True
        if "." in name or name.startswith("_GLOBAL__"):
            return False
        return self.local or all(text.symbols[name].binding != "local" for text in self.texts)

    def _has_one_scope(self, name: str) -> bool:
        """Return whether both texts agree on who else may call it."""
        first, second = (text.symbols[name].binding for text in self.texts)
        return first == second

    def _written(self, side: Side, own: frozenset[str]) -> str:
        text = self.texts[side]
        defined: dict[str, str] = {}
        called: dict[str, str] = {}
        hidden: set[str] = set()
        unscoped: set[str] = set()
        for name in text.symbols:
            target = text.aliases.get(name, name)
            is_local = text.symbols[name].binding == "local"
            if target in self._exchangeable:
                shared = f"__inside_{self.name}_{name}" if is_local else name
                called[name] = shared
                if target not in own:
                    defined[name] = f"__other{side}_{self.name}_{name}"
                    unscoped.add(name)
                    continue
                defined[name] = shared
                if is_local:
                    hidden.add(name)
                    unscoped.add(name)
            elif text.symbols[name].is_function and text.symbols[name].binding == "weak":
                # Others of this name, in any unit, are not for this one to call.
                defined[name] = called[name] = f"__own{side}_{self.name}_{name}"
                unscoped.add(name)
            elif self._is_shared_state(name):
                called[name] = f"__inside_{self.name}_{name}"
                if side == 0:
                    defined[name] = called[name]
                    hidden.add(name)
                    unscoped.add(name)
                else:
                    defined[name] = f"__other{side}_{self.name}_{name}"
            elif side == 1 and self._is_common(name):
                # Objects that both have are the first's: else a state would be there twice.
                defined[name] = f"__other{side}_{self.name}_{name}"
                unscoped.add(name)
        functions = {name for name, symbol in text.symbols.items() if symbol.is_function}
        return _renamed(self._prepared[side], functions, defined, called, hidden, unscoped)

    @cached_property
    def _prepared(self) -> tuple[list[str], list[str]]:
        """The lines of both texts, fit to be linked together."""
        return self._prepared_of(0), self._prepared_of(1)

    def _prepared_of(self, side: Side) -> list[str]:
        lines = self.texts[side].text.splitlines()
        if side == 0:
            lines = _aligned(lines, frozenset(filter(self._is_shared, self.texts[0].symbols)))
        else:
            # The first text has the same lists.
            lines = [
                line
                for section, line in in_sections(lines)
                if not starts(section) or self._exchangeable.isdisjoint(TOKEN.findall(line))
            ]
        own, other = (f"__text{number}_{self.name}" for number in (side, 1 - side))
        # Each refers to the other, so that the linker takes both of an archive or none.
        return [
            *lines,
            '\t.section\t.data.rel.ro.inside,"aw"',
            f"\t.globl\t{own}",
            f"\t.hidden\t{own}",
            f"{own}:",
            f"\t.dc.a\t{other}",
        ]

    def _is_shared(self, name: str) -> bool:
        """Return whether a name is of an object that both texts define and that is there once."""
        is_object = not self.texts[0].symbols[name].is_function
        return is_object and (self._is_common(name) or self._is_shared_state(name))

    def _is_shared_state(self, name: str) -> bool:
        """Return whether a name is of a local object that both texts can write to."""
        sizes = [text.state.sizes.get(name) for text in self.texts]
        return (
            sizes[0] is not None
            and sizes[0] == sizes[1]
            and all(
                name in text.symbols and text.symbols[name].binding == "local"
                for text in self.texts
            )
        )

    def _is_common(self, name: str) -> bool:
        """Return whether both texts define a global symbol, which no two files may."""
        return all(
            name in text.symbols and text.symbols[name].binding == "global" for text in self.texts
        )


def _renamed(
    lines: Iterable[str],
    functions: set[str],
    defined: Mapping[str, str],
    called: Mapping[str, str],
    hidden: set[str],
    unscoped: set[str],
) -> str:
    """Return lines as a text, with other names for what is defined in it and what it calls."""
    both = {**called, **defined}
    found: list[str] = []
    for line in lines:
        if _DROPPED.match(line):
            continue
        if _TEXT.match(line):
            found.append(line)
            continue
        named = _NAMED.match(line) or LABEL.match(line)
        name = named[1] if named else ""
        if name in unscoped and _SCOPE.match(line):
            continue
        group = _GROUP.match(line)
        if group and _is_of_function(group[3], functions):
            # The linker keeps one of each group, which need not be the one that is wanted.
            line = f"{group[1]}{group[2]}{line[group.end() :]}"
        alias = _ALIAS.match(line)
        if name in hidden and (alias or LABEL.match(line) or COMMON.match(line)):
            found += [f"\t.globl\t{defined[name]}", f"\t.hidden\t{defined[name]}"]
        found.append(_with(both if alias or name in defined else called, line))
    return "".join(f"{line}\n" for line in found)


def _aligned(lines: Iterable[str], names: frozenset[str]) -> list[str]:
    """Return lines in which some objects are aligned for whatever may use them."""
    found: list[str] = []
    for line in lines:
        if (common := COMMON.match(line)) and common[1] in names:
            found.append(f"\t.comm\t{common[1]},{common[2]},{_ALIGNED}")
            continue
        if (label := LABEL.match(line)) and label[1] in names:
            found.append(f"\t.balign\t{_ALIGNED}")
        found.append(line)
    return found


def _with(names: Mapping[str, str], line: str) -> str:
    return TOKEN.sub(lambda token: names.get(token[0], token[0]), line)


def _names_of(text: AssemblyText, target: str) -> frozenset[str]:
    return frozenset(name for name, of in text.aliases.items() if of == target)


def _is_of_function(group: str, functions: set[str]) -> bool:
    """Return whether a group is that of a function: constructors of all kinds share one."""
    return group in functions or re.search(r"[CD]5E", group) is not None
