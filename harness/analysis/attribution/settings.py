"""What a cell was built and run with, and in what two cells differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harness.domain.formatting import option_text
from harness.domain.spec import THREADS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.domain.records import BuildRecord, CellRecord

Axis = Literal["run", "build", "converter", "machine"]

WHEN = "options set"
"""Name of the setting that tells when options are set."""

_EASE: tuple[Axis, ...] = ("run", "build", "converter", "machine")
"""Settings, from those that a user changes at once to those that take another model or CPU."""

_BUILD_KEYS = ("NCNN_", "CMAKE_CXX_FLAGS", "CMAKE_CXX_COMPILER", "CMAKE_BUILD_TYPE", "HARNESS_")
_FOUND_OUT = "NCNN_COMPILER_SUPPORT_"
"""What CMake finds out of a compiler: nobody sets it."""

Settings = dict[tuple[Axis, str], str]
"""Values of settings by axis and name, without the version."""


class Setting(NamedTuple):
    """One changed setting: the value on the faulty side and on the other side."""

    axis: Axis
    name: str
    before: str
    after: str


Change = frozenset[Setting]
Order = tuple[Any, ...]


def settings_of(record: CellRecord) -> Settings:
    """Return the settings that were in force in a cell."""
    build: Settings = {("build", k): v for k, v in build_settings(record.build).items()}
    run: Settings = {("run", k): option_text(v) for k, v in record.options.items()}
    threads: Settings = {("run", THREADS): option_text(record.threads)}
    return {
        **build,
        **threads,
        **run,
        ("run", WHEN): record.when,
        ("converter", "converter"): record.converter,
        ("machine", "machine"): record.machine_name,
    }


def build_settings(build: BuildRecord) -> dict[str, str]:
    """Return the build settings that a user chooses, as they were in force."""
    return {
        name: value
        for name, value in build.cmake_cache.items()
        if name.startswith(_BUILD_KEYS) and not name.startswith(_FOUND_OUT)
    }


def difference(
    before: Mapping[tuple[Axis, str], str], after: Mapping[tuple[Axis, str], str]
) -> Change:
    """Return what to change to come from one cell's settings to another's."""
    names = {key for key, _ in before.items() ^ after.items()}
    changes = (Setting(*key, before.get(key, ""), after.get(key, "")) for key in names)
    return frozenset(change for change in changes if change.before != change.after)


def leads_abroad(change: Change) -> bool:
    """Return whether a change takes another machine."""
    return any(setting.axis == "machine" for setting in change)


def order(change: Change) -> Order:
    """Return what sorts changes: few settings first, and first what is easily changed."""
    return (len(change), *sorted((_EASE.index(s.axis), *s[1:]) for s in change))
