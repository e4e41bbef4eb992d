"""Names of functions as their source has them."""

from __future__ import annotations

import shutil
from functools import cache

from harness.util.process import capture

PROGRAM = "c++filt"
"""Comes with the linker."""
_SECONDS = 60.0
_BYTES = 1 << 20


@cache
def demangled(symbol: str) -> str:
    """Return a symbol's name in C++, or the symbol itself where nothing here knows."""
    program = shutil.which(PROGRAM)
    if program is None:
        return symbol
    answer = capture([program, symbol], timeout=_SECONDS, most_bytes=_BYTES)
    return answer.text.strip() if answer.ok else symbol
