"""Where a cause that was found is a fault that was known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.advisories.affected import span
from harness.advisories.measured import known_faults
from harness.analysis.attribution.symptoms import Level
from harness.domain.formatting import count
from harness.domain.versions import ordered_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.advisories.advisory import Advisory
    from harness.analysis.attribution.causes import Cause
    from harness.domain.records import CellRecord

_LEVELS: Mapping[str, frozenset[Level]] = {
    "drop": frozenset({Level.PRECISION}),
    "narrow": frozenset({Level.PRECISION}),
    # How much is wrong depends on the values: zeros among small ones look like a loss.
    "broken": frozenset({Level.PRECISION, Level.VALUES}),
}
"""What a fault looks like in a layer that was measured by itself, by what it makes of its case."""


@dataclass(frozen=True, kw_only=True)
class KnownFault:
    """A known fault that a cause is."""

    advisory: Advisory
    version: str
    """The newest one of the cause that has it."""
    cells: int
    of: int
    """In how many of the cells of the cause."""
    certain: bool
    """Whether nothing that the records do not tell decides about it."""

    @property
    def words(self) -> str:
        """What is known, in one line."""
        found = self.advisory
        where = "" if self.cells == self.of else f" in {self.cells} of {count(self.of, 'cell')}"
        place = span(found, self.version).words
        known = "known" if self.certain else "perhaps known"
        return f"{known}{where}: {found.title}, {place} ({found.id}). {found.advice}"


def known_in(
    cause: Cause, records: Iterable[CellRecord], advisories: Sequence[Advisory]
) -> tuple[KnownFault, ...]:
    """Return the known faults that a cause is, those first that most of its cells have.

    A cell counts if each layer of the cause that it has is of the fault's type and meets it.
    """
    fitting = [each for each in advisories if cause.level in _LEVELS.get(each.expect, ())]
    cells: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    wanted = set(cause.cells)
    for record in records if fitting else ():
        if record.cell in wanted:
            layers = [layer for layer in record.layers if layer.name in cause.layers]
            met = known_faults(record, layers, fitting)
            for name in set.intersection(*map(set, met)) if met else ():
                cells[name].append((record.version, all(each[name] for each in met)))
    found = [
        KnownFault(
            advisory=advisory,
            version=ordered_versions(version for version, _ in cells[advisory.id])[-1],
            cells=len(cells[advisory.id]),
            of=len(wanted),
            certain=all(certain for _, certain in cells[advisory.id]),
        )
        for advisory in fitting
        if advisory.id in cells
    ]
    return tuple(sorted(found, key=lambda known: -known.cells))
