"""Numbers as C++ text from which a compiler gets the same numbers back, bit for bit."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Array = NDArray[Any]

COLUMNS = 100
INDENT = "    "
UNJUDGED = "ANY"
"""Stands for a number that may be any."""


def float_literal(value: np.float32) -> str:
    """Return a float with as many digits as tell it from its neighbours."""
    # NumPy's text of a float32 is the shortest that is read back as the same one.
    return _not_finite(float(value)) or f"{_with_point(str(np.float32(value)))}f"


def double_literal(value: float) -> str:
    """Return a double with as many digits as tell it from its neighbours."""
    return _not_finite(value) or _with_point(repr(float(value)))


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NAN"
    return ("INFINITY" if value > 0 else "-INFINITY") if math.isinf(value) else ""


def _with_point(text: str) -> str:
    return text if any(mark in text for mark in ".e") else f"{text}.0"


def numbers(values: Array) -> str:
    """Return an array's elements as lines of a C++ initialiser.

    Args:
        values: float32, int32 or int8, of any shape.
    """
    flat = values.reshape(-1)
    if values.dtype == np.float32:
        return wrapped(map(float_literal, flat))
    return wrapped(str(int(value)) for value in flat)


def judged_numbers(values: Array, unjudged: NDArray[np.bool_]) -> str:
    """Return float64 numbers as lines of an initialiser, with `ANY` for those not judged."""
    flat = zip(values.reshape(-1), unjudged.reshape(-1), strict=True)
    return wrapped(UNJUDGED if skip else double_literal(value) for value, skip in flat)


def words(data: bytes) -> str:
    """Return bytes, padded to whole little-endian 32-bit words, as lines of an initialiser."""
    padded = data + bytes(-len(data) % 4)
    return wrapped(f"0x{word:08x}" for word in np.frombuffer(padded, "<u4"))


def wrapped(literals: Iterable[str]) -> str:
    """Return literals between commas in lines of up to `COLUMNS` characters."""
    lines = _lines(", ".join(literals), first=INDENT)
    return "\n".join(lines)


def wrapped_words(words: Iterable[str]) -> list[str]:
    """Return the words of a command in lines, those behind the first one indented."""
    return _lines(" ".join(words), first="", columns=COLUMNS - len(" \\"))


def _lines(text: str, *, first: str, columns: int = COLUMNS) -> list[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def string(text: str) -> str:
    """Return text of several lines as C++ string literals, one for each line."""
    return "\n".join(INDENT + quoted(line + "\n") for line in text.removesuffix("\n").split("\n"))


def quoted(text: str) -> str:
    """Return text as a C++ string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
