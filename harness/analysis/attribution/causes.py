"""Causes: faults that the same changes clear, in one statement each. `docs/attribution.md` has the
semantics that this follows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.attribution.evidence import Table
from harness.analysis.attribution.settings import Change, order
from harness.analysis.attribution.spans import Span, spans, states
from harness.analysis.attribution.symptoms import Level
from harness.domain.versions import are_dated, ordered_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.analysis.attribution.evidence import Case, Request
    from harness.analysis.attribution.symptoms import Symptom
    from harness.domain.records import CellRecord
    from harness.domain.verdict import Tolerance

Pair = tuple[str, str]
"""Ids of a faulty cell, and of the one that differs from it in a change."""
Signature = frozenset[Change]


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One change that clears a fault, or eases it, with its evidence."""

    change: Change
    pairs: tuple[Pair, ...]
    """Pairs of cells in which it does so."""
    proved: bool
    """Whether in each of them no setting of the change can be left out."""
    unsettled: tuple[Pair, ...] = ()
    """Those of the pairs in which it is not known what a part of the change does."""
    untried: int = 0
    """In how many other cells of the cause it was not tried. (In none it was tried in vain.)"""
    error_before: float
    """Largest scale-relative error of the layers by themselves, faulty side of the pairs."""
    error_after: float
    """The same on the other side."""
    chain_before: float
    """Scale-relative error of the layers in the chain, faulty side of the pair whose other side
    has the smallest: where no other cause hides the effect."""
    chain_after: float
    """The same on the other side."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Faults that the same changes clear, each of them in the very cells in which it was tried."""

    level: Level
    layer_type: str
    """The type of the worst layer; empty where no layer is at fault by itself."""
    also: tuple[str, ...]
    """Other types of layers with the same fault, the worst first."""
    layers: tuple[str, ...]
    """Names of the layers at fault."""
    cells: tuple[str, ...]
    """Ids of the cells in which they are."""
    reasons: tuple[str, ...]
    """What the cells say of it, where no layer is at fault."""
    worst: float
    """Largest scale-relative error of these layers in these cells."""
    fixes: tuple[Fix, ...]
    """Alternatives; empty when no pair shows what causes the fault."""
    easing: tuple[Fix, ...]
    """Changes that make it much smaller and leave it."""
    spans: tuple[Span, ...]
    """Versions that have it, among those in which the same was measured."""
    clean: tuple[str, ...]
    """Versions that were shown not to have it, oldest first."""
    dated: bool
    """Whether the order of the versions is known."""

    @property
    def is_proved(self) -> bool:
        """Whether any fix is."""
        return any(fix.proved for fix in self.fixes)


def attribute(records: Iterable[CellRecord], tolerance: Tolerance) -> tuple[Cause, ...]:
    """Return the causes found in a table of cells, proved ones and the most frequent first.

    Args:
        records: the cells of one model on one machine, and experiments, on any.
        tolerance: the limits beyond which something is at fault.
    """
    table = Table(records, tolerance)
    return causes_in(table)


def causes_in(table: Table) -> tuple[Cause, ...]:
    """Return the causes in a table."""
    groups = [
        part
        for group in _grouped(table.cases, table)
        for same in _by_versions(group, table)
        for part in _true_for_all(same, table)
    ]
    return tuple(sorted((_cause(group, table) for group in groups), key=_rank))


def _rank(cause: Cause) -> tuple[object, ...]:
    size = (not cause.is_proved, not cause.fixes, -len(cause.cells), -cause.worst)
    names = (cause.level, cause.layers, cause.cells, [order(fix.change) for fix in cause.fixes])
    return (*size, *names)


def _grouped(cases: Iterable[Case], table: Table) -> list[list[Case]]:
    """Group cases that the same changes clear.

    Layers of which nothing was separated are put together if the same would separate them, in all
    cells at once; what nothing clears, by type if it is in the same versions.
    """
    groups: dict[tuple[Level, Signature], list[Case]] = defaultdict(list)
    unproved: dict[Symptom, list[Case]] = defaultdict(list)
    bare: dict[tuple[Level, str, str], list[Case]] = defaultdict(list)
    for case in cases:
        signature = frozenset(clearing.change for clearing in case.clearings)
        if any(clearing.proved for clearing in case.clearings):
            groups[case.symptom.level, signature].append(case)
        elif signature:
            unproved[case.symptom].append(case)
        else:
            name = (case.symptom.level, case.symptom.layer_type, case.symptom.layer)
            bare[name].append(case)
    apart: dict[object, list[Case]] = defaultdict(list)
    for (level, layer_type, _), group in bare.items():
        pattern = frozenset(states(group, table).items())
        apart[level, layer_type, pattern].extend(group)
    for symptom, group in unproved.items():
        changes = (frozenset(clearing.change for clearing in case.clearings) for case in group)
        cells = (case.cell.id for case in group)
        apart[symptom.level, frozenset(zip(cells, changes, strict=True))].extend(group)
    return [*_joined(groups), *apart.values()]


def _joined(groups: Mapping[tuple[Level, Signature], list[Case]]) -> list[list[Case]]:
    """Join groups with fewer fixes to the one with more, if those were never tried on them.

    Where several would do, or where one of the others was tried and did not clear the fault, they
    stay apart.
    """
    joined: dict[tuple[Level, Signature], list[Case]] = {}
    for level, signature in sorted(groups, key=lambda key: -len(key[1])):
        cases = groups[level, signature]
        tried = frozenset[Change]().union(*(case.tried for case in cases))
        hosts = [
            other
            for same, other in groups
            if same is level and signature < other and not (other - signature) & tried
        ]
        most = [host for host in hosts if not any(host < other for other in hosts)]
        key = (level, most[0] if len(most) == 1 else signature)
        # Hosts are larger and were placed before; one that was joined itself took its name along.
        joined[key] = [*joined.get(key, ()), *cases]
    return list(joined.values())


