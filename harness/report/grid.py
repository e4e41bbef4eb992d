"""The compatibility table: versions down, flag sets across, one table per set of run options."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.domain.formatting import assignments, number
from harness.domain.records import CellRecord, Verdict
from harness.report.dataset import Scope, changed_options
from harness.report.record_values import (
    SYMBOLS,
    chain_error,
    largest,
    output_error,
    worst,
    worst_layer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL_INPUTS = ""

_SHORT = {
    Verdict.BROKEN: "broken",
    Verdict.UNSTABLE: "unstable",
    Verdict.BUILD_FAILED: "no build",
    Verdict.UNSUPPORTED: "n/a",
    Verdict.SKIPPED: "not run",
}


@dataclass(frozen=True, kw_only=True)
class Face:
    """What a tile shows for one input, or for all of them together."""

    input: str
    """Name of the input; `ALL_INPUTS` for the least favourable of all."""
    verdict: Verdict
    output: str
    """The output's scale-relative error, or a word where there is none."""
    layer: str
    """The largest scale-relative error of a layer; empty where there is none."""
    reason: str

    @property
    def symbol(self) -> str:
        """The verdict's sign."""
        return SYMBOLS[self.verdict]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One place of the table."""

    id: str
    """Unique within the document."""
    version: str
    flags: str
    run: str
    records: tuple[CellRecord, ...]
    faces: tuple[Face, ...]
    recommended: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One version of one table; None where there is no record."""

    version: str
    tiles: tuple[Tile | None, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The table of one set of run options."""

    run: str
    options: str
    """What differs from ncnn's defaults, in words."""
    rows: tuple[Row, ...]
    counts: dict[Verdict, int]

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles there are."""
        return tuple(tile for row in self.rows for tile in row.tiles if tile)


def tables(
    scope: Scope, *, prefix: str, recommended: Sequence[CellRecord] = ()
) -> tuple[Table, ...]:
    """Arrange the cells of a scope in tables.

    Args:
        scope: the cells of one model on one machine.
        prefix: makes the tiles' ids unique among several scopes.
        recommended: the cells of the recommended configuration.
    """
    best = {(r.version, r.flags, r.way) for r in recommended}
    found = []
    for place, run in enumerate(scope.runs):
        rows = []
        for down, version in enumerate(scope.versions):
            tiles: list[Tile | None] = []
            for across, flags in enumerate(scope.flags):
                group = scope.configurations.get((version, flags, run))
                name = f"{prefix}-{place}-{down}-{across}"
                mark = (version, flags, run) in best
                tiles.append(_tile(name, group, recommended=mark) if group else None)
            rows.append(Row(version=version, tiles=tuple(tiles)))
        cells = [record for record in scope.records if record.way == run]
        counts = Counter(record.verdict for record in cells)
        found.append(
            Table(
                run=run,
                options=option_words(cells),
                rows=tuple(rows),
                counts={verdict: counts[verdict] for verdict in Verdict if counts[verdict]},
            )
        )
    return tuple(found)


def option_words(cells: Sequence[CellRecord]) -> str:
    """Return what a set of run options changes from ncnn's defaults."""
    known = [record for record in cells if record.build.options]
    options = changed_options((known or cells)[0])
    words = assignments(options)
    threads = cells[0].threads
    words += [f"{threads} threads"] if threads > 1 else []
    words = words or ["ncnn's default options"]
    first = cells[0]
    if first.way != first.run:
        by = first.converter
        words.append(f"converted by {by}" if by else "its own param and bin")
    return ", ".join(words)


def _tile(name: str, group: tuple[CellRecord, ...], *, recommended: bool) -> Tile:
    first = group[0]
    together = [_face(ALL_INPUTS, group)]
    return Tile(
        id=name,
        version=first.version,
        flags=first.flags,
        run=first.way,
        records=group,
        faces=tuple(together + [_face(record.input, [record]) for record in group]),
        recommended=recommended,
    )


def _face(name: str, group: Sequence[CellRecord]) -> Face:
    verdict = worst(record.verdict for record in group)
    reason = next((record.reason for record in group if record.verdict is verdict), "")
    error = largest(output_error(record) for record in group)
    layers = [layer for record in group if (layer := worst_layer(record))]
    return Face(
        input=name,
        verdict=verdict,
        output=_SHORT.get(verdict) or number(error),
        layer=number(largest(map(chain_error, layers))) if layers and verdict.has_numbers else "",
        reason=reason,
    )
