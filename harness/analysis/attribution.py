"""Which axis value causes a drop: the finished table, compared pair by pair.

Every statement rests on pairs of cells on the same input that differ in known settings: the
source version, build options, run options. A layer type is at fault in a cell where its own
error, with the reference's values at its inputs, is above tolerance; where that was not measured,
it is not accused. Looking at each layer type by itself keeps independent causes apart, and for each
faulty cell only the smallest changes that clear it count. So does looking at wrong values by
themselves: weights that are misread are no loss of precision, though the same change may end both.
Cells that are much worse than others that are at fault have a second cause.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harness.domain.formatting import option_text
from harness.domain.verdict import own_excess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set

    from harness.domain.records import BuildRecord, CellRecord, LayerRecord, Metrics
    from harness.domain.verdict import Tolerance

Axis = Literal["version", "build", "run", "converter"]

MAX_AXES = 2
"""Pairs that differ on more axes say nothing that a person could act on."""

WRONG = 1.0
"""Scale-relative error from which values are wrong, and not imprecise: as large as the largest."""

WORSE = 8.0
"""How many times worse than the least faulty cell on the same input is worth a cause of its own."""

CONTRAST = 2.0
"""How many times smaller the worst error must become for a change to count: by a bit at least. Less
is what another order of the same sums does, so that near a limit it decides nothing."""

_EASE: tuple[Axis, ...] = ("run", "build", "converter", "version")
"""Settings, from those that a user changes at once to those that take another ncnn."""

_BUILD_KEYS = ("NCNN_", "CMAKE_CXX_FLAGS", "CMAKE_CXX_COMPILER", "CMAKE_BUILD_TYPE", "HARNESS_")


class Setting(NamedTuple):
    """One changed setting: the value on the faulty side and on the other side."""

    axis: Axis
    name: str
    before: str
    after: str


Change = frozenset[Setting]

_Order = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One change that makes a fault go away, with its evidence."""

    change: Change
    supporting: int
    """Pairs in which the change makes the fault go away."""
    contradicting: int
    """Pairs in which the same change leaves it."""
    error_before: float
    """Largest scale-relative error of the layers alone, faulty side of the supporting pairs."""
    error_after: float
    """The same on the clean side."""
    chain_before: float
    """Scale-relative error of the layers in the chain, faulty side of the pair whose clean side
    has the smallest: where no other cause hides the effect."""
    chain_after: float
    """The same on the clean side."""
    exceptions: tuple[str, ...]
    """Ids of cells that stay faulty in spite of the change."""
    together: bool
    """Whether a part of the change was tried by itself and was not enough."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One layer type that is at fault, and the changes that each make it stop."""

    layer_type: str
    layers: tuple[str, ...]
    """Names of the layers at fault."""
    cells: tuple[str, ...]
    """Ids of the cells in which it is at fault."""
    worst: float
    """Largest scale-relative error of these layers in these cells."""
    fixes: tuple[Fix, ...]
    """Alternatives; empty when no pair shows what causes the fault."""
    also: tuple[str, ...] = ()
    """Other layer types, less wrong, that the same fixes clear."""


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A measured cell with its settings and the error of one layer type."""

    id: str
    input: str
    requested: tuple[str, str, str]
    """Names of the flag set, the run options and the converter."""
    settings: Mapping[Axis, Mapping[str, str]]
    error: float
    """Largest scale-relative error of the layers of that type by themselves."""
    chain: float
    """The same in the chain as it runs."""
    excess: Mapping[str, float]
    """Errors of the layers of that type by themselves, in units of their limits, by blob."""
    faulty: bool


class _Measured(NamedTuple):
    """A record, with what is asked of it for each layer type."""

    record: CellRecord
    layers: Mapping[str, Sequence[LayerRecord]]
    """By type."""
    settings: Mapping[Axis, Mapping[str, str]]


def _measured(record: CellRecord) -> _Measured:
    layers: dict[str, list[LayerRecord]] = defaultdict(list)
    for layer in record.layers:
        layers[layer.type].append(layer)
    settings: dict[Axis, Mapping[str, str]] = {
        "version": {"ncnn": record.version},
        "build": build_settings(record.build),
        "run": {
            **{name: option_text(value) for name, value in record.options.items()},
            "options set": record.when,
        },
        "converter": {"converter": record.converter},
    }
    return _Measured(record, dict(layers), settings)


class _Pair(NamedTuple):
    change: Change
    bad: _Cell
    other: _Cell

    @property
    def tells(self) -> bool:
        """Whether the other side is faulty too, or clean by more than chance."""
        worst = max(self.bad.excess, key=self.bad.excess.__getitem__)
        left = self.other.excess.get(worst, 0.0)
        return self.other.faulty or self.bad.excess[worst] >= CONTRAST * left


def attribute(records: Iterable[CellRecord], tolerance: Tolerance) -> tuple[Cause, ...]:
    """Return the causes found in a table of cells, the most frequent first.

    Args:
        records: the cells of one or more matrices over the same model.
        tolerance: the limits beyond which a layer is at fault.
    """
    measured = [_measured(r) for r in records if r.verdict.has_numbers and r.layers]
    types = dict.fromkeys(name for each in measured for name in each.layers)
    causes = [cause for name in types for cause in _causes(name, measured, tolerance)]
    return tuple(sorted(_merged(causes), key=lambda c: (not c.fixes, -len(c.cells), -c.worst)))


def _merged(causes: Iterable[Cause]) -> list[Cause]:
    """Make one cause of those with the same fixes; the worst layer type speaks for all.

    A version alone makes no two faults one: much else changed between two versions.
    """
    merged: dict[tuple[bool, frozenset[Change] | str], Cause] = {}
    for cause in sorted(causes, key=lambda c: (-c.worst, c.layer_type)):
        changes = frozenset(fix.change for fix in cause.fixes)
        one = any(setting.axis != "version" for change in changes for setting in change)
        key = (cause.worst > WRONG, changes if one else cause.layer_type)
        first = merged.get(key)
        if first is None:
            merged[key] = cause
        elif cause.layer_type in (first.layer_type, *first.also):
            merged[key] = replace(first, cells=_union(first.cells, cause.cells))
        else:
            merged[key] = replace(
                first,
                also=(*first.also, cause.layer_type),
                layers=first.layers + cause.layers,
                cells=_union(first.cells, cause.cells),
            )
    return list(merged.values())


def _union(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*one, *other]))


def own_error(layer: LayerRecord) -> float | None:
    """Return a layer's own scale-relative error; None where it was not measured."""
    metrics = layer.alone
    return metrics.scale_relative if metrics else None


