"""Which axis value causes a drop: the finished table, compared pair by pair.

Every statement rests on pairs of cells on the same input that differ in known settings: the
source version, build options, run options. A layer type is at fault in a cell where its own
error, with the reference's values at its inputs, is above tolerance; where that was not measured,
the error of the chain stands in. Looking at each layer type by itself keeps independent causes
apart, and for each faulty cell only the smallest changes that clear it count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.records import BuildRecord, CellRecord, LayerRecord, Verdict

Axis = Literal["version", "build", "run"]

MAX_AXES = 2
"""Pairs that differ on more axes say nothing that a person could act on."""

_BUILD_KEYS = ("NCNN_", "CMAKE_CXX_FLAGS", "CMAKE_CXX_COMPILER", "CMAKE_BUILD_TYPE", "HARNESS_")


class Setting(NamedTuple):
    """One changed setting: the value on the faulty side and on the other side."""

    axis: Axis
    name: str
    before: str
    after: str


Change = frozenset[Setting]


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """One change that makes a fault go away, with its evidence."""

    change: Change
    supporting: int
    """Pairs in which the change makes the fault go away."""
    contradicting: int
    """Pairs in which the same change leaves it."""
    error_before: float
    """Largest scale-relative error on the faulty side of the supporting pairs."""
    error_after: float
    """Largest scale-relative error on the clean side of the supporting pairs."""
    exceptions: tuple[str, ...]
    """Ids of cells that stay faulty in spite of the change."""
    together: bool
    """Whether a part of the change was tried by itself and was not enough."""

    @property
    def pairs(self) -> str:
        """The evidence in words, such as `12 of 12 pairs`."""
        total = self.supporting + self.contradicting
        return f"{self.supporting} of {total} pair{'s' if total != 1 else ''}"

    @property
    def words(self) -> str:
        """What to change, in words."""
        parts = []
        versions = [s for s in self.change if s.axis == "version"]
        parts += [f"ncnn is {s.after} instead of {s.before}" for s in versions]
        for axis, when in (("build", "at build time"), ("run", "at run time")):
            names = sorted(s for s in self.change if s.axis == axis)
            if names:
                values = ", ".join(f"{s.name}={s.after or 'absent'}" for s in names)
                parts.append(f"{values} {when}")
        return " together with ".join(parts) if self.together else " and ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One layer type that loses precision, and the changes that each make it stop."""

    layer_type: str
    layers: tuple[str, ...]
    """Names of the layers at fault."""
    cells: tuple[str, ...]
    """Ids of the cells in which it is at fault."""
    worst: float
    """Largest scale-relative error of these layers in these cells."""
    remedies: tuple[Remedy, ...]
    """Alternatives; empty when no pair shows what causes the fault."""

    @property
    def sentence(self) -> str:
        """The cause in one sentence with its numbers."""
        start = f"{self.layer_type}, scale-relative"
        if not self.remedies:
            return (
                f"{start} {self.worst:.1e} in {len(self.cells)} cells: no pair of cells shows "
                "what causes it"
            )
        before = max(remedy.error_before for remedy in self.remedies)
        after = max(remedy.error_after for remedy in self.remedies)
        parts = [f"{remedy.words} ({remedy.pairs})" for remedy in self.remedies]
        return f"{start} {before:.1e} → {after:.1e}, when {' or '.join(parts)}"


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A measured cell with its settings and the error of one layer type."""

    id: str
    input: str
    requested: tuple[str, str]
    """Names of the flag set and the run options."""
    settings: Mapping[Axis, Mapping[str, str]]
    error: float
    faulty: bool


class _Pair(NamedTuple):
    change: Change
    bad: _Cell
    other: _Cell


def attribute(records: Iterable[CellRecord], tolerance: float) -> tuple[Cause, ...]:
    """Return the causes found in a table of cells, the worst first.

    Args:
        records: the cells of one or more matrices over the same model.
        tolerance: scale-relative error above which a layer is at fault.
    """
    measured = [r for r in records if r.verdict in (Verdict.OK, Verdict.DROP) and r.layers]
    types = dict.fromkeys(layer.type for record in measured for layer in record.layers)
    causes = [cause for name in types for cause in _causes(name, measured, tolerance)]
    return tuple(sorted(causes, key=lambda cause: (not cause.remedies, -cause.worst)))


def own_error(layer: LayerRecord) -> float | None:
    """Return a layer's own scale-relative error; the chain's where its own was not measured."""
    metrics = layer.local or layer.cumulative
    return metrics.scale_relative if metrics else None


def build_settings(build: BuildRecord) -> dict[str, str]:
    """Return the build settings that a user chooses, as they were in force."""
    return {k: v for k, v in build.cmake_cache.items() if k.startswith(_BUILD_KEYS)}


def _causes(layer_type: str, records: Sequence[CellRecord], tolerance: float) -> list[Cause]:
    """Return one cause per group of faulty cells that the same remedies clear."""
    faults: dict[str, tuple[str, ...]] = {}
    cells = []
    for record in records:
        errors = {
            layer.name: error
            for layer in record.layers
            if layer.type == layer_type and (error := own_error(layer)) is not None
        }
        if errors:
            cells.append(_cell(record, max(errors.values()), tolerance))
            faults[record.cell] = tuple(name for name, e in errors.items() if e > tolerance)
    faulty = {cell.id: cell for cell in cells if cell.faulty}
    if not faulty:
        return []
    pairs = _pairs(cells)
    causes = []
    for group, changes in _groups(faulty, pairs):
        remedies = (_remedy(change, pairs) for change in changes)
        causes.append(
            Cause(
                layer_type=layer_type,
                layers=tuple(dict.fromkeys(name for cell in group for name in faults[cell])),
                cells=tuple(group),
                worst=max(faulty[cell].error for cell in group),
                remedies=tuple(sorted(remedies, key=_weight)),
            )
        )
    return causes


def _cell(record: CellRecord, error: float, tolerance: float) -> _Cell:
    return _Cell(
        id=record.cell,
        input=record.input,
        requested=(record.flags, record.run),
        settings={
            "version": {"ncnn": record.version},
            "build": build_settings(record.build),
            "run": {name: str(value).lower() for name, value in record.options.items()},
        },
        error=error,
        faulty=error > tolerance,
    )


def _weight(remedy: Remedy) -> tuple[bool, int]:
    return (remedy.contradicting > 0, -remedy.supporting)


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
            if change and len({setting.axis for setting in change}) <= MAX_AXES:
                pairs.append(_Pair(change, bad, other))
    return pairs


def _change(bad: _Cell, other: _Cell) -> Change:
    """Return the settings in which two cells differ; empty where they cannot be compared."""
    if bad.settings["version"] != other.settings["version"]:
        # Two versions have other options anyway: only what was asked for can be compared.
        if bad.requested != other.requested:
            return frozenset()
        axes: tuple[Axis, ...] = ("version",)
    else:
        axes = ("build", "run")
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
    cleared: dict[str, list[Change]] = defaultdict(list)
    failed: dict[str, set[Change]] = defaultdict(set)
    for pair in pairs:
        if pair.other.faulty:
            failed[pair.bad.id].add(pair.change)
        else:
            cleared[pair.bad.id].append(pair.change)
    known = {change for changes in cleared.values() for change in changes}
    for cell in faulty:
        # A part of this cell's change that clears the fault elsewhere, and was not seen to fail
        # here, explains it: the rest of the change only separates the two cells.
        clearing = {
            part
            for change in cleared[cell]
            for part in known
            if part <= change and part not in failed[cell]
        }
        members = [cell]
        changes = [c for c in clearing if not any(o < c for o in clearing)]
        rest = []
        for group in groups:
            if set(group[1]) & set(changes) or (not group[1] and not changes):
                members = group[0] + members
                changes = list(dict.fromkeys(group[1] + changes))
            else:
                rest.append(group)
        groups = [*rest, (members, changes)]
    return _folded(groups)


def _folded(groups: list[tuple[list[str], list[Change]]]) -> list[tuple[list[str], list[Change]]]:
    """Let changes that only work together speak for the cells where one of them was made already.

    Where A and B are both needed, A alone clears the cells that have B: that is no other cause.
    """
    folded: list[tuple[list[str], list[Change]]] = []
    for members, changes in sorted(groups, key=lambda group: -max(map(len, group[1]), default=0)):
        whole = next(
            (g for g in folded if changes and any(set().union(*changes) <= c for c in g[1])), None
        )
        if whole:
            whole[0].extend(members)
        else:
            folded.append((members, changes))
    return folded


def _remedy(change: Change, pairs: Sequence[_Pair]) -> Remedy:
    same = [pair for pair in pairs if pair.change == change]
    cleared = [pair for pair in same if not pair.other.faulty]
    kept = [pair for pair in same if pair.other.faulty]
    helped = {pair.bad.id for pair in cleared}
    return Remedy(
        change=change,
        supporting=len(cleared),
        contradicting=len(kept),
        error_before=max(pair.bad.error for pair in cleared),
        error_after=max(pair.other.error for pair in cleared),
        exceptions=tuple(dict.fromkeys(pair.other.id for pair in kept)),
        together=any(p.change < change and p.other.faulty and p.bad.id in helped for p in pairs),
    )
