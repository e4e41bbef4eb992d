"""The compatibility table of a sweep: layer type × run options × version."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.analysis.sweep.runs import DEFAULT, EXACT, SINGLE_PRECISION
from harness.analysis.sweep.suspects import FaultKind, FaultState, settled, suspect_groups
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.domain.spec import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.execution.case_runner import CaseRecord
    from harness.report.sweep_about import Reference, SweepAbout


class CellState(StrEnum):
    """What becomes of cases in one place of the table, the worst first."""

    CRASH = "crash"
    BROKEN = "broken"
    UNSTABLE = "unstable"
    DROP = "drop"
    REFUSED = "refused"
    """By some run options, or any more: it is a fault."""
    NARROW = "narrow"
    OK = "ok"
    UNJUDGED = "not judged"
    UNSUPPORTED = "unsupported"
    """The version means something else by it, whatever the options, or has no such layer."""

    @property
    def is_fault(self) -> bool:
        """Whether a layer should not do so."""
        return self in _FAULTS


_FAULTS = frozenset(
    {
        CellState.CRASH,
        CellState.BROKEN,
        CellState.UNSTABLE,
        CellState.DROP,
        CellState.REFUSED,
    }
)
SEVERITY = tuple(CellState)
SIGNS: Mapping[CellState, str] = MappingProxyType(
    {
        CellState.CRASH: "!",
        CellState.BROKEN: "✕",
        CellState.UNSTABLE: "≈",
        CellState.DROP: "▼",
        CellState.REFUSED: "⊘",
        CellState.NARROW: "~",
        CellState.OK: "",
        CellState.UNJUDGED: "○",
        CellState.UNSUPPORTED: "–",
    }
)
"""A sign beside every colour: nobody has to tell colours apart."""
MEANINGS: Mapping[CellState, str] = MappingProxyType(
    {
        CellState.CRASH: "the process dies or hangs",
        CellState.BROKEN: "wrong values: NaN, infinities, or errors as large as the largest value",
        CellState.UNSTABLE: "the same input gives other results",
        CellState.DROP: "less precise than single precision need be",
        CellState.REFUSED: "not computed, or in another shape, though other options or an older "
        "version do it",
        CellState.NARROW: "as precise as fp16 or bf16, which the options allow",
        CellState.OK: "within the limit",
        CellState.UNJUDGED: "the result hangs on roundings, so that nothing can be said",
        CellState.UNSUPPORTED: "this version has no such layer or parameter, or takes no such case",
    }
)
_STATES = {
    CaseOutcome.OK: CellState.OK,
    CaseOutcome.DROP: CellState.DROP,
    CaseOutcome.BROKEN: CellState.BROKEN,
    CaseOutcome.UNSTABLE: CellState.UNSTABLE,
    CaseOutcome.CRASH: CellState.CRASH,
    CaseOutcome.HANG: CellState.CRASH,
    CaseOutcome.SHAPE: CellState.REFUSED,
    CaseOutcome.REFUSED: CellState.REFUSED,
    CaseOutcome.UNSUPPORTED: CellState.UNSUPPORTED,
    CaseOutcome.UNJUDGED: CellState.UNJUDGED,
}

_UNDECIDED = {
    CellState.UNJUDGED: "not judged",
    CellState.UNSUPPORTED: "refused with any options",
}


@dataclass(frozen=True, kw_only=True)
class TableCell:
    """The cases of one layer type with one set of run options in one build."""

    counts: Mapping[CellState, int]
    """How many cases are how, the worst first."""
    case: str
    """Id of the worst one."""
    verdict: CaseVerdict
    """What became of it."""

    @property
    def state(self) -> CellState:
        """That of the worst case."""
        return next(iter(self.counts))

    @property
    def cases(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer type."""

    layer: str
    reference: Reference
    cells: Mapping[tuple[str, str], TableCell]
    """By the labels of builds and the names of run options."""
    cases: Mapping[str, Mapping[CellState, int]]
    """By build, how many cases are how with the run options that are worst for each."""
    undecided: Mapping[str, Mapping[str, int]]
    """By build, why cases were not judged, or are refused whatever the options; how many."""

    @cached_property
    def state(self) -> CellState:
        """The worst of all."""
        found = (state for counts in self.cases.values() for state in counts)
        return min(found, key=SEVERITY.index, default=CellState.UNSUPPORTED)

    def faulty(self, label: str) -> int:
        """Return how many cases show a fault in a build."""
        counts = self.cases.get(label, {})
        return sum(n for state, n in counts.items() if state.is_fault)

    def run(self, label: str) -> int:
        """Return how many cases were run in a build."""
        return sum(self.cases.get(label, {}).values())


