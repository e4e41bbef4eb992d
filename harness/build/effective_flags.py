"""What a flag set really means in one version of ncnn, and under one compile command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.domain.spec import FlagSet

OPTION_MACROS: Mapping[str, str] = {
    "NCNN_SSE2": "__SSE2__",
    "NCNN_AVX": "__AVX__",
    "NCNN_FMA": "__FMA__",
    "NCNN_F16C": "__F16C__",
    "NCNN_XOP": "__XOP__",
    "NCNN_AVX2": "__AVX2__",
    "NCNN_AVXVNNI": "__AVXVNNI__",
    "NCNN_AVXVNNIINT8": "__AVXVNNIINT8__",
    "NCNN_AVXVNNIINT16": "__AVXVNNIINT16__",
    "NCNN_AVXNECONVERT": "__AVXNECONVERT__",
    "NCNN_AVX512": "__AVX512F__",
    "NCNN_AVX512VNNI": "__AVX512VNNI__",
    "NCNN_AVX512BF16": "__AVX512BF16__",
    "NCNN_AVX512FP16": "__AVX512FP16__",
    "NCNN_ARM82": "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC",
    "NCNN_ARM82DOT": "__ARM_FEATURE_DOTPROD",
    "NCNN_ARM82FP16FML": "__ARM_FEATURE_FP16_FML",
    "NCNN_ARM84BF16": "__ARM_FEATURE_BF16_VECTOR_ARITHMETIC",
    "NCNN_ARM84I8MM": "__ARM_FEATURE_MATMUL_INT8",
    "NCNN_ARM86SVE": "__ARM_FEATURE_SVE",
    "NCNN_OPENMP": "_OPENMP",
}
"""The macro that the compiler defines when an ISA option took effect in a fixed-ISA build."""


BASELINE = frozenset({"__SSE2__"})
"""What x86-64 compilers enable with no flags at all: switching it off has no effect."""


@dataclass(frozen=True, kw_only=True)
class ResolvedFlags:
    """A flag set as one version of ncnn takes it."""

    options: tuple[tuple[str, str], ...]
    ineffective: tuple[tuple[str, str], ...]
    """Options that the version does not declare, each with a note."""


def resolve_against(flags: FlagSet, known: frozenset[str]) -> ResolvedFlags:
    """Keep the options that a version knows; report those that it should have but has not.

    Switching off what a version does not have needs no report: it is off. Entries that are not
    ncnn's (`CMAKE_CXX_FLAGS`, `glslang_DIR`) need no declaration.
    """
    unknown = {name for name, _ in flags.options if name.startswith("NCNN_")} - known
    return ResolvedFlags(
        options=tuple(item for item in flags.options if item[0] not in unknown),
        ineffective=tuple(
            (name, f"{name}={value}: this version of ncnn has no such option")
            for name, value in flags.options
            if name in unknown and value != "OFF"
        ),
    )


def overridden(options: Iterable[tuple[str, str]], macros: frozenset[str]) -> tuple[str, ...]:
    """Return a note per declared ISA option that the real compile command contradicts.

    Args:
        options: the CMake options as they were passed.
        macros: what the compiler defines under the flags of a kernel.
    """
    requested = dict(options)
    if requested.get("NCNN_RUNTIME_CPU") != "OFF":
        return ()
    notes = []
    for name, macro in OPTION_MACROS.items():
        if name not in requested:
            continue
        wanted, found = requested[name] == "ON", macro in macros
        if wanted and not found:
            notes.append(f"{name}=ON: the compile command does not enable it ({macro} undefined)")
        elif found and not wanted and macro not in BASELINE:
            notes.append(f"{name}=OFF: another option enables it ({macro} defined)")
    return tuple(notes)


_FLAG_MACROS = {"-ffast-math": ("__FAST_MATH__", True), "-fno-fast-math": ("__FAST_MATH__", False)}
"""Compiler flags that show in a macro: its name, and whether it is defined."""


def undone(cxx_flags: str, macros: frozenset[str]) -> tuple[str, ...]:
    """Return a note per appended compiler flag that the real compile command contradicts.

    Args:
        cxx_flags: the flags as they were appended.
        macros: what the compiler defines under the flags of a kernel.
    """
    notes = []
    for flag in cxx_flags.split():
        macro, defined = _FLAG_MACROS.get(flag, ("", False))
        if macro and (macro in macros) != defined:
            notes.append(f"{flag}: the compile command undoes it")
    return tuple(notes)