def build_settings(build: BuildRecord) -> dict[str, str]:
    """Return the build settings that a user chooses, as they were in force."""
    return {k: v for k, v in build.cmake_cache.items() if k.startswith(_BUILD_KEYS)}


def _causes(layer_type: str, records: Sequence[_Measured], tolerance: Tolerance) -> Iterator[Cause]:
    """Yield one cause per group of faulty cells that the same fixes clear.

    Wrong values are looked at apart from those that lose precision: first cells in which no layer
    of the type is wrong, then all cells with only what is wrong at fault.
    """

    def beyond(_: Metrics, excess: float) -> bool:
        return excess > 1

    def wrong(error: Metrics, _: float) -> bool:
        return error.scale_relative > WRONG

    cells, faults = _cells(layer_type, records, tolerance, beyond, WRONG)
    first = _found(layer_type, cells, faults)
    yield from first
    yield from _without_return(_found(layer_type, _worse(cells), faults), first)
    # How wrong values are means nothing: none are looked for that are much worse.
    yield from _found(layer_type, *_cells(layer_type, records, tolerance, wrong, math.inf))


def _cells(
    layer_type: str,
    records: Iterable[_Measured],
    tolerance: Tolerance,
    at_fault: Callable[[Metrics, float], bool],
    largest: float,
) -> tuple[list[_Cell], dict[str, tuple[str, ...]]]:
    """Return cells with the error of one layer type, and the layers at fault in each by its id.

    A cell that is `ok` is not faulty, whatever one of its layers does alone; nor is it clean then.

    Args:
        layer_type: the type.
        records: measured cells.
        tolerance: the limits.
        at_fault: says of an own error, as it is and in units of its limit, whether it is a fault.
        largest: cells with a larger own error are left out.
    """
    cells, faults = [], {}
    for each in records:
        own = [
            (layer, metrics, own_excess(layer, metrics, tolerance))
            for layer in each.layers.get(layer_type, ())
            if (metrics := layer.alone) is not None
        ]
        error = max((metrics.scale_relative for _, metrics, _ in own), default=math.inf)
        if not own or error > largest:
            continue
        names = tuple(dict.fromkeys(layer.name for layer, m, x in own if at_fault(m, x)))
        if names and each.record.verdict.is_clean:
            continue
        excess = {layer.blob: x for layer, _, x in own}
        cells.append(_cell(each, layer_type, error, excess, faulty=bool(names)))
        faults[each.record.cell] = names
    return cells, faults


