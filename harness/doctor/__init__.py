"""What is missing or odd on this machine, what it costs, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.finding import Finding, State
from harness.doctor.places import check_places
from harness.doctor.resources import check_resources
from harness.doctor.software import check_software
from harness.doctor.surroundings import check_surroundings

if TYPE_CHECKING:
    from harness.doctor.machine import Machine

__all__ = ["Finding", "State", "examine"]


def examine(machine: Machine) -> list[Finding]:
    """Return all that is to be said of a machine, in the order of topics."""
    checks = (check_software, check_resources, check_places, check_surroundings)
    return [finding for check in checks for finding in check(machine)]
