"""The table of hostile inputs, a module for each kind."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.hostile.case import Hostile


@cache
def table() -> tuple[Hostile, ...]:
    """Return all of it."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = (importlib.import_module(f"{__name__}.{name}").CASES for name in modules)
    return tuple(case for cases in found for case in cases)
