"""The fields of `ncnn::Option` in one version of ncnn, read from its source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.domain.formatting import option_text
from harness.domain.spec import OptionValue, RunSpec
from harness.sources.tree import source_text
from harness.util.codes import Code
from harness.util.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DECLARED = re.compile(r"^\s+(bool|int)\s+(\w+)\s*;", re.MULTILINE)
_ASSIGNED = re.compile(r"^\s+(\w+)\s*=\s*(true|false|-?\d+)\s*;", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class OptionField:
    """One field of `ncnn::Option`."""

    name: str
    is_bool: bool
    default: OptionValue | None
    """What the constructor sets; None where that is found out at run time."""


def read_option_fields(tree: Path) -> tuple[OptionField, ...]:
    """Return the bool and int fields that a version declares, without those it reserves.

    Args:
        tree: ncnn source with `src/option.h` and `src/option.cpp`.

    Raises:
        BuildError: it has no such files, as versions before 2019-06.
    """
    if not (tree / "src" / "option.cpp").is_file():
        raise BuildError(
            "this version of ncnn has no src/option.cpp and cannot be driven, as those before "
            "20190611. Choose a newer one.",
            code=Code.TOO_OLD,
        )
    header = source_text(tree / "src" / "option.h")
    source = source_text(tree / "src" / "option.cpp")
    defaults = dict(_ASSIGNED.findall(source))
    types = {name: kind for kind, name in _DECLARED.findall(header) if "reserved" not in name}
    return tuple(
        OptionField(name=name, is_bool=kind == "bool", default=_value(kind, defaults.get(name)))
        for name, kind in types.items()
    )


def _value(kind: str, text: str | None) -> OptionValue | None:
    if text is None:
        return None
    return text == "true" if kind == "bool" else int(text)


def one_at_a_time(fields: Iterable[OptionField], *, threads: int) -> tuple[RunSpec, ...]:
    """Return run options that each differ from the defaults in one bool field, or in threads.

    A field whose default is found out at run time is set to both values.

    Args:
        fields: the fields of a version.
        threads: number of threads for the one set that uses several; none if this is 1.
    """
    runs = []
    for field in fields:
        if field.is_bool:
            values = (False, True) if field.default is None else (not field.default,)
            for value in values:
                name = f"{field.name}={option_text(value)}"
                runs.append(RunSpec(name=name, options=((field.name, value),)))
    if threads > 1:
        runs.append(RunSpec(name=f"threads={threads}", threads=threads))
    return tuple(runs)


INEXACT = ("fp16", "bf16", "int8", "packing", "winograd", "sgemm")
"""Words in the names of options that trade exactness, or another order of sums, for speed."""


QUANTISED = "use_int8_inference"
"""Without it, a model whose weights are int8 is not loaded: it is part of what the model is."""


def is_inexact(name: str) -> bool:
    """Return whether an option of this name trades exactness for speed."""
    return name != QUANTISED and any(word in name for word in INEXACT)


def most_exact(fields: Iterable[OptionField]) -> RunSpec:
    """Return the run options of the most exact run that a version is capable of."""
    options = [(f.name, False) for f in fields if f.is_bool and is_inexact(f.name)]
    return RunSpec(name="most-exact", options=tuple(sorted(options)))


_OPTION = re.compile(r"^\s*(?:cmake_dependent_)?option\(\s*(\w+)", re.MULTILINE | re.IGNORECASE)


def known_options(tree: Path) -> frozenset[str]:
    """Return the names of all CMake options that this ncnn source declares."""
    return frozenset(_OPTION.findall(source_text(tree / "CMakeLists.txt")))
