"""What a linker says is missing: GNU ld, gold, lld and mold, for this machine or for a target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_REFERENCE = re.compile(
    r"(?:undefined reference to (?:symbol )?"  # GNU ld, gold
    r"|undefined (?:hidden |protected |internal )?symbol: "  # lld, mold
    r"|(?:hidden|protected|internal) symbol (?=.* isn't defined))"  # GNU ld
    r"[`'\"‘“]?(?P<symbol>.+?)[`'\"’”]?(?: isn't defined)?$"
)
_OBJECT = re.compile(r"([\w.+-]+\.(?:cpp|cxx|cc|c|S|h)(?:\.o|\.obj)?)(?=[):\s]|$)")
_WHAT_OF_A_CLASS = re.compile(
    r"^(?:construction )?(?:vtable|typeinfo(?: name)?|VTT) for |^guard variable for "
    r"|^(?:non-)?virtual (?:override )?thunk to "
)
_MANGLED_PREFIX = re.compile(r"^_Z(?:T[VTIS]|GV|Th?n?\d*_|Tv\d+_n?\d*_)?(N?)[rVK]*")
_TEMPLATE = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, kw_only=True)
class Undefined:
    """A symbol that something refers to and nothing defines."""

    scope: tuple[str, ...]
    """Namespaces and classes around it, outermost first, without `ncnn`."""
    name: str
    """Its own name; empty for what belongs to a class as a whole, such as its vtable."""
    parameters: int | None = None
    """How many parameters it has; None where that is not known."""
    referrer: str = ""
    """Source file of the object that refers to it, such as `convolution_x86.cpp`."""

    def __str__(self) -> str:
        """Return its qualified name."""
        return "::".join(filter(None, ("ncnn", *self.scope, self.name)))


def undefined_symbols(output: str) -> tuple[Undefined, ...]:
    """Return the undefined symbols that the output of a failed link names, each one once."""
    found: dict[Undefined, None] = {}
    lines = output.splitlines()
    referrer = ""
    for number, line in enumerate(lines):
        match = _REFERENCE.search(line.rstrip())
        before = line[: match.start()] if match else line
        if match is None and "in function " not in line:
            continue
        # Of an archive's member GNU ld names the object; a line that says `in function` holds
        # for those that follow it.
        objects = _OBJECT.findall(before.split("in function ")[0])
        if objects:
            referrer = objects[-1]
        if match is None:
            continue
        mentioned = _mentioned(lines[number + 1 : number + 4])
        symbol = _parsed(match["symbol"], _source(mentioned or referrer))
        if symbol:
            found[symbol] = None
    return tuple(found)


def _mentioned(following: list[str]) -> str:
    """Return the first object of the lines with which lld and mold go on."""
    for line in following:
        if not line.startswith(">>>"):
            break
        objects = _OBJECT.findall(line)
        if objects:
            return str(objects[0])
    return ""


def _source(name: str) -> str:
    return PurePosixPath(name.removesuffix(".obj").removesuffix(".o")).name


def _parsed(symbol: str, referrer: str) -> Undefined | None:
    """Read one symbol, mangled or not."""
    symbol = symbol.strip().split("@@")[0]
    if symbol.startswith("_Z"):
        names, parameters = _demangled(symbol), None
        whole = symbol.startswith(("_ZTV", "_ZTI", "_ZTS", "_ZTT"))
    else:
        names, parameters = _split(_WHAT_OF_A_CLASS.sub("", symbol))
        whole = bool(re.match(r".*?(?:vtable|typeinfo|VTT)\b.* for ", symbol))
    if not names:
        return None
    if names[0] == "ncnn":
        names = names[1:]
    if whole:
        return Undefined(scope=names, name="", referrer=referrer)
    if not names:
        return None
    return Undefined(scope=names[:-1], name=names[-1], parameters=parameters, referrer=referrer)


def _split(symbol: str) -> tuple[tuple[str, ...], int | None]:
    """Return the parts of a demangled name and how many parameters it has."""
    while _TEMPLATE.search(symbol):
        symbol = _TEMPLATE.sub("", symbol)
    symbol = symbol.replace("(anonymous namespace)::", "").replace("[abi:cxx11]", "")
    name, bracket, rest = symbol.partition("(")
    parts = tuple(part for part in name.split()[-1].split("::") if part) if name.split() else ()
    if not bracket:
        return parts, None
    return parts, parameter_count(rest[: rest.rfind(")")])


def parameter_count(text: str) -> int:
    """Return how many parameters stand between the brackets of a function."""
    depth, count = 0, int(bool(text.strip()) and text.strip() != "void")
    for character in text:
        depth += (character in "(<") - (character in ")>")
        count += character == "," and depth == 0
    return count


def _demangled(symbol: str) -> tuple[str, ...]:
    """Return the names at the beginning of a mangled name, enough to look for its definition."""
    prefix = _MANGLED_PREFIX.match(symbol)
    rest = symbol[prefix.end() :] if prefix else ""
    parts: list[str] = []
    while size := re.match(r"L?(\d+)", rest):
        end = size.end() + int(size[1])
        parts.append(rest[size.end() : end])
        rest = rest[end:]
        if prefix and not prefix[1]:
            break
    if parts and re.match(r"[CD]\d", rest):  # a constructor or destructor
        parts.append(parts[-1] if rest.startswith("C") else f"~{parts[-1]}")
    return tuple(parts)
