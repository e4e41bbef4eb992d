"""The values of parameters in ncnn's `.param` files, with the characters they were written in."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from harness.util.codes import Code
from harness.util.errors import ModelError

MAX_LITERAL = 15
"""Characters of a number that ncnn reads; a longer one corrupts the rest of the file."""
ARRAY_KEY = -23300
"""The key of an array in the classic style is this minus the id."""

Number = int | float
Plain = Number | str | tuple[Number, ...]

INTEGER = re.compile(r"[+-]?[0-9]+")
INTEGERS = range(-(2**31), 2**31)
"""Those that ncnn has."""
FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Value:
    """The value of one parameter, as the exact characters of the file."""

    text: str
    """What follows `=`; for a counted array the elements without their count."""
    counted: bool = False
    """Whether this is an array in the classic style `-23303=2,0.1,0.2`, which every ncnn reads;
    recent ncnn also reads `3=0.1,0.2`."""

    @classmethod
    def of(cls, plain: Plain) -> Value:
        """Return a value in the form that every ncnn reads exactly.

        Raises:
            ModelError: a float that is not finite, an integer beyond 32 bits, a string that
                ncnn cannot read.
        """
        if isinstance(plain, tuple):
            if any(isinstance(element, float) for element in plain):
                # ncnn stores an array as the bits of one type: a stray `1` would be 1e-45.
                plain = tuple(float(element) for element in plain)
            return cls(",".join(_literal(element) for element in plain), counted=True)
        if isinstance(plain, str):
            if re.search(r'["\n]', plain) or len(plain) > 240:
                raise ModelError(
                    f"{plain!r} cannot be a parameter. Leave out quotes, shorten it.",
                    code=Code.PARAM,
                )
            return cls(f'"{plain}"')
        return cls(_literal(plain))

    @property
    def plain(self) -> Plain:
        """The value as Python sees it: int, float, str or a tuple of numbers."""
        if not self.counted and self.text[:1].isalpha():
            return self.text
        if not self.counted and self.text[:1] == '"':
            return self.text.strip('"')
        elements = tuple(_number(word) for word in self.text.split(",") if word)
        return elements if self.counted or "," in self.text else elements[0]

    def assignment(self, key: int) -> str:
        """Return the `id=value` pair as it stands in a file."""
        if not self.counted:
            return f"{key}={self.text}"
        count = len(self.text.split(",")) if self.text else 0
        return f"{ARRAY_KEY - key}={count}" + (f",{self.text}" if self.text else "")


def _number(word: str) -> Number:
    return int(word) if INTEGER.fullmatch(word) else float(word)


def _literal(number: Number) -> str:
    if isinstance(number, int):
        if number not in INTEGERS:
            raise ModelError(
                f"{number} does not fit into 32 bits. Give a smaller number.", code=Code.PARAM
            )
        return str(int(number))
    with np.errstate(over="ignore"):
        single = np.float32(number)
    if not np.isfinite(single):
        raise ModelError(
            f"{number} cannot be written to a .param file. Give a finite number.", code=Code.PARAM
        )
    # One digit before the point: ncnn's own parser overflows on many digits behind it.
    return np.format_float_scientific(single, unique=True, trim="0", exp_digits=2)
