"""What the error at a change needs in order to show, and what makes it good: as measured there.

Three statements that must not be mixed up:

- a setting is *needed* if changing it alone, with all else as it is, makes it good;
- settings are *enough* if they make it bad by themselves, with every other one off;
- settings are a *cure* if changing them makes both the change and the bad end good and within
  tolerance.

Where two options each suffice, none is needed, each is enough, and only both together are a cure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.bisection.bed import Variant
from harness.analysis.bisection.point_outcomes import LEAD
from harness.analysis.delta_debugging import Result
from harness.domain.outcomes import Event
from harness.domain.spec import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.analysis.bisection.configurations import (
        Comparison,
        ComparisonResult,
        Difference,
    )
    from harness.analysis.bisection.criterion import Criterion
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.measurement import Measurement
    from harness.domain.spec import OptionValue

SWITCHES = "use_"
"""Run options of ncnn that switch a way of computing begin with this."""
_NOT_SWITCHES = frozenset({"use_vulkan_compute"})
"""Needs another build: not an option that can simply be left out."""
NEEDED_TO_RUN = "NCNN_VULKAN"
"""Likewise of the build options: without it there is no device to run on."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What was found at a change; see the head of this module."""

    needs: tuple[str, ...] = ()
    enough: tuple[tuple[str, ...], ...] = ()
    cures: tuple[tuple[str, ...], ...] = ()
    run_cure: str = ""
    """The first cure that consists of run options alone, as `--run` takes it."""
    evidence: tuple[str, ...] = ()
    """One line per statement, with numbers, and what could not be stated."""


def everything_off(
    variant: Variant, options: Mapping[str, OptionValue], *, builds_too: bool
) -> Variant:
    """Return a configuration with one thread and without any switch that is on.

    Args:
        variant: how it was compiled and run.
        options: fields of `ncnn::Option` as they were in force.
        builds_too: whether to switch build options off as well.
    """
    on = {name for name, value in options.items() if value is True}
    switches = sorted(n for n in on - _NOT_SWITCHES if n.startswith(SWITCHES))
    run = {**dict(variant.run.options), **dict.fromkeys(switches, False)}
    flags = variant.flags
    if builds_too:
        off = tuple(
            (name, "OFF" if value == "ON" and name != NEEDED_TO_RUN else value)
            for name, value in flags.options
        )
        flags = replace(flags, name=f"{flags.name}-off", options=off)
    return Variant(
        flags=flags, run=replace(variant.run, options=tuple(sorted(run.items())), threads=1)
    )


def conditions(
    comparison: Comparison,
    items: tuple[Difference, ...],
    criterion: Criterion,
    *,
    bad_end: Point,
) -> Conditions:
    """Return what the bad configuration needs, what is enough, and what cures it.

    Args:
        comparison: of everything off with the configuration in question, at the change.
        items: the differences of these two.
        criterion: what is good.
        bad_end: the revision whose users want a cure.

    Raises:
        NotReproducibleError: it is not bad there.
    """
    found = comparison.conditions(items, criterion)
    everything = frozenset(items)
    needs, lines = [], []
    for each in found.reverts:
        if len(each.items) == 1:
            (item,) = each.items
            needs.append(str(item))
            lines.append(f"{item} is needed: with {item.fix} {found.values[everything - {item}]}")
    lines += _about_enough(found)
    if found.sets and not needs:
        lines.append("no setting is needed by itself")
    cures, run_cure = [], ""
    at_end = replace(comparison, point=bad_end, seen={}, lead=LEAD)
    for each in found.reverts:
        rest = everything - frozenset(each.items)
        words = ", ".join(item.fix for item in each.items)
        cured, works = [comparison.seen[rest]], True
        if bad_end.id != comparison.point.id:
            works = at_end.result(rest, criterion) is Result.PASS
            cured.append(at_end.seen[rest])
        if works and all(_is_right(seen, comparison) for seen in cured):
            cures.append(tuple(item.fix for item in each.items))
            run_cure = run_cure or _as_run(each.items)
            lines.append(f"cure: {words}{_numbers(cured, comparison)}")
        else:
            lines.append(f"no cure: {words}{_numbers(cured, comparison)}")
    return Conditions(
        needs=tuple(needs),
        enough=tuple(tuple(map(str, each.items)) for each in found.sets),
        cures=tuple(cures),
        run_cure=run_cure,
        evidence=tuple(lines),
    )


def _about_enough(found: ComparisonResult) -> Iterable[str]:
    for each in found.sets:
        names = ", ".join(map(str, each.items))
        value = found.values[frozenset(each.items)]
        yield f"{{{names}}} is enough: with all else off {value}"
        if len(each.items) > 1 and all(one is Result.PASS for one in each.without):
            yield f"{{{names}}}: none of them can be left out of it"
    if not found.sets:
        value = found.values[frozenset()]
        kinds = " and build option" if any(i.kind == "build" for i in found.differences) else ""
        off = f"with every run option{kinds} switched off and one thread"
        if value.event is Event.MEASURED:
            yield f"{off} it shows, too: {value}"
        else:
            yield f"{off} it cannot be tested: {value}"


def _is_right(seen: list[Measurement], comparison: Comparison) -> bool:
    """Return whether measurements that count as good are within tolerance: a threshold may not be.

    Where measurements err now and then, the one in the middle counts.
    """
    watched, metric = comparison.subject.watched, comparison.terms.metric
    numbers = []
    for each in seen:
        value = each.observation(watched, metric).value
        if value is not None:
            limit = each.limit(watched, metric, comparison.terms.tolerance)
            numbers.append((metric.error(value), math.inf if limit is None else limit))
    error, limit = sorted(numbers)[len(numbers) // 2] if numbers else (math.inf, 0.0)
    return error <= limit


def _numbers(cured: list[list[Measurement]], comparison: Comparison) -> str:
    watched, metric = comparison.subject.watched, comparison.terms.metric
    told = [str(seen[-1].observation(watched, metric)) for seen in cured]
    return f": {told[0]}" + (f", at the worse end {told[1]}" if len(told) > 1 else "")


def _as_run(items: Iterable[Difference]) -> str:
    options = list(items)
    if any(each.kind != "run" or each.name == THREADS or not each.good for each in options):
        return ""
    return ",".join(each.fix for each in options)
