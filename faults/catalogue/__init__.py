"""All faults, by what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.catalogue import (
    clock,
    compilers,
    damaged,
    full,
    interrupted,
    killed,
    limits,
    modules,
    network,
    rights,
    together,
)

if TYPE_CHECKING:
    from faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *killed.FAULTS,
    *interrupted.FAULTS,
    *full.FAULTS,
    *damaged.FAULTS,
    *clock.FAULTS,
    *compilers.FAULTS,
    *modules.FAULTS,
    *rights.FAULTS,
    *together.FAULTS,
    *network.FAULTS,
    *limits.FAULTS,
)
"""In the order of the page."""
