"""The names that the condition of an advisory can use, and what they stand for in a layer."""

from __future__ import annotations

import re

from harness.advisories.option_defaults import known_options
from harness.definition.parameters import AXES
from harness.model.param import MAX_PARAMS

Shape = tuple[int, ...]
EXTENTS = "whdc"
THREADS, COUNT, STORE = "threads", "inputs", "store"
"""Names: the number of threads, of input blobs, and how weights are stored, such as `fp16`."""
OUTPUT = "out."
INPUTS = 3
"""Inputs whose extents have names."""
FLAGS = {
    "sse2": "NCNN_SSE2",
    "avx": "NCNN_AVX",
    "fma": "NCNN_FMA",
    "f16c": "NCNN_F16C",
    "xop": "NCNN_XOP",
    "avx2": "NCNN_AVX2",
    "avxvnni": "NCNN_AVXVNNI",
    "avx512": "NCNN_AVX512",
    "avx512vnni": "NCNN_AVX512VNNI",
    "avx512bf16": "NCNN_AVX512BF16",
    "avx512fp16": "NCNN_AVX512FP16",
    "arm82": "NCNN_ARM82",
    "arm82dot": "NCNN_ARM82DOT",
    "arm82fp16fml": "NCNN_ARM82FP16FML",
    "arm84bf16": "NCNN_ARM84BF16",
    "arm84i8mm": "NCNN_ARM84I8MM",
    "openmp": "NCNN_OPENMP",
    "bf16": "NCNN_BF16",
    "int8": "NCNN_INT8",
}
"""Build options by the name that a condition has for them, behind `flag.`."""
ANYWHERE_BY_DEFAULT = ("openmp", "bf16", "int8")
"""Those that a build has for any machine, unless it says otherwise."""


def parameter_of(name: str) -> int | None:
    """Return the parameter that a name such as `p3` stands for; None if it is none."""
    found = re.fullmatch(r"p(\d{1,2})", name)
    return int(found[1]) if found and int(found[1]) < MAX_PARAMS else None


def flag_arch(name: str) -> str:
    """Return the architecture whose instructions a flag is about; empty for none."""
    if name in ANYWHERE_BY_DEFAULT:
        return ""
    return "arm" if name.startswith("arm") else "x86"


def blob_names(prefix: str, shape: Shape) -> dict[str, int]:
    """Return the extents of a blob by name, 0 where there is no such axis, and their number."""
    extents = dict(zip(AXES.get(len(shape), ""), shape, strict=True))
    found = {f"{prefix}{axis}": extents.get(axis, 0) for axis in EXTENTS}
    return {**found, f"{prefix}dims": len(shape)}


def prefixes(place: int) -> tuple[str, ...]:
    """Return what stands before the names of an input's extents; the first can do without."""
    return ("", "in0.") if place == 0 else (f"in{place}.",)


_EXTENTS = blob_names("", ())
KNOWN: frozenset[str] = frozenset(
    (
        *(f"p{number}" for number in range(MAX_PARAMS)),
        *(f"{prefix}{n}" for i in range(INPUTS) for prefix in prefixes(i) for n in _EXTENTS),
        *(f"{OUTPUT}{name}" for name in _EXTENTS),
        *(f"opt.{name}" for name in known_options()),
        *(f"flag.{name}" for name in FLAGS),
        THREADS,
        COUNT,
        STORE,
    )
)
"""All names."""
STORAGE = "how its weights are stored"
"""What is missing where `store` is not known."""
