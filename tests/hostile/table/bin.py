"""`.bin` files, as `audit` reads them."""

from __future__ import annotations

import struct

from tests.hostile.case import USAGE, Hostile
from tests.hostile.making import AUDIT, at, directory, fifo, link, sparse, then
from tests.hostile.table.param import REPORTED

INNER = "7767517\n2 2\nInput x 0 1 x\nInnerProduct w 1 1 x y 0=2 1=1 2=6\n"
"""Six weights and two biases."""
FP16, INT8, FP32 = 0x01306B47, 0x000D4B38, 0x0002C056
WHOLE = struct.pack("<I8f", 0, *range(8))
HALF = struct.pack("<I6e2f", FP16, *range(8))
TABLE = struct.pack("<I256f6B2x2f", 7, *[0.5] * 256, *range(6), 1, 2)


def _case(
    name: str,
    data: bytes,
    *,
    param: str = INNER,
    ends: frozenset[int] = USAGE,
    named: str = r"\bw\b",
) -> Hostile:
    return Hostile(
        id=f"bin/{name}",
        kind=".bin",
        words=(*AUDIT, "--bin", "m.bin"),
        make=at(m__param=param, m__bin=data),
        shown=f"{len(data)} bytes: {data[:24].hex(' ')}",
        names=(r"m\.(bin|param)", named) if ends == USAGE else (),
        ends=ends,
    )


_CUT = tuple(
    _case(f"cut-at-{size}", WHOLE[:size]) for size in (0, 1, 3, 4, 5, 8, 27, 28, 29, 31, 35)
)
_KINDS = tuple(
    _case(f"{kind}-cut-at-{size}", data[:size])
    for kind, data in (("half", HALF), ("table", TABLE))
    for size in (4, 6, len(data) - 9, len(data) - 1)
)
_LONG = tuple(
    _case(f"longer-by-{len(more)}", WHOLE + more, named="follow")
    for more in (b"\0", b"\0\0\0\0", b"\xff" * 4096)
)
_FINE = (
    _case("whole", WHOLE, ends=REPORTED),
    _case("half", HALF, ends=REPORTED),
    _case("table", TABLE, ends=REPORTED),
    _case("fp32-tag", struct.pack("<I8f", FP32, *range(8)), ends=REPORTED),
)
_NUMBERS = tuple(
    # Weights that no model has: refused, or told of as they are.
    _case(name, struct.pack("<I8f", 0, *numbers), ends=USAGE | REPORTED)
    for name, numbers in (
        ("nan", [float("nan")] * 8),
        ("infinite", [float("inf")] * 8),
        ("subnormal", [1e-45] * 8),
    )
)
_SIZES = tuple(
    _case(name, WHOLE, param=INNER.replace("0=2 1=1 2=6", pairs))
    for name, pairs in (
        ("2^31-weights", "0=2 1=1 2=2147483647"),
        ("2^31-outputs", "0=2147483647 1=1 2=2147483646"),
        ("negative", "0=2 1=1 2=-6"),
        ("indivisible", "0=4 1=1 2=6"),
        ("bias-of-a-half", "0=2 1=0.5 2=6"),
        ("int8-scales", "0=2 1=1 2=6 8=1"),
        ("int8-nonsense", "0=2 1=1 2=6 8=-7"),
    )
)
_OTHERS = (
    _case("no-weights", WHOLE, param=INNER.replace(" 2=6", ""), named="follow"),
    _case("text", INNER.encode()),
    _case("zip", b"PK\x03\x04" + bytes(60)),
    _case("pickle", b"\x80\x04cposix\nsystem\n(S'touch pwned'\ntR."),
    _case(
        "none-needed", b"\0\0\0\0", param=INNER.replace("InnerProduct w", "ReLU w"), named="follow"
    ),
    _case(
        "memory-data-of-a-terabyte",
        bytes(64),
        param="7767517\n2 2\nInput x 0 1 x\nMemoryData w 0 1 y 0=1048576 1=1048576\n",
    ),
    _case(
        "memory-data-that-wraps",
        bytes(64),
        param="7767517\n2 2\nInput x 0 1 x\nMemoryData w 0 1 y 0=65536 1=65536 2=65536\n",
    ),
    _case(
        "memory-data-negative",
        bytes(64),
        param="7767517\n2 2\nInput x 0 1 x\nMemoryData w 0 1 y 0=-4 1=-4\n",
    ),
)
_PLACES = tuple(
    Hostile(
        id=f"bin/place/{name}",
        kind=".bin",
        words=(*AUDIT, "--bin", "m.bin"),
        make=then(at(m__param=INNER), make),
        names=(r"m\.bin",),
    )
    for name, make in (
        ("directory", directory("m.bin")),
        ("pipe", fifo("m.bin")),
        ("zero", link("m.bin", "/dev/zero")),
        ("random", link("m.bin", "/dev/urandom")),
        ("link-in-a-circle", link("m.bin", "m.bin")),
        ("sparse", sparse("m.bin")),
        ("absent", link("m.bin", "absent")),
    )
)

CASES = (*_CUT, *_KINDS, *_LONG, *_FINE, *_NUMBERS, *_SIZES, *_OTHERS, *_PLACES)
