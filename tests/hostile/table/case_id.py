"""Ids of cases, as `sweep --list` and `reproducer` read them."""

from __future__ import annotations

from tests.hostile.case import TAKEN, USAGE, Hostile
from tests.hostile.making import usual

DIGITS = "9" * 5000


def _case(name: str, text: str, *, ends: frozenset[int] = USAGE) -> Hostile:
    return Hostile(
        id=f"case-id/{name}",
        kind="case id",
        words=("sweep", "--list", "--config", "c.toml", "--case", text),
        make=usual,
        # What is too long for any argument is refused before anybody looks what it is.
        names=("case|argument [0-9]+",) if ends == USAGE else (),
        ends=ends,
    )


_WRONG = tuple(
    _case(name, text)
    for name, text in {
        "empty": "",
        "colons": ":::::",
        "no-type": ":0=1:3",
        "lower-case": "softmax:0=1:3x7",
        "arabic-type": "S٣:0=1:3",
        "newline-in-type": "Soft\nmax:0=1:3",
        "path": "../../Softmax:0=1:3",
        "parts": "Softmax:0=1:3x7:x=normal:y",
        "no-parameter": "Softmax:0:3",
        "empty-value": "Softmax:0=:3",
        "word-key": "Softmax:a=1:3",
        "key-digits": f"Softmax:{DIGITS}=1:3",
        "key-beyond": "Softmax:32=1:3",
        "negative-key": "Softmax:-1=1:3",
        "array-key-beyond": "Softmax:-23332=1,1:3",
        "value-digits": f"Softmax:0={DIGITS}:3",
        "value-beyond": "Softmax:0=2147483648:3",
        "value-arabic": "Softmax:0=١:3",
        "value-nul": "Softmax:0=%00:3",
        "value-newline": "Softmax:0=a%0Ab:3",
        "value-quote": "Softmax:0=%22:3",
        "value-infinite": "Softmax:0=1e999:3",
        "value-space": "Softmax:0=1%202=3:3",
        "value-of-lines": "Softmax:0=1%0AInput%20x:3",
        "surrogate": "Softmax:0=\udcff:3",
        "array-count": "Softmax:-23300=3,1:3",
        "array-count-digits": f"Softmax:-23300={DIGITS},1:3",
        "array-count-negative": "Softmax:-23300=-1:3",
        "array-words": "Softmax:-23300=2,a,b:3",
        "array-hole": "Softmax:-23300=2,1,,2:3",
        "axes": "Softmax:0=1:2x2x2x2x2",
        "zero": "Softmax:0=1:0x3",
        "negative": "Softmax:0=1:-3",
        "huge": "Softmax:0=1:4294967296x4294967296",
        "extent-digits": f"Softmax:0=1:{DIGITS}",
        "arabic-shape": "Softmax:0=1:٣",
        "half": "Softmax:0=1:2.5",
        "many-inputs": "Softmax:0=1:" + "+".join(["4096x4096"] * 5000),
        "distribution": "Softmax:0=1:3:x=nonsense",
        "weights": "Softmax:0=1:3:w=nonsense",
        "storage": "Softmax:0=1:3:store=fp8",
        "outputs-zero": "Softmax:0=1:3:out=0",
        "outputs-huge": "Softmax:0=1:3:out=1000000000",
        "outputs-digits": f"Softmax:0=1:3:out={DIGITS}",
        "outputs-superscript": "Softmax:0=1:3:out=²",
        "seed-digits": f"Softmax:0=1:3:seed={DIGITS}",
        "seed-arabic": "Softmax:0=1:3:seed=٣",
        "twice": "Softmax:0=1:3:seed=1,seed=2",
        "twice-a-parameter": "Softmax:0=1,0=2:3",
        "unknown": "Softmax:0=1:3:y=1",
        "percent": "Softmax:0=%:3",
        "long": "S" * 100_000 + ":0=1:3",
        "ids-digits": f"Embed:0=1:3:x=ids{DIGITS}",
    }.items()
)
_RIGHT = tuple(
    _case(f"taken/{name}", text, ends=TAKEN)
    for name, text in {
        "spaces-around": "  Softmax:0=1:3x7  ",
        "no-parameters": "ReLU::3",
        "ends-in-colons": "ReLU::3:",
        "largest": "ReLU::4096x4096",
        "minus-zero": "ReLU:0=-0.0:3",
    }.items()
)
_TYPES = tuple(
    Hostile(
        id=f"case-id/layer/{name}",
        kind="case id",
        words=(
            *("reproducer", "--config", "c.toml", "--bad", "20250503", "--no-check"),
            *("--out", "results/r", "--case", text),
        ),
        make=usual,
        ends=ends,
        names=names,
    )
    for name, text, ends, names in (
        ("unknown-type", "Nonsense::3", USAGE, ("Nonsense",)),
        ("negative-outputs", "InnerProduct:0=-1,1=0,2=3:3", USAGE, ("InnerProduct",)),
        ("huge-outputs", "InnerProduct:0=2147483647,1=0,2=2147483647:1", USAGE, ("InnerProduct",)),
        ("zero-kernel", "Convolution:0=1,1=0,6=1:1x3x3", USAGE, ("Convolution",)),
        ("zero-stride", "Convolution:0=1,1=1,3=0,6=1:1x3x3", USAGE, ("Convolution",)),
        ("kernel-beyond", "Convolution:0=1,1=9,6=81:1x3x3", USAGE, ("Convolution",)),
        ("huge-padding", "Padding:0=2147483647,1=2147483647:3x3", USAGE, ("Padding",)),
        ("huge-tile", "Tile:0=0,1=2147483647:3", USAGE, ("Tile",)),
        ("huge-interp", "Interp:0=2,3=2147483647,4=2147483647:1x3x3", USAGE, ("Interp",)),
        ("huge-reshape", "Reshape:0=2147483647:3", USAGE, ("Reshape",)),
        ("no-input", "ReLU:0=0.1", USAGE, ("ReLU",)),
        ("two-inputs", "ReLU:0=0.1:3+3", USAGE, ("ReLU",)),
        ("unlike-inputs", "BinaryOp:0=0:3x5+7x11", USAGE, ("BinaryOp",)),
        ("too-many-outputs", "Split::3:out=100000", USAGE, ("Split|out",)),
    )
)

CASES = (*_WRONG, *_RIGHT, *_TYPES)
