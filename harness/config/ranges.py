"""Which numbers, names and shapes are sane, in configuration files and on command lines alike."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from harness.util.paths import known_path

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_NAME = 255
"""Characters of a name: as many as those of a file."""
MOST_AXES = 16
MOST_ELEMENTS = 2**31 - 1
"""Of a blob, of which ncnn counts the elements of a channel in an `int`."""
MOST_EXTENT = 2**31 - 1
"""Of one axis, which ncnn counts in an `int`."""
MOST_SECONDS = 30 * 24 * 3600
"""Of one step: a month."""
MOST_GIB = 2**20
LEAST_MEMORY_GIB = 0.5
"""Python, NumPy and a build of ncnn do not fit into less."""
MOST_PROCESSES = 1024
MOST_SEED = 2**63 - 1
SCHEMES = ("https", "http", "ssh", "git", "file")
"""Of remotes: all that git itself speaks."""
INT32 = (-(2**31), 2**31 - 1)

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def whole(text: str) -> int:
    """Return the whole number that a text is, in ASCII digits and nothing else.

    Raises:
        ValueError: it is none.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError("no whole number")
    return int(text)


@dataclass(frozen=True)
class Whole:
    """Whole numbers from one to another."""

    least: int
    most: int

    def __call__(self, text: str) -> int:
        """Return the number that a text is.

        Raises:
            ValueError: it is none, or out of range.
        """
        if not (_WHOLE.fullmatch(text) and self.least <= int(text) <= self.most):
            raise ValueError(f"give a whole number from {self.least} to {self.most}")
        return int(text)


@dataclass(frozen=True)
class Real:
    """Finite numbers from one to another."""

    least: float
    most: float

    def __call__(self, text: str) -> float:
        """Return the number that a text is.

        Raises:
            ValueError: it is none, or out of range.
        """
        try:
            value = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not self.least <= value <= self.most:
            raise ValueError(f"give a number from {self.least:.9g} to {self.most:.9g}")
        return value


def known_name(text: str) -> str:
    """Return a name that can stand in tables, ids and files.

    Raises:
        ValueError: it is empty, too long, or has control characters.
    """
    if not text.strip():
        raise ValueError("empty. Give a name")
    if len(text) > LONGEST_NAME:
        raise ValueError(f"{len(text)} characters, and names have {LONGEST_NAME} at most")
    if found := _CONTROL.search(text):
        raise ValueError(f"has the control character {found[0]!r}. Leave it out")
    if text.startswith("-"):
        raise ValueError("begins as an option does. Give another name")
    return text


def known_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a tensor.

    Raises:
        ValueError: it has more axes than there can be, or an extent that no tensor has.
    """
    if len(shape) > MOST_AXES:
        raise ValueError(f"{len(shape)} axes, and {MOST_AXES} are the most that a shape has here")
    wrong = next((extent for extent in shape if not 1 <= extent <= MOST_EXTENT), None)
    if wrong is not None:
        raise ValueError(f"an axis of {wrong:.12g}: give extents from 1 to {MOST_EXTENT}")
    return tuple(shape)


def known_label(text: str) -> str:
    """Return a name that can be a part of an id.

    Raises:
        ValueError: it is no name, or has a `/`.
    """
    if "/" in text:
        raise ValueError("a '/' separates the parts of an id. Give another label")
    return known_name(text)


def known_repository(text: str) -> str:
    """Return the path or URL of a git repository; an empty one stays empty.

    Raises:
        ValueError: git would take it for an option, or for a program to talk to.
    """
    scheme, is_url, rest = text.partition("://")
    if _CONTROL.search(text):
        raise ValueError("has a control character. Leave it out")
    if (rest if is_url else text).startswith("-"):
        raise ValueError("begins as an option does. Give a URL, host:path or a path such as ./-x")
    if is_url and "::" not in scheme and scheme not in SCHEMES:
        raise ValueError(f"{scheme}: is none of {', '.join(SCHEMES)}, which git speaks")
    if "::" in (scheme if is_url else text.partition("/")[0]):
        raise ValueError("names a program for git to talk to. Give a URL, host:path or a path")
    return text if is_url else known_path(text)


Name = Annotated[str, AfterValidator(known_name)]
OptionalName = Annotated[str, AfterValidator(lambda text: known_name(text) if text else text)]
Label = Annotated[str, AfterValidator(known_label)]
Repository = Annotated[str, AfterValidator(known_repository)]
PathText = Annotated[str, AfterValidator(known_path)]
Shape = Annotated[tuple[int, ...], AfterValidator(known_shape)]
Seconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
Threads = Annotated[int, Field(strict=True, ge=1, le=MOST_PROCESSES)]
Seed = Annotated[int, Field(strict=True, ge=0, le=MOST_SEED)]
Int32 = Annotated[int, Field(strict=True, ge=INT32[0], le=INT32[1])]
