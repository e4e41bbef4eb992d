"""What happens while an engine works, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.domain.records import CellRecord


@dataclass(frozen=True, kw_only=True)
class BuildStarted:
    """A build is being compiled."""

    build: str


@dataclass(frozen=True, kw_only=True)
class BuildAdvanced:
    """Some more of a build is done."""

    build: str
    done: int
    total: int
    """In steps of Ninja."""


@dataclass(frozen=True, kw_only=True)
class BuildFinished:
    """A build is there, or has failed."""

    build: str
    seconds: float = 0.0
    cached: bool = False
    error: str = ""
    left_out: str = ""
    """Why it was not compiled at all."""
    untrimmed: str = ""
    """Why all layers are in it."""


@dataclass(frozen=True, kw_only=True)
class CellFinished:
    """A cell has its verdict."""

    record: CellRecord


MatrixEvent = BuildStarted | BuildAdvanced | BuildFinished | CellFinished
