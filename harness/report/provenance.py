"""Where the numbers come from: versions of everything, sources, machine, dates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.domain.records import CellRecord


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source of one version."""

    version: str
    source: str
    digests: tuple[str, ...]
    """SHA-256 of the sources that took part; one per set of layers compiled."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What one part of the report rests on."""

    machine: dict[str, str]
    """CPU, system and package versions; several values where the records differ."""
    compilers: tuple[str, ...]
    harness: tuple[str, ...]
    """Versions of this tool."""
    first: str
    last: str
    """When the first and the last cell finished, ISO 8601."""
    sources: tuple[Source, ...]


def provenance(records: Sequence[CellRecord]) -> Provenance:
    """Collect what is recorded about the origin of some cells."""
    machine: dict[str, dict[str, None]] = {}
    sources: dict[str, list[CellRecord]] = {}
    for record in records:
        for name, value in record.machine.items():
            machine.setdefault(name, {})[value] = None
        sources.setdefault(record.version, []).append(record)
    dates = sorted(record.finished for record in records if record.finished)
    return Provenance(
        machine={name: "; ".join(values) for name, values in machine.items()},
        compilers=_distinct(record.build.compiler for record in records),
        harness=_distinct(record.harness_version for record in records),
        first=dates[0] if dates else "",
        last=dates[-1] if dates else "",
        sources=tuple(
            Source(
                version=version,
                source="; ".join(_distinct(record.build.source for record in group)),
                digests=_distinct(record.build.source_digest for record in group),
            )
            for version, group in sources.items()
        ),
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
