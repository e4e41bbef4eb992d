"""In which versions something is wrong, summed up."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.analysis.attribution.evidence import Case, Table
    from harness.analysis.attribution.symptoms import Observation


class Span(NamedTuple):
    """Measured versions in a row in which something is wrong."""

    versions: tuple[str, ...]
    """All of them, oldest first."""
    before: str
    """The next older version that was measured, which is right; empty if there is none."""
    after: str
    """The next newer one likewise."""


def states(cases: Iterable[Case], table: Table) -> dict[str, bool]:
    """Return whether a fault is there, by version.

    It is there if any of the layers has it in any of the cells as requested; it is not if none has
    and one was shown not to have it: what is faulty in the one version is clean in the other, by
    more than chance. Of other versions nothing is known.
    """
    cases = list(cases)
    before = {(case.symptom, case.cell.request): case.seen for case in cases}
    seen: dict[str, set[str]] = defaultdict(set)
    for symptom in {case.symptom for case in cases}:
        cells = table.observed[symptom]
        for request in {case.cell.request for case in cases}:
            bad = before.get((symptom, request))
            for version, cell in table.versions_of[request].items():
                if cell in cells:
                    seen[version].add(_state(cells[cell], bad))
    return {
        version: "faulty" in found
        for version, found in seen.items()
        if "faulty" in found or found == {"clean"}
    }


def _state(there: Observation, bad: Observation | None) -> str:
    if there.faulty and not there.masked:
        return "faulty"
    if bad is None:
        return "unknown" if there.masked else "clean"
    return "clean" if there.clears(bad) else "unknown"


def spans(found: Mapping[str, bool], order: Sequence[str]) -> tuple[Span, ...]:
    """Return the runs of versions that have a fault.

    Args:
        found: whether each version has it; others were not measured.
        order: all versions, oldest first.
    """
    known = [version for version in order if version in found]
    result: list[Span] = []
    for place, version in enumerate(known):
        if not found[version]:
            continue
        after = known[place + 1] if place + 1 < len(known) else ""
        after = "" if after and found[after] else after
        if place and found[known[place - 1]]:
            last = result.pop()
            result.append(Span((*last.versions, version), last.before, after))
        else:
            result.append(Span((version,), known[place - 1] if place else "", after))
    return tuple(result)
