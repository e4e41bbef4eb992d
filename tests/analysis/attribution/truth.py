"""Checks what is said of causes against a world in which the truth is known."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from harness.analysis.attribution.evidence import WORSE, Table
from harness.analysis.attribution.symptoms import Level
from tests.analysis.attribution.worlds import BUILD, OPTIONS, THREADS, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.analysis.attribution.causes import Cause, Fix
    from tests.analysis.attribution.worlds import Values, World


def changed(values: Values, change: Iterable[tuple[str, str, str, str]]) -> Values:
    return values | {name: after for _, name, _, after in change}


def false_statements(causes: Sequence[Cause], table: Table, world: World) -> Iterator[str]:
    """Yield every statement that the truth contradicts."""
    for cause in causes:
        for layer in cause.layers or ("",):
            near = [cell for cell in cause.cells if layer in world.near_limit]
            if near and cause.fixes:
                yield f"{layer} near its limit is given a fix: {cause}"
        for fix in cause.fixes:
            yield from _false_fix(cause, fix, world)
        for fix in cause.easing:
            yield from _false_easing(cause, fix, world)
        yield from _false_versions(cause, table, world)


def _faulty(cause: Cause, cell: str, world: World) -> list[str]:
    version, *_ = place = place_of(cell)
    values = world.values(place)
    return [x for x in cause.layers or ("",) if world.is_faulty(x, cause.level, version, values)]


def _false_fix(cause: Cause, fix: Fix, world: World) -> Iterator[str]:
    for bad, other in fix.pairs:
        version, *_ = place = place_of(bad)
        values = world.values(place)
        if changed(values, fix.change) != world.values(place_of(other)):
            yield f"the pair {bad}, {other} differs in more than {set(fix.change)}"
        for setting in fix.change:
            if values[setting.name] != setting.before:
                yield f"{setting} is not what {bad} has"
        for layer in _faulty(cause, bad, world):
            after = changed(values, fix.change)
            if world.is_faulty(layer, cause.level, version, after):
                yield f"{set(fix.change)} does not clear {layer} in {bad}"
            if (bad, other) in fix.unsettled:
                continue
            for setting in fix.change:
                part = changed(values, fix.change - {setting})
                if not world.is_faulty(layer, cause.level, version, part):
                    yield f"{setting} can be left out of {set(fix.change)} for {layer} in {bad}"


def _false_easing(cause: Cause, fix: Fix, world: World) -> Iterator[str]:
    for bad, _ in fix.pairs:
        version, *_ = place = place_of(bad)
        values = world.values(place)
        ratios = [
            world.excess(x, version, values) / world.excess(x, version, changed(values, fix.change))
            for x in _faulty(cause, bad, world)
        ]
        if not any(ratio > WORSE * 0.8 for ratio in ratios):
            yield f"{set(fix.change)} does not ease anything in {bad}: {ratios}"


def _false_versions(cause: Cause, table: Table, world: World) -> Iterator[str]:
    requests = [place_of(cell)[1:] for cell in cause.cells]
    faulty = {v for span in cause.spans for v in span.versions}
    for version in faulty:
        seen = [_faulty(cause, "/".join([f"{version}-{f}", r, i]), world) for f, r, i in requests]
        if not any(seen) and not world.near_limit.intersection(cause.layers):
            yield f"{version} has no fault of {cause.layers}"
    for version in cause.clean:
        for flags, run, item in requests:
            cell = f"{version}-{flags}/{run}/{item}"
            record = table.records.get(cell)
            found = _faulty(cause, cell, world) if record and record.verdict.has_numbers else []
            if found:
                yield f"{version} is called clean, but {found} in {cell}"


def findable(world: World, table: Table) -> Iterator[tuple[str, Level]]:
    """Yield layers with a fault that settings within reach clear: all run options, the flag sets
    of the table."""
    for symptom, cells in table.observed.items():
        if symptom.layer in world.near_limit or symptom.level is Level.OUTPUT:
            continue
        bad = [cell for cell, seen in cells.items() if seen.faulty and not seen.masked]
        if any(_minimal(world, symptom.layer, symptom.level, cell) for cell in bad[:3]):
            yield symptom.layer, symptom.level


def _minimal(world: World, layer: str, level: Level, cell: str) -> list[dict[str, str]]:
    """Return sets of changes that clear a fault, of which no member can be left out, and that
    builds at hand can show."""
    version, *_ = place = place_of(cell)
    values = world.values(place)
    builds = list(world.flags.values())
    found = []
    for build in builds:
        for run in itertools.product(("true", "false"), repeat=len(OPTIONS)):
            for threads in ("1", "2"):
                after = build | dict(zip(OPTIONS, run, strict=True)) | {THREADS: threads}
                change = {k: v for k, v in after.items() if values[k] != v}
                if world.is_faulty(layer, level, version, after):
                    continue
                parts = [{k: v for k, v in change.items() if k != name} for name in change]
                reachable = all({k: (values | part)[k] for k in BUILD} in builds for part in parts)
                if reachable and all(
                    world.is_faulty(layer, level, version, values | part) for part in parts
                ):
                    found.append(change)
    return found


def is_found(layer: str, level: Level, causes: Iterable[Cause]) -> bool:
    return any(
        cause.level is level and (layer in cause.layers or not layer) and cause.is_proved
        for cause in causes
    )
