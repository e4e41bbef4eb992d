"""What a sweep's verdicts show: faults, by layer type, kind, and the builds that have them.

What a narrow format costs is no fault where the same case without narrow formats is right. A
refusal or another shape is none where the build refuses the case with all options: it is a version
to which the case means something else. So is what only an older version refuses.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING

from harness.analysis.sweep.runs import DEFAULT, SINGLE_PRECISION
from harness.cases.judgement import CaseOutcome, CaseVerdict
from harness.cases.layer_case import parse_case
from harness.domain.spec import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.execution.case_runner import CaseRecord


class FaultKind(StrEnum):
    """What a layer does wrong."""

    CRASH = "crash"
    """The process dies or hangs."""
    UNSTABLE = "unstable"
    """The result depends on something else than the input."""
    VALUES = "wrong values"
    PRECISION = "drop"
    REFUSAL = "refusal"
    """The case is not computed any more, or gives another shape."""
    NARROW = "narrow format"
    """Less precise by what a narrow format costs, that the options allow: told as a change only."""


_KINDS = {
    CaseOutcome.CRASH: FaultKind.CRASH,
    CaseOutcome.HANG: FaultKind.CRASH,
    CaseOutcome.UNSTABLE: FaultKind.UNSTABLE,
    CaseOutcome.BROKEN: FaultKind.VALUES,
    CaseOutcome.DROP: FaultKind.PRECISION,
    CaseOutcome.REFUSED: FaultKind.REFUSAL,
    CaseOutcome.SHAPE: FaultKind.REFUSAL,
}
_FAMILIES = {
    FaultKind.UNSTABLE: FaultKind.VALUES,
    FaultKind.PRECISION: FaultKind.VALUES,
}
"""Kinds that one fault may show as, depending on the numbers that it meets."""
_REFUSALS = (CaseOutcome.REFUSED, CaseOutcome.SHAPE)


class FaultState(StrEnum):
    """What a build does in one run of one case."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    """Not measured, not judged, or not meant by the case."""


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """One run of one case that shows a fault in some builds."""

    case: str
    run: str
    kind: FaultKind
    states: tuple[FaultState, ...]
    """One per build, in the order of the builds."""
    verdicts: tuple[CaseVerdict | None, ...]
    """The same."""
    faulty_runs: frozenset[str]
    """All runs of this case that are bad where this one is, as far as they are known there."""
    clean_runs: frozenset[str]
    """All runs of it that show none in any build in which this one is bad."""

    @property
    def layer(self) -> str:
        """Type of the layer."""
        return self.case.partition(":")[0]

    @property
    def is_change(self) -> bool:
        """Whether builds differ."""
        return FaultState.GOOD in self.states and FaultState.BAD in self.states

    @property
    def excess(self) -> float:
        """The smallest error of the builds that have the fault, in units of its limit."""
        pairs = zip(self.verdicts, self.states, strict=True)
        bad = [verdict for verdict, state in pairs if verdict and state is FaultState.BAD]
        return min((v.error / v.limit if v.limit else math.inf for v in bad), default=math.inf)


CLEAR = 4.0
"""Times of a limit from which on an error is a clear one: that shows a fault best."""


@dataclass(frozen=True, kw_only=True)
class SuspectGroup:
    """Suspects of one layer type and family of kinds that the same builds have."""

    layer: str
    states: tuple[FaultState, ...]
    suspects: tuple[Suspect, ...]
    """Those known of most builds first, then the worst kind, and of each the simplest."""


def settled(record: CaseRecord) -> dict[str, CaseVerdict]:
    """Return the verdicts of a case, its faults explained by a narrow format only if they are.

    They are if the same case without narrow formats is right.
    """
    plain = record.verdicts.get(SINGLE_PRECISION)
    if plain is not None and plain.outcome is CaseOutcome.OK:
        return record.verdicts
    return {
        name: verdict.model_copy(update={"narrow": ""}) if verdict.narrow else verdict
        for name, verdict in record.verdicts.items()
    }


def suspect_groups(tables: Sequence[Iterable[CaseRecord]]) -> list[SuspectGroup]:
    """Return what is wrong, changes between builds first, then by severity and layer type.

    Args:
        tables: for each build, oldest version first, what became of the cases.
    """
    found: dict[str, list[Mapping[str, CaseVerdict]]] = {}
    for place, table in enumerate(tables):
        for record in table:
            rows = found.setdefault(record.case, [{} for _ in tables])
            rows[place] = settled(record)
    groups: dict[tuple[str, FaultKind, tuple[FaultState, ...]], list[Suspect]] = defaultdict(list)
    for case, rows in found.items():
        for suspect in _suspects(case, rows):
            family = _FAMILIES.get(suspect.kind, suspect.kind)
            groups[suspect.layer, family, suspect.states].append(suspect)
    made = (
        SuspectGroup(layer=layer, states=states, suspects=tuple(sorted(suspects, key=_prominence)))
        for (layer, _, states), suspects in _joined(groups).items()
    )
    return sorted(made, key=_order)


_Key = tuple[str, FaultKind, tuple[FaultState, ...]]


def _joined(groups: Mapping[_Key, list[Suspect]]) -> dict[_Key, list[Suspect]]:
    """Join groups of which builds are not known to the only one that they may belong to.

    An option that one version lacks tells nothing of that version, and is no fault of its own.
    """
    joined: dict[_Key, list[Suspect]] = {}
    for key in sorted(groups, key=lambda key: key[2].count(FaultState.UNKNOWN)):
        hosts = [host for host in joined if host[:2] == key[:2] and _may_be(key[2], host[2])]
        joined.setdefault(hosts[0] if len(hosts) == 1 else key, []).extend(groups[key])
    return joined


def _may_be(states: tuple[FaultState, ...], others: tuple[FaultState, ...]) -> bool:
    pairs = zip(states, others, strict=True)
    return all(mine in (FaultState.UNKNOWN, other) for mine, other in pairs)


_SEVERITY = list(FaultKind)


def _order(group: SuspectGroup) -> tuple[object, ...]:
    first = group.suspects[0]
    return (not first.is_change, _SEVERITY.index(first.kind), group.layer, group.states)


def _suspects(case: str, rows: Sequence[Mapping[str, CaseVerdict]]) -> Iterable[Suspect]:
    runs = list(dict.fromkeys(run for row in rows for run in row))
    seen: dict[str, tuple[FaultKind | None, tuple[FaultState, ...]]] = {}
    for run in runs:
        seen[run] = _seen(run, rows)
    for run, (kind, states) in seen.items():
        if kind is None:
            continue
        bad = [place for place, state in enumerate(states) if state is FaultState.BAD]
        yield Suspect(
            case=case,
            run=run,
            kind=kind,
            states=states,
            verdicts=tuple(row.get(run) for row in rows),
            faulty_runs=frozenset(
                other
                for other, (_, there) in seen.items()
                if FaultState.BAD in (known := [there[place] for place in bad])
                and FaultState.GOOD not in known
            ),
            clean_runs=frozenset(
                other
                for other, (_, there) in seen.items()
                if all(there[place] is FaultState.GOOD for place in bad)
            ),
        )


def _seen(
    run: str, rows: Sequence[Mapping[str, CaseVerdict]]
) -> tuple[FaultKind | None, tuple[FaultState, ...]]:
    """Return the worst kind of fault of a run, and what each build does."""
    faults = [_fault(row.get(run), run, rows, place) for place, row in enumerate(rows)]
    worst = min(filter(None, faults), key=_SEVERITY.index, default=None)
    states = tuple(
        FaultState.BAD
        if fault and (worst is FaultKind.NARROW or fault is not FaultKind.NARROW)
        else _state(row.get(run))
        for fault, row in zip(faults, rows, strict=True)
    )
    if worst is FaultKind.NARROW and FaultState.GOOD not in states:
        return None, states
    return worst, states


def _state(verdict: CaseVerdict | None) -> FaultState:
    if verdict is None or not (verdict.outcome is CaseOutcome.OK or verdict.narrow):
        return FaultState.UNKNOWN
    return FaultState.GOOD


def _fault(
    verdict: CaseVerdict | None, run: str, rows: Sequence[Mapping[str, CaseVerdict]], place: int
) -> FaultKind | None:
    if verdict is None:
        return None
    if verdict.outcome in _REFUSALS:
        others = (other.outcome is CaseOutcome.OK for other in rows[place].values())
        before = (row[run].outcome is CaseOutcome.OK for row in rows[:place] if run in row)
        return FaultKind.REFUSAL if any(others) or any(before) else None
    if verdict.narrow:
        return FaultKind.NARROW
    return _KINDS[verdict.outcome] if verdict.is_fault else None


def _prominence(suspect: Suspect) -> tuple[object, ...]:
    """Return what sorts suspects: those known of most builds, then the worst kind, then usual
    options and numbers, few of them."""
    case = parse_case(suspect.case)
    numbers = sum(prod(shape) for shape in case.shapes)
    unusual = (case.values, case.weights, case.storage) != (("normal",), "normal", "fp32")
    run = _PROMINENT.index(suspect.run) if suspect.run in _PROMINENT else len(_PROMINENT)
    return (
        suspect.states.count(FaultState.UNKNOWN),
        _SEVERITY.index(suspect.kind),
        suspect.excess < CLEAR,
        run,
        unusual,
        numbers,
        len(case.params),
        suspect.case,
        suspect.run,
    )


_PROMINENT = (DEFAULT, SINGLE_PRECISION, f"{THREADS}=2")
"""Runs that say most to a reader, before any other."""