def _without_return(worse: Iterable[Cause], first: Iterable[Cause]) -> Iterator[Cause]:
    """Yield causes without the fixes that trade one fault for another that is known."""
    faults = {
        Setting(s.axis, s.name, before=s.after, after=s.before)
        for cause in first
        for fix in cause.fixes
        for s in fix.change
    }
    for cause in worse:
        fixes = tuple(r for r in cause.fixes if not r.change & faults)
        if fixes:
            yield replace(cause, fixes=fixes)


def _worse(cells: Iterable[_Cell]) -> list[_Cell]:
    """Return the faulty cells alone, of which those count as faulty that are much worse."""
    faulty = [cell for cell in cells if cell.faulty]
    least: dict[str, float] = {}
    for cell in faulty:
        least[cell.input] = min(cell.error, least.get(cell.input, cell.error))
    return [replace(cell, faulty=cell.error >= WORSE * least[cell.input]) for cell in faulty]


def _found(
    layer_type: str, cells: Sequence[_Cell], faults: Mapping[str, tuple[str, ...]]
) -> list[Cause]:
    """Return one cause per group of faulty cells; `faults` has the layers at fault in each cell."""
    faulty = {cell.id: cell for cell in cells if cell.faulty}
    if not faulty:
        return []
    pairs = _pairs(cells)
    causes = []
    for group, changes in _groups(faulty, pairs):
        fixes = (_fix(change, pairs) for change in changes)
        causes.append(
            Cause(
                layer_type=layer_type,
                layers=tuple(dict.fromkeys(name for cell in group for name in faults[cell])),
                cells=tuple(group),
                worst=max(faulty[cell].error for cell in group),
                fixes=tuple(sorted(fixes, key=_weight)),
            )
        )
    return causes


def _cell(
    each: _Measured, layer_type: str, error: float, excess: Mapping[str, float], *, faulty: bool
) -> _Cell:
    chain = (layer.chain.scale_relative for layer in each.layers[layer_type] if layer.chain)
    return _Cell(
        id=each.record.cell,
        input=each.record.input,
        requested=(each.record.flags, each.record.run, each.record.converter),
        settings=each.settings,
        error=error,
        chain=max(chain, default=error),
        excess=excess,
        faulty=faulty,
    )


def _weight(fix: Fix) -> tuple[bool, int, _Order]:
    return (fix.contradicting > 0, -fix.supporting, _order(fix.change))


def _order(change: Change) -> _Order:
    """Return what sorts changes: few settings first, and first what is easily changed."""
    return (len(change), *sorted((_EASE.index(s.axis), *s[1:]) for s in change))