def layer_rows(about: SweepAbout, tables: Sequence[Iterable[CaseRecord]]) -> tuple[LayerRow, ...]:
    """Return the table, layer types with the worst faults first, then by name.

    What counts as a fault is what findings are made from: a refusal is none where the version takes
    the case with no options at all, and neither is what a narrow format costs.

    Args:
        about: the sweep.
        tables: for each build, what became of the cases.
    """
    faults = _faults(tables)
    seen: dict[str, _Collected] = {}
    for place, (label, table) in enumerate(zip(about.labels, tables, strict=True)):
        for record in table:
            layer = record.case.partition(":")[0]
            collected = seen.setdefault(layer, _Collected())
            collected.add(label, record, faults[place])
    for build in about.builds:
        for layer in build.left_out:
            seen.setdefault(layer, _Collected())
    rows = [collected.row(layer, about) for layer, collected in seen.items()]
    return tuple(sorted(rows, key=_order))


def _order(row: LayerRow) -> tuple[object, ...]:
    faulty = sum(n for counts in row.cases.values() for s, n in counts.items() if s.is_fault)
    worst = SEVERITY.index(row.state) if row.state.is_fault else len(SEVERITY)
    return worst, -faulty, row.layer


def run_names(about: SweepAbout) -> tuple[str, ...]:
    """Return the names of all run options: the usual ones, threads, then what is switched."""
    names = dict.fromkeys(name for build in reversed(about.builds) for name in build.runs)
    kinds = (DEFAULT, SINGLE_PRECISION, EXACT, f"{THREADS}=")
    places = [tuple(not name.startswith(kind) for kind in kinds) for name in names]
    return tuple(name for _, name in sorted(zip(places, names, strict=True), key=lambda p: p[0]))


def _faults(tables: Sequence[Iterable[CaseRecord]]) -> list[set[tuple[str, str]]]:
    """Return for each build the cases and run options that show a fault in it."""
    found: list[set[tuple[str, str]]] = [set() for _ in tables]
    for group in suspect_groups(tables):
        for suspect in group.suspects:
            if suspect.kind is FaultKind.NARROW:
                continue
            for place, state in enumerate(suspect.states):
                if state is FaultState.BAD:
                    found[place].add((suspect.case, suspect.run))
    return found


class _Collected:
    """What is known of one layer type so far."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], list[tuple[CellState, str, CaseVerdict]]] = {}
        self._cases: dict[str, Counter[CellState]] = {}
        self._undecided: dict[str, Counter[str]] = {}

    def add(self, label: str, record: CaseRecord, faults: set[tuple[str, str]]) -> None:
        worst: tuple[CellState, CaseVerdict] | None = None
        for name, verdict in settled(record).items():
            state = cell_state(verdict, is_fault=(record.case, name) in faults)
            self._cells.setdefault((label, name), []).append((state, record.case, verdict))
            if worst is None or SEVERITY.index(state) < SEVERITY.index(worst[0]):
                worst = state, verdict
        if worst is None:
            return
        self._cases.setdefault(label, Counter())[worst[0]] += 1
        if worst[0] in _UNDECIDED:
            reason = f"{_UNDECIDED[worst[0]]}: {worst[1].reason or 'no reason given'}"
            self._undecided.setdefault(label, Counter())[reason] += 1

    def row(self, layer: str, about: SweepAbout) -> LayerRow:
        return LayerRow(
            layer=layer,
            reference=about.references[layer],
            cells={key: _cell(entries) for key, entries in self._cells.items()},
            cases={label: _sorted(counts) for label, counts in self._cases.items()},
            undecided={label: dict(reasons) for label, reasons in self._undecided.items()},
        )


def cell_state(verdict: CaseVerdict, *, is_fault: bool) -> CellState:
    """Return what a verdict is in the table, given whether it counts as a fault there."""
    if verdict.narrow:
        return CellState.NARROW
    state = _STATES[verdict.outcome]
    return CellState.UNSUPPORTED if state is CellState.REFUSED and not is_fault else state


def _cell(entries: Sequence[tuple[CellState, str, CaseVerdict]]) -> TableCell:
    def rank(entry: tuple[CellState, str, CaseVerdict]) -> tuple[int, float]:
        state, _, verdict = entry
        return SEVERITY.index(state), -verdict.error

    _, case, verdict = min(entries, key=rank)
    counts = Counter(state for state, _, _ in entries)
    return TableCell(counts=_sorted(counts), case=case, verdict=verdict)


def _sorted(counts: Mapping[CellState, int]) -> dict[CellState, int]:
    return {state: counts[state] for state in SEVERITY if counts.get(state)}