def _by_versions(cases: Sequence[Case], table: Table) -> list[list[Case]]:
    """Split a group into what is in the same versions, each run and input taken by itself.

    What has one fix may have been repaired in most settings and not in all: said of them together
    it would be in all versions.
    """
    requests: dict[Request, list[Case]] = defaultdict(list)
    for case in cases:
        requests[case.cell.request].append(case)
    found = {request: states(group, table) for request, group in requests.items()}
    seen: dict[str, set[bool]] = defaultdict(set)
    for pattern in found.values():
        for version, state in pattern.items():
            seen[version].add(state)
    if all(len(states_there) == 1 for states_there in seen.values()):
        return [list(cases)]
    groups: dict[object, list[Case]] = defaultdict(list)
    for request, group in requests.items():
        groups[frozenset(found[request].items())].extend(group)
    return list(groups.values())


def _true_for_all(cases: Sequence[Case], table: Table) -> list[Sequence[Case]]:
    """Split a group if a layer of it has its fault, in a cell of it, by another cause.

    What is said of a cause is then true of each of its layers in each of its cells.
    """
    mine = {(case.symptom, case.cell.id) for case in cases}
    cells = {cell for _, cell in mine}
    apart = any(
        seen.faulty and cell in cells and (symptom, cell) not in mine
        for symptom in {symptom for symptom, _ in mine}
        for cell, seen in table.observed[symptom].items()
    )
    if not apart:
        return [cases]
    by_layer: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_layer[case.symptom.layer].append(case)
    groups: dict[frozenset[str], list[Case]] = defaultdict(list)
    for group in by_layer.values():
        groups[frozenset(case.cell.id for case in group)].extend(group)
    return list(groups.values())


def _cause(cases: Sequence[Case], table: Table) -> Cause:
    worst: dict[str, float] = {}
    for case in cases:
        name = case.symptom.layer_type
        worst[name] = max(case.seen.error, worst.get(name, 0.0))
    types = sorted(worst, key=lambda name: (-worst[name], name))
    # Neither the order of the records nor their names decide anything.
    versions = ordered_versions(sorted({record.version for record in table.records.values()}))
    found = states(cases, table)
    cells = tuple(sorted({case.cell.id for case in cases}))
    names = {case.symptom.layer for case in cases} - {""}
    layers = {x.name: x.index for c in cells for x in table.records[c].layers if x.name in names}
    level = cases[0].symptom.level
    reasons = {table.records[cell].reason for cell in cells} if level is Level.RUN else ()
    return Cause(
        level=level,
        layer_type=types[0],
        also=tuple(types[1:]),
        layers=tuple(sorted(layers, key=lambda name: (layers[name], name))),
        cells=cells,
        reasons=tuple(sorted(reasons)),
        worst=max(worst.values()),
        fixes=_fixes(cases, table),
        easing=_easing(cases, table),
        spans=spans(found, versions),
        clean=tuple(v for v in versions if v in found and not found[v]),
        dated=are_dated(versions),
    )


def _fixes(cases: Sequence[Case], table: Table) -> tuple[Fix, ...]:
    """Return what clears the cases, that first which was shown to do so most often."""
    pairs: dict[Change, list[tuple[Case, str]]] = defaultdict(list)
    unsettled: dict[Change, set[Pair]] = defaultdict(set)
    for case in cases:
        for clearing in case.clearings:
            pairs[clearing.change].append((case, clearing.other))
            if not clearing.proved:
                unsettled[clearing.change].add((case.cell.id, clearing.other))
    cells = {case.cell.id for case in cases}
    fixes = [
        _fix(change, found, table, unsettled=unsettled[change], cells=len(cells))
        for change, found in pairs.items()
    ]
    return tuple(sorted(fixes, key=lambda f: (not f.proved, f.untried, order(f.change))))


def _easing(cases: Sequence[Case], table: Table) -> tuple[Fix, ...]:
    """Return what makes faults much smaller, wherever it was tried."""
    found: dict[Change, list[tuple[Case, str]]] = defaultdict(list)
    for case in cases:
        for change, other in case.easing.items():
            found[change].append((case, other))
    fixes = [
        _fix(change, pairs, table)
        for change, pairs in found.items()
        if all(change in case.easing for case in cases if change in case.tried)
    ]
    return tuple(sorted(fixes, key=lambda fix: order(fix.change)))


def _fix(
    change: Change,
    found: Sequence[tuple[Case, str]],
    table: Table,
    *,
    unsettled: Iterable[Pair] = (),
    cells: int = 0,
) -> Fix:
    sides = [(case.seen, table.observed[case.symptom][other]) for case, other in found]
    clearest = min(sides, key=lambda side: (side[1].chain, -side[0].chain))
    pairs = sorted({(case.cell.id, other) for case, other in found})
    open_ones = tuple(sorted(unsettled))
    return Fix(
        change=change,
        pairs=tuple(pairs),
        proved=not open_ones,
        unsettled=open_ones,
        untried=max(0, cells - len({case.cell.id for case, _ in found})),
        error_before=max(bad.error for bad, _ in sides),
        error_after=max(other.error for _, other in sides),
        chain_before=clearest[0].chain,
        chain_after=clearest[1].chain,
    )
