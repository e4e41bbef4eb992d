"""What the C library does with memory, as far as it can be told while a program runs.

A build that reads what nobody wrote, or reads past the end of a blob, mostly finds zeros there, or
the same values as the last time. Only with other memory around it does it give itself away.
Everything here is glibc's `mallopt(3)`. Other C libraries (musl, macOS, Windows) have no such
thing: there, measurements differ in the order of inputs and the places of blobs only.
"""

from __future__ import annotations

import ctypes
from enum import StrEnum

_M_TOP_PAD, _M_MMAP_MAX, _M_PERTURB = -2, -4, -6
"""Names of `mallopt`'s parameters, from glibc's `malloc.h`."""

FILL = 0x84
"""Freed memory is filled with this byte and fresh memory with its complement, 0x7b: as numbers
1.3e36 in float32 and bfloat16, 6e4 in float16, 123 in int8. That is large in each type and NaN in
none (a factor of 0 keeps what is multiplied out of a result), and a pointer to nowhere."""
_ROOM = 64 << 20
_ZEROED = 0xFF
"""Fresh memory is filled with zeros."""


class Heap(StrEnum):
    """How a worker's memory is looked after."""

    AS_IT_IS = "as it is"
    FILLED = "filled"
    """Memory that nobody wrote holds `FILL` or its complement."""
    ROOMY = "roomy"
    """Blobs lie close to each other, with zeros that may be read behind the last one: what is past
    the end of one is rarely a place that must not be read."""


def prepare(heap: Heap) -> None:
    """Look after this process's memory in a way; without glibc nothing is changed."""
    for parameter, value in _settings(heap).items():
        try:
            ctypes.CDLL(None).mallopt(parameter, value)
        except (AttributeError, TypeError, OSError):
            return


def environment(heap: Heap) -> dict[str, str]:
    """Return variables that have a program with glibc, perhaps an emulated one, do the same."""
    names = {_M_TOP_PAD: "top_pad", _M_MMAP_MAX: "mmap_max", _M_PERTURB: "perturb"}
    tunables = [f"glibc.malloc.{names[key]}={value}" for key, value in _settings(heap).items()]
    return {"GLIBC_TUNABLES": ":".join(tunables)} if tunables else {}


def _settings(heap: Heap) -> dict[int, int]:
    if heap is Heap.FILLED:
        return {_M_PERTURB: FILL}
    if heap is Heap.ROOMY:
        return {_M_MMAP_MAX: 0, _M_TOP_PAD: _ROOM, _M_PERTURB: _ZEROED}
    return {}
