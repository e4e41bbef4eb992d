"""What ncnn's run options are by default, in a version that is known by its date alone."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.domain.spec import OptionValue

GONE = "gone"


@cache
def _history() -> Mapping[str, Mapping[str, OptionValue | str]]:
    file = resources.files("harness.advisories.resources").joinpath("options.toml")
    return MappingProxyType(tomllib.loads(file.read_text(encoding="utf-8")))


def known_options() -> frozenset[str]:
    """Return the names of all options whose defaults are known, in any version."""
    return frozenset(_history())


def defaults(day: str) -> dict[str, OptionValue]:
    """Return the defaults on a day, ISO 8601; options that there were not are left out."""
    found: dict[str, OptionValue] = {}
    for name, changes in _history().items():
        for date in sorted(changes):
            value = changes[date]
            if date > day:
                break
            if isinstance(value, str):
                found.pop(name)
            else:
                found[name] = value
    return found
