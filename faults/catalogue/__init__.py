"""All faults, by what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.catalogue import (
    clock,
    compilers,
    damaged,
    damaged_runs,
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
    *damaged_runs.FAULTS,
    *clock.FAULTS,
    *compilers.FAULTS,
    *modules.FAULTS,
    *rights.FAULTS,
    *together.FAULTS,
    *network.FAULTS,
    *limits.FAULTS,
)
"""In the order of the page."""

SHORT: tuple[str, ...] = (
    "kill-harness-downloading",
    "kill-harness-second-build",
    "kill-harness-measuring",
    "kill-harness-concluding",
    "kill-cmake",
    "kill-worker",
    "kill-fork-server-working",
    "int-starting",
    "int-compiling",
    "int-measuring",
    "term-measuring",
    "output-full",
    "full-records",
    "damaged-module-rot",
    "damaged-reference-rot",
    "damaged-measurement-digit",
    "damaged-records-torn",
    "damaged-meanwhile-module-cut",
    "clock-forward",
    "compiler-says-nothing",
    "compiler-missing",
    "module-exit-0",
    "module-heap",
    "module-write",
    "rights-store-foreign",
    "rights-results-device",
    "together-at-once-measuring",
    "network-breaks-off-once",
    "network-truncated",
    "limit-memory",
    "limit-file-size-tiny",
)
"""Faults that continuous integration tries: some of each kind, in a few minutes."""
