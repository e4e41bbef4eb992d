"""Which cells are missing for a proof: the experiments that a table suggests.

Three questions are asked of it, the most telling first; others wait for the answers. Which part of
a change is needed, where several settings changed at once: each setting alone, then the change
without each. What clears a fault that nothing in the table clears: what clears the same fault
elsewhere, and, in one cell that stands for all, every optimisation off. And whether a fix holds in
the cells where it was not tried.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis.attribution.causes import causes_in
from harness.analysis.attribution.settings import (
    WHEN,
    Change,
    Setting,
    Settings,
    difference,
    order,
)
from harness.config.axes import option_value, run_text
from harness.domain.spec import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.analysis.attribution.causes import Cause
    from harness.analysis.attribution.evidence import Case, Cell, Table
    from harness.analysis.attribution.symptoms import Symptom
    from harness.domain.spec import RunSpec

ROUNDS = 6
"""How often experiments may suggest others: singles, the rest of each, what those suggest, and
whether it holds in other cells."""

LEAST = 16
"""Experiments that any table may have."""

MAX_MEMBERS = 16
"""Settings of a change that are tried one by one; more tell nothing that a person could act on."""

OF_DEVICES = (
    "use_vulkan",
    "use_shader",
    "use_subgroup",
    "use_cooperative",
    "use_image",
    "use_tensor",
)
"""Options that change nothing on a CPU."""


class Experiment(NamedTuple):
    """A measured cell, with something changed in it."""

    base: str
    """Id of the cell."""
    change: Change
    settles: bool
    """Whether it decides what clears something, or only whether that holds in a further cell."""
    awaited: bool = False
    """Whether it decides what further cells are worth."""

    @property
    def needs_build(self) -> bool:
        """Whether no measured cell has these build settings."""
        return any(setting.axis == "build" for setting in self.change)


_NEAREST, _PLAIN, _KNOWN, _OTHERS, _SPREAD = range(5)
"""Ranks of wishes: the nearest case of what nothing is proved of, what nothing clears, what was
proved elsewhere in cells of which nothing is, anything else in those, and whether a proved fix
holds in further cells."""


class _Wish(NamedTuple):
    """A cell that is wanted, and how much."""

    rank: int
    cell: Cell
    change: Change


def affordable(cells: int) -> int:
    """Return how many experiments a table of so many cells may have: half as many, or a few."""
    return max(LEAST, cells // 2)


def suggested(table: Table) -> list[Experiment]:
    """Return the experiments that would prove something, the most telling first.

    Args:
        table: what was measured, earlier experiments included.
    """
    worth: dict[tuple[str, str, frozenset[object]], list[_Wish]] = defaultdict(list)
    for wish in _wishes(table):
        target = frozenset(_changed(wish.cell.settings, wish.change).items())
        worth[wish.cell.version, wish.cell.request.input, target].append(wish)
    ranked = sorted(worth.values(), key=lambda w: (_rank(w), -len(w), _key(w)))
    experiments = (_experiment(wishes, table) for wishes in ranked)
    # What was measured and told nothing, such as a cell that is unstable, would tell nothing again.
    return [each for each in experiments if each.change]


def due(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Return the experiments to make now: those that others wait for, if there are any.

    Args:
        experiments: all that can be made, the most telling first.
    """
    return [each for each in experiments if each.awaited] or list(experiments)


def _rank(wishes: Sequence[_Wish]) -> int:
    return min(wish.rank for wish in wishes)


def _key(wishes: Sequence[_Wish]) -> tuple[object, ...]:
    return min((order(wish.change), wish.cell.id) for wish in wishes)


def _wishes(table: Table) -> Iterator[_Wish]:
    cases = table.cases
    known = _known(cases)
    proved = {case.symptom for case in cases if _is_proved(case)}
    for case in _nearest(case for case in cases if case.symptom not in proved):
        for change in _parts(case):
            yield _Wish(_NEAREST, case.cell, change)
    for case in cases:
        for change in _parts(case) if not _has_easy_fix(case) else ():
            yield _Wish(_OTHERS, case.cell, change)
        for change in known[case.symptom.level, case.symptom.layer]:
            # Proved elsewhere: it is tried here, never borrowed.
            fits = all(case.cell.settings.get(s[:2], "") == s.before for s in change)
            if fits and change not in case.tried:
                yield _Wish(_SPREAD if _is_proved(case) else _KNOWN, case.cell, change)
    for cause in causes_in(table):
        mine = [case for case in cases if case.symptom not in proved and _is_in(case, cause)]
        if mine:
            yield from _plain(mine)


def _is_proved(case: Case) -> bool:
    return any(clearing.proved for clearing in case.clearings)


def _has_easy_fix(case: Case) -> bool:
    """Return whether something is proved that can be changed at run time."""
    return any(c.proved and all(s.axis == "run" for s in c.change) for c in case.clearings)


def _nearest(cases: Iterable[Case]) -> list[Case]:
    """Return for each symptom that something clears the case in which the least does."""
    found: dict[Symptom, Case] = {}
    for case in cases:
        if case.clearings:
            first = found.setdefault(case.symptom, case)
            found[case.symptom] = min(first, case, key=_distance)
    return list(found.values())


