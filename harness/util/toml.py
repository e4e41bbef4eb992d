"""TOML that somebody wrote: parsed within limits that no honest file comes near."""

from __future__ import annotations

import math
import re
import tomllib
from typing import TYPE_CHECKING, Any

from harness.util.codes import Code
from harness.util.errors import ConfigError
from harness.util.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_LIMIT = 4 << 20
"""Bytes of a file; the largest of this project has 40 KB."""
LONGEST_KEY = 100
"""Characters of a key that a message shows."""
DEEPEST = 32
"""Tables and lists within each other."""
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_DOTTED = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}\.[ \t]*+){{{DEEPEST}}}")
"""A key of too many parts, for which the parser takes time by their square."""
_INT64 = range(-(2**63), 2**63)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but tabs and line feeds, which prose may have."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a file.

    Raises:
        ConfigError: it cannot be read, see `harness.util.reading`, or is not as `parse_toml` says.
    """
    return parse_toml(read_text(path, limit=FILE_LIMIT, error=ConfigError), str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the table that a text is.

    All numbers in it are finite and fit into 64 bits, and no string has control characters.

    Args:
        text: the TOML.
        where: the file, for messages.

    Raises:
        ConfigError: it is no TOML, or holds what no honest file does.
    """
    if found := _DOTTED.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(f"{where}, line {line}: {_TOO_DEEP}")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        lines = len(text.rstrip().splitlines())
        said = str(error).replace("at end of document", f"at the end, line {lines}")
        raise ConfigError(
            f"{where}: not valid TOML: {said}. Correct the file.", code=Code.NO_TOML
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{where}: {_TOO_DEEP}", code=Code.NO_TOML) from error
    except ValueError as error:  # from numbers of thousands of digits
        raise ConfigError(
            f"{where}: a number is too long. Correct the file.", code=Code.NO_TOML
        ) from error
    for key, problem in _problems(data):
        place = f"{where}: {key[:LONGEST_KEY]}" if key else where
        raise ConfigError(f"{place}: {problem}", code=Code.NO_TOML)
    return data


_TOO_DEEP = f"more than {DEEPEST} tables and lists within each other. Flatten it."


def _problems(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with values, each after its key."""
    waiting: list[tuple[str, int, Any]] = [("", 0, data)]
    while waiting:
        key, depth, value = waiting.pop()
        if depth > DEEPEST:
            yield key, _TOO_DEEP
        elif isinstance(value, dict):
            waiting += [(key, depth + 1, name) for name in value]
            waiting += [(_joined(key, name), depth + 1, item) for name, item in value.items()]
        elif isinstance(value, list):
            waiting += [(key, depth + 1, item) for item in value]
        elif problem := _problem(value):
            yield key, problem


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _problem(value: Any) -> str:
    if isinstance(value, str) and (found := _CONTROL.search(value)):
        return f"{value[:80]!r} has the control character {found[0]!r}. Leave it out."
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is no number that anything here can be. Give a finite one."
    if isinstance(value, int) and value not in _INT64:
        return "a number that does not fit into 64 bits. Give a smaller one."
    return ""
