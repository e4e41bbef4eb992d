"""Pairs of measured cells, and what each proves about one symptom in one cell.

A pair differs in known settings and in nothing else. If the symptom is there in the one cell and
gone in the other, the change clears it *there*; if it is there in both, the change alone is not
enough *there*. Nothing is concluded about a cell from pairs of other cells.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis.attribution.settings import Change, difference, leads_abroad, settings_of
from harness.analysis.attribution.symptoms import Observed, observe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set

    from harness.analysis.attribution.settings import Settings
    from harness.analysis.attribution.symptoms import Observation, Symptom
    from harness.domain.records import CellRecord
    from harness.domain.verdict import Tolerance

WORSE = 8.0
"""How many times smaller a fault must become for a change to be worth telling that leaves it."""


class Request(NamedTuple):
    """What was asked for of any version, on which input and machine: cells of one request are
    compared across versions, whose options differ anyway."""

    flags: str
    run: str
    converter: str
    input: str
    machine: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is asked of a record besides its symptoms."""

    id: str
    version: str
    request: Request
    settings: Settings = field(hash=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Clearing:
    """A smallest change that clears a symptom in a cell."""

    change: Change
    other: str
    """Id of the cell that differs in this change and is clean."""
    proved: bool
    """Whether no setting can be left out: without any one of them the symptom was still there."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One symptom in one cell where it is there, with all that is known about it."""

    symptom: Symptom
    cell: Cell
    seen: Observation
    clearings: tuple[Clearing, ...]
    """The smallest changes; those that are proved, or, if none is, what was not separated."""
    unproved: tuple[Change, ...]
    """The smallest changes that clear it and are not proved, whether others are or not."""
    failed: frozenset[Change]
    """Changes that leave the symptom."""
    easing: Mapping[Change, str]
    """Of these the smallest that make it much smaller, with the other cell's id."""
    tried: frozenset[Change]
    """All changes that were measured in this very cell, whatever came of them."""


class Table:
    """Cells of one model on one machine, and their observations.

    Experiments may be of other machines: the machine is a setting like others.
    """

    def __init__(self, records: Iterable[CellRecord], tolerance: Tolerance) -> None:
        """Take in records; what cells with equal settings disagree about is left out."""
        records = list(records)
        self.records: Mapping[str, CellRecord] = {record.cell: record for record in records}
        defaults = {r.build.id: r.build.options for r in records if r.build.options}
        cells = (_cell(r, defaults.get(r.build.id, {})) for r in records)
        self.cells: Mapping[str, Cell] = {cell.id: cell for cell in cells if cell}
        self.observed = self._agreed(observe(records, tolerance))
        self._near: dict[str, list[tuple[Change, str]]] = {}

    def _agreed(self, observed: Observed) -> Observed:
        """Leave out observations of cells that differ in nothing known, but in what they show."""
        return {
            symptom: {
                cell: seen
                for cell, seen in cells.items()
                if cell in self.cells
                and all(
                    cells[twin].faulty == seen.faulty
                    for twin in self._twins.get(cell, ())
                    if twin in cells
                )
            }
            for symptom, cells in observed.items()
        }

    @cached_property
    def _twins(self) -> Mapping[str, Sequence[str]]:
        """Return cells that have others with the same settings, with these."""
        groups: dict[object, list[str]] = defaultdict(list)
        for cell in self.cells.values():
            key = (cell.version, cell.request.input, frozenset(cell.settings.items()))
            groups[key].append(cell.id)
        return {cell: group for group in groups.values() if len(group) > 1 for cell in group}

    @cached_property
    def _comparable(self) -> Mapping[tuple[str, str], Sequence[Cell]]:
        groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
        for cell in self.cells.values():
            groups[cell.version, cell.request.input].append(cell)
        return groups

    @cached_property
    def versions_of(self) -> Mapping[Request, Mapping[str, str]]:
        """Ids of cells by request and version."""
        groups: dict[Request, dict[str, str]] = defaultdict(dict)
        for cell in self.cells.values():
            groups[cell.request][cell.version] = cell.id
        return groups

    def near(self, cell: Cell) -> Sequence[tuple[Change, str]]:
        """Return the cells of the same version and input, with what to change to come there."""
        known = self._near.get(cell.id)
        if known is None:
            others = self._comparable[cell.version, cell.request.input]
            pairs = ((difference(cell.settings, other.settings), other.id) for other in others)
            known = self._near[cell.id] = [(change, other) for change, other in pairs if change]
        return known

    @cached_property
    def cases(self) -> Sequence[Case]:
        """Return every symptom in every cell of the table where it is there.

        Experiments are no cells of the table: what is wrong in them was not asked about.
        """
        return [
            self._case(symptom, self.cells[cell], seen)
            for symptom, cells in self.observed.items()
            for cell, seen in cells.items()
            if seen.faulty and not seen.masked and not self.records[cell].experiment
        ]

    def _case(self, symptom: Symptom, cell: Cell, seen: Observation) -> Case:
        """Return a symptom in a cell; what another machine shows counts if nothing else does."""
        near = self.near(cell)
        at_home = [(change, other) for change, other in near if not leads_abroad(change)]
        case = self._case_among(at_home, symptom, cell, seen)
        if case.clearings or len(at_home) == len(near):
            return case
        return self._case_among(near, symptom, cell, seen)

    def _case_among(
        self,
        near: Sequence[tuple[Change, str]],
        symptom: Symptom,
        cell: Cell,
        seen: Observation,
    ) -> Case:
        cells = self.observed[symptom]
        cleared: dict[Change, str] = {}
        failed: set[Change] = set()
        eased: dict[Change, str] = {}
        tried: set[Change] = set()
        for change, other in near:
            there = cells.get(other)
            if there is None:
                continue
            tried.add(change)
            if there.clears(seen):
                # Of twins the first by name: which it is changes no statement.
                cleared[change] = min(other, cleared.get(change, other))
            elif there.faulty:
                failed.add(change)
                if (
                    isfinite(seen.excess)
                    and not there.masked
                    and seen.excess >= WORSE * there.excess
                ):
                    eased[change] = min(other, eased.get(change, other))
        each = [_clearing(change, cleared[change], failed) for change in cleared]
        return Case(
            symptom=symptom,
            cell=cell,
            seen=seen,
            clearings=_best(each),
            unproved=tuple(smallest(clearing.change for clearing in each if not clearing.proved)),
            failed=frozenset(failed),
            easing={change: eased[change] for change in smallest(eased) if len(change) == 1},
            tried=frozenset(tried),
        )


def _cell(record: CellRecord, defaults: Mapping[str, bool | int]) -> Cell | None:
    """Return a cell; None if it ended before it could tell its options and no other tells them."""
    options = {**defaults, **record.options}
    if not options:
        return None
    record = record.model_copy(update={"options": options})
    return Cell(
        id=record.cell,
        version=record.version,
        request=Request(
            record.flags, record.run, record.converter, record.input, record.machine_name
        ),
        settings=settings_of(record),
    )


def _clearing(change: Change, other: str, failed: Set[Change]) -> Clearing:
    parts = (change - {setting} for setting in change) if len(change) > 1 else ()
    return Clearing(change=change, other=other, proved=all(part in failed for part in parts))


def _best(clearings: Sequence[Clearing]) -> tuple[Clearing, ...]:
    """Return the smallest changes that are proved; if none is, the smallest."""
    known = {each.change: each for each in clearings if each.proved} or {
        each.change: each for each in clearings
    }
    return tuple(known[change] for change in smallest(known))


def smallest(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that contain no other of them."""
    by_size = sorted(changes, key=len)
    kept: list[Change] = []
    for change in by_size:
        if not any(other < change for other in kept):
            kept.append(change)
    return kept