def _distance(case: Case) -> tuple[object, ...]:
    return (min(order(clearing.change) for clearing in case.clearings), case.cell.id)


def _known(cases: Sequence[Case]) -> Mapping[tuple[str, str], list[Change]]:
    """Return what was proved to clear a layer's fault anywhere; only what needs no other build."""
    found: dict[tuple[str, str], dict[Change, None]] = defaultdict(dict)
    for case in cases:
        for clearing in case.clearings:
            if clearing.proved and all(s.axis == "run" for s in clearing.change):
                found[case.symptom.level, case.symptom.layer][clearing.change] = None
    return defaultdict(list, {key: sorted(changes, key=order) for key, changes in found.items()})


def _parts(case: Case) -> list[Change]:
    """Return what to try of the changes that clear a fault: each setting alone, then all but one.

    What needs no other build comes first, whatever its size.
    """
    changes = case.unproved
    if _is_proved(case):
        # What takes another build is proved: only what a user can change at once is worth more.
        changes = tuple(change for change in changes if all(s.axis == "run" for s in change))
    least = min(map(len, changes), default=0)
    parts: dict[Change, None] = {}
    for change in changes:
        if len(change) > MAX_MEMBERS or len(change) > least + 1:
            continue
        singles = [frozenset({setting}) for setting in change]
        left = [single for single in singles if single not in case.tried]
        left = left or [change - x for x in singles if change - x not in case.tried]
        parts |= dict.fromkeys(left)
    return list(parts)


def _is_in(case: Case, cause: Cause) -> bool:
    layers = cause.layers or ("",)
    return (
        case.symptom.level is cause.level
        and case.symptom.layer in layers
        and case.cell.id in cause.cells
    )


def _plain(cases: Sequence[Case]) -> Iterator[_Wish]:
    """Yield, for cases of which nothing is proved, what may clear the worst.

    First every optimisation off, and if that does not clear it, each option by itself.
    """
    worst = max(cases, key=lambda case: (case.seen.excess, case.cell.id))
    off = optimisations_off(worst.cell.settings)
    if off and off not in worst.tried:
        yield _Wish(_PLAIN, worst.cell, off)
        return
    for change in single_options(worst.cell.settings):
        if change not in worst.tried:
            yield _Wish(_PLAIN, worst.cell, change)


def single_options(settings: Settings) -> list[Change]:
    """Return each run option switched to its other value, if it has just one."""
    found = []
    for (axis, name), value in settings.items():
        other = {"true": "false", "false": "true"}.get(value, "")
        if name == THREADS:
            other = "1" if value != "1" else "2"
        if axis == "run" and other and not name.startswith(OF_DEVICES):
            found.append(frozenset({Setting(axis, name, value, other)}))
    return sorted(found, key=order)


def optimisations_off(settings: Settings) -> Change:
    """Return what switches off every run option that trades exactness, or safety, for speed."""
    device = settings.get(("run", "use_vulkan_compute")) == "true"
    change = []
    for (axis, name), value in settings.items():
        if axis != "run" or (name.startswith(OF_DEVICES) and not device):
            continue
        if name == "use_vulkan_compute":
            continue
        if name.startswith("use_") and value == "true":
            change.append(Setting(axis, name, value, "false"))
        elif name == THREADS and value != "1":
            change.append(Setting(axis, name, value, "1"))
        elif name == WHEN and value != "first":
            change.append(Setting(axis, name, value, "first"))
    return frozenset(change)


def changed_run(base: RunSpec, change: Change) -> RunSpec:
    """Return run options with the changes of an experiment that are of theirs."""
    changes = {s.name: s.after for s in change if s.axis == "run"}
    options = dict(base.options)
    options |= {n: option_value(n, v) for n, v in changes.items() if n not in (THREADS, WHEN)}
    return replace(
        base,
        name=run_text(base.name, changes),
        options=tuple(sorted(options.items())),
        threads=int(changes.get(THREADS, base.threads)),
        when=changes.get(WHEN, base.when),  # type: ignore[arg-type]
    )


def _changed(settings: Settings, change: Change) -> Settings:
    return {**settings, **{(s.axis, s.name): s.after for s in change}}


def _experiment(wishes: Sequence[_Wish], table: Table) -> Experiment:
    """Return the experiment from the measured cell that needs the fewest changes.

    One with the very same build is preferred to one that would have to be compiled.
    """
    wish = min(wishes, key=lambda wish: _key([wish]))
    target = _changed(wish.cell.settings, wish.change)
    choices = (
        (difference(cell.settings, target), cell.id)
        for cell in table.cells.values()
        if cell.version == wish.cell.version
        and cell.request.input == wish.cell.request.input
        and cell.settings.get(("converter", "converter")) == target.get(("converter", "converter"))
    )
    change, base = min(
        choices, key=lambda c: (any(s.axis == "build" for s in c[0]), order(c[0]), c[1])
    )
    rank = _rank(wishes)
    return Experiment(base, change, settles=rank < _SPREAD, awaited=rank < _KNOWN)
