"""How numbers look wherever a person reads them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def number(value: float | None) -> str:
    """Return an error with two digits: `2.2e-3`, `0.14`, `12`; `–` where it was not measured."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if 0.1 <= value < 100:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: `a`, `a and b`, `a, b and c`; at least one."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def short(value: float, digits: int = 6) -> str:
    """Return a limit as a person would write it: `2e-5`, `0.001`."""
    return re.sub(r"e-0(\d)", r"e-\1", f"{value:.{digits}g}")


def milliseconds(value: float | None) -> str:
    """Return a latency such as `12.3 ms`."""
    return f"{value:.1f} ms" if value is not None else "–"


UNSTEADY = 1.5
"""Passes that differ by more than this factor were disturbed: their range is shown."""


def latency(fastest: float | None, slowest: float | None) -> str:
    """Return a latency in milliseconds: `12.3`, or `12.3–54.0` where passes differ much."""
    if fastest is None:
        return ""
    if slowest is not None and slowest > UNSTEADY * fastest:
        return f"{fastest:.1f}–{slowest:.1f}"
    return f"{fastest:.1f}"


def count(number: int, noun: str) -> str:
    """Return a number of things in words: `1 cell`, `12 cells`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def option_text(value: object) -> str:
    """Return the value of an option as C++ and the command line have it: `true`, `2`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def assignments(options: Mapping[str, object]) -> list[str]:
    """Return options as the command line takes them: `name=value`."""
    return [f"{name}={option_text(value)}" for name, value in options.items()]