def _pairs(cells: Sequence[_Cell]) -> list[_Pair]:
    """Return every ordered pair on the same input whose first side is faulty."""
    pairs = []
    for bad in cells:
        if not bad.faulty:
            continue
        for other in cells:
            if other.input != bad.input or other is bad:
                continue
            change = _change(bad, other)
            pair = _Pair(change, bad, other)
            if change and len({setting.axis for setting in change}) <= MAX_AXES and pair.tells:
                pairs.append(pair)
    return pairs


def _change(bad: _Cell, other: _Cell) -> Change:
    """Return the settings in which two cells differ; empty where they cannot be compared."""
    if bad.settings["version"] != other.settings["version"]:
        # Two versions have other options anyway: only what was asked for can be compared.
        if bad.requested != other.requested:
            return frozenset()
        axes: tuple[Axis, ...] = ("version",)
    else:
        axes = ("build", "run", "converter")
    settings = []
    for axis in axes:
        before, after = bad.settings[axis], other.settings[axis]
        settings += [
            Setting(axis, name, before.get(name, ""), after.get(name, ""))
            for name in sorted(before.keys() | after.keys())
            if before.get(name, "") != after.get(name, "")
        ]
    return frozenset(settings)


def _groups(
    faulty: Mapping[str, _Cell], pairs: Sequence[_Pair]
) -> list[tuple[list[str], list[Change]]]:
    """Group faulty cells that share a smallest clearing change, with the changes of each group."""
    groups: list[tuple[list[str], list[Change]]] = []
    cleared: dict[str, set[Change]] = defaultdict(set)
    failed: dict[str, set[Change]] = defaultdict(set)
    for pair in pairs:
        (failed if pair.other.faulty else cleared)[pair.bad.id].add(pair.change)
    direct = {cell: _smallest(cleared[cell]) for cell in faulty}
    known = _smallest({change for changes in direct.values() for change in changes})
    for cell in faulty:
        members = [cell]
        explained = {e for c in direct[cell] for e in _explain(c, known, failed[cell])}
        changes = sorted(_smallest(explained), key=_order)
        rest = []
        for group in groups:
            if set(group[1]) & set(changes) or (not group[1] and not changes):
                members = group[0] + members
                changes = list(dict.fromkeys(group[1] + changes))
            else:
                rest.append(group)
        groups = [*rest, (members, changes)]
    return groups


def _smallest(changes: Set[Change]) -> set[Change]:
    """Return the changes that contain no other of them."""
    return {change for change in changes if not any(other < change for other in changes)}


def _explain(change: Change, known: Set[Change], failed: Set[Change]) -> Set[Change]:
    """Return the parts of a cell's change that explain why it clears the fault.

    A part that does so elsewhere is enough, and the rest of the change only separates the two
    cells, unless such a part was tried on this very cell and failed: then the whole is needed.
    """
    parts = {part for part in known if part <= change}
    return {change} if not parts or parts & failed else parts


def _fix(change: Change, pairs: Sequence[_Pair]) -> Fix:
    same = [pair for pair in pairs if pair.change == change]
    cleared = [pair for pair in same if not pair.other.faulty]
    kept = [pair for pair in same if pair.other.faulty]
    helped = {pair.bad.id for pair in cleared}
    clearest = min(cleared, key=lambda pair: pair.other.chain)
    return Fix(
        change=change,
        supporting=len(cleared),
        contradicting=len(kept),
        error_before=max(pair.bad.error for pair in cleared),
        error_after=max(pair.other.error for pair in cleared),
        chain_before=clearest.bad.chain,
        chain_after=clearest.other.chain,
        exceptions=tuple(dict.fromkeys(pair.other.id for pair in kept)),
        together=any(p.change < change and p.other.faulty and p.bad.id in helped for p in pairs),
    )
