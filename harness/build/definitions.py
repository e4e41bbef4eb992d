"""Which source of ncnn defines a symbol that a linker misses, and to which layer it belongs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from harness.build.linker_output import parameter_count
from harness.build.trim import listed_layers, owner_of
from harness.sources.tree import source_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from harness.build.linker_output import Undefined

_SOURCES = ("*.cpp", "*.cc", "*.c", "*.S", "*.h")
_INCLUDE = re.compile(r'^\s*#\s*include\s+"(?:[^"]*/)?([^"/]+)"', re.MULTILINE)
_CLOSED = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_BEFORE_BODY = re.compile(r"\s*(?:const|noexcept|override|\s)*(?::[^;{]*)?\{")
_WORD_BYTES = 200
"""How much text before a name may belong to its declaration."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What a library lacks that did not link."""

    layers: frozenset[tuple[str, str]] = frozenset()
    """Pairs of a layer (empty: whatever the model) and another one that it needs."""
    files: frozenset[str] = frozenset()
    """Files of `src` that belong to no layer, such as `mat_pixel.cpp`."""
    unknown: tuple[Undefined, ...] = ()
    """Symbols that no source seems to define."""


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """The sources of one version for one kind of processor."""

    tree: Path
    arch: str
    vulkan: bool = False
    _texts: dict[Path, str] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def layers(self) -> dict[str, str]:
        """All layer types by their names in lower case."""
        return {name.lower(): name for name in listed_layers(self.tree)}

    def missing(self, symbols: Iterable[Undefined], *, present: Iterable[str]) -> Missing:
        """Return what defines symbols.

        Args:
            symbols: what the linker misses.
            present: layers that are compiled already, so that they cannot be what is missing.
        """
        compiled = frozenset(present)
        pairs: set[tuple[str, str]] = set()
        files: set[str] = set()
        unknown: list[Undefined] = []
        for symbol in symbols:
            layers, others = self._owners(symbol, compiled)
            needing = self.needing(symbol, present=compiled)
            pairs |= {(needing, layer) for layer in layers}
            files |= others
            if not layers and not others:
                unknown.append(symbol)
        return Missing(layers=frozenset(pairs), files=frozenset(files), unknown=tuple(unknown))

    def needing(self, symbol: Undefined, *, present: Iterable[str]) -> str:
        """Return the layer that refers to a symbol; empty if none does that is compiled."""
        layer = owner_of(symbol.referrer, self.layers)
        return layer if layer and layer in present else ""

    def _owners(self, symbol: Undefined, compiled: frozenset[str]) -> tuple[set[str], set[str]]:
        """Return the layers, or else the other files, that define a symbol."""
        layers: set[str] = set()
        files: set[str] = set()
        for path in self._defining(symbol):
            owners = self._owners_of(path)
            layers |= owners - compiled
            if not owners and path.parent == self.tree / "src" and path.suffix != ".h":
                files.add(path.name)
        if layers:
            return layers, set()
        if files:
            return set(), files
        # Sources that CMake derives from others, such as `gemm_x86_avx512.cpp`, are not there to
        # be read. Their classes and namespaces begin with the name of their layer.
        named = {owner for part in symbol.scope if (owner := owner_of(part.lower(), self.layers))}
        return named - compiled, set()

    def _owners_of(self, path: Path) -> set[str]:
        """Return the layers that a file belongs to; of a shared header those that include it."""
        own = owner_of(path.name, self.layers)
        if own and path.parent != self.tree / "src":
            return {own}
        if path.suffix != ".h":
            return set()
        return {
            owner
            for other, text in self._sources()
            if other.suffix != ".h"
            and path.name in text
            and path.name in _INCLUDE.findall(text)
            and (owner := owner_of(other.name, self.layers))
        }

    def _defining(self, symbol: Undefined) -> list[Path]:
        """Return the files that define a symbol, with as many parameters if any of them does."""
        if not symbol.name:
            name = symbol.scope[-1]
            return [p for p, text in self._sources() if p.suffix != ".h" and f"{name}::" in text]
        found = {
            path: counts
            for path, text in self._sources()
            if symbol.name in text and (counts := set(_definitions(text, symbol)))
        }
        same = [path for path, counts in found.items() if symbol.parameters in counts]
        return same or list(found)

    def _sources(self) -> Iterator[tuple[Path, str]]:
        if not self._texts:
            layer = self.tree / "src" / "layer"
            folders = [self.tree / "src", layer, layer / self.arch]
            folders += [layer / "vulkan"] if self.vulkan else []
            for folder in folders:
                for path in sorted(p for pattern in _SOURCES for p in folder.glob(pattern)):
                    self._texts[path] = source_text(path)
        yield from self._texts.items()


def _definitions(text: str, symbol: Undefined) -> Iterator[int | None]:
    """Yield how many parameters each definition of a symbol in a text has."""
    namespaces = [part for part in symbol.scope if re.search(rf"\bnamespace\s+{part}\b", text)]
    around = [part for part in symbol.scope if part not in namespaces]
    name = rf"(?<![\w~]){re.escape(symbol.name)}"
    for match in re.finditer(rf"{name}\s*(\(|=|\[|;)", text):
        before = _CLOSED.sub(" ", _declaration_before(text, match.start()))
        if re.search(r"\b(?:static|inline|extern|return|typedef|define)\b", before):
            continue
        qualifier = re.search(r"((?:\w+\s*::\s*)*)$", before)
        written = re.findall(r"\w+", qualifier[1]) if qualifier else []
        if not _fits(written, around, symbol.scope):
            continue
        if match[1] != "(":
            # A variable needs a type before it.
            if re.search(r"[\w>*&]\s+[*&]*$", before):
                yield None
            continue
        end = _closing(text, match.end())
        if end and _BEFORE_BODY.match(_CLOSED.sub(" ", text[end : end + _WORD_BYTES])):
            yield parameter_count(_CLOSED.sub(" ", text[match.end() : end - 1]))


def _fits(written: Sequence[str], around: Sequence[str], scope: Sequence[str]) -> bool:
    """Return whether a name with this qualifier may be the one in a scope.

    Args:
        written: what stands before the name in the source.
        around: the parts of the scope for which the file opens no namespace.
        scope: the whole scope.
    """
    written = [part for part in written if part != "ncnn"]
    if len(written) > len(scope) or (written and written != list(scope[-len(written) :])):
        return False
    return all(part in written for part in around)


def _declaration_before(text: str, end: int) -> str:
    start = max(text.rfind(mark, 0, end) for mark in (";", "}", "{", "\n#", ")\n\n"))
    # A directive ends with its line.
    piece = text[max(start + 1, end - 2 * _WORD_BYTES) : end]
    return piece.split("\n", 1)[-1] if text[start : start + 2] == "\n#" else piece


def _closing(text: str, start: int) -> int | None:
    """Return where the bracket that was opened before `start` is closed."""
    depth = 1
    for match in re.compile(r"[()]").finditer(text, start):
        depth += 1 if match.group() == "(" else -1
        if depth == 0:
            return match.end()
    return None
