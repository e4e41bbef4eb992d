"""What to ship: the recommended configuration and the verdict in one sentence.

Everything said here was measured: a configuration counts as precise only if every input is `ok`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.attribution.settings import build_settings
from harness.domain.formatting import latency, option_text
from harness.domain.records import CellRecord, Verdict
from harness.report.dataset import Scope, changed_options, scopes
from harness.report.record_values import largest, output_error, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOISE = 1.05
"""Latencies that differ by less than this factor are the same."""

_MEASURED = (
    *(verdict for verdict in Verdict if verdict.has_numbers),
    Verdict.BROKEN,
    Verdict.UNSTABLE,
)


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The fastest configuration of the newest version that is right on every input.

    Of configurations within 5 % of it, the one that changes the fewest run options.
    """

    records: tuple[CellRecord, ...]
    """One record per input."""
    newest: str
    """The newest version of the table; the recommended one is older if nothing else is precise."""
    plain: tuple[CellRecord, ...]
    """The fastest configuration of the same version that drops with ncnn's default options."""
    rival: tuple[CellRecord, ...]
    """The fastest configuration of the same version that drops; empty if none is faster."""

    @property
    def version(self) -> str:
        """Label of the ncnn version."""
        return self.records[0].version

    @property
    def flags(self) -> str:
        """Name of the flag set."""
        return self.records[0].flags

    @property
    def run(self) -> str:
        """Name of the run options, with the converter where there are several."""
        return self.records[0].way

    @property
    def threads(self) -> int:
        """Number of threads."""
        return self.records[0].threads

    @property
    def error(self) -> float | None:
        """Largest scale-relative error of the output over the inputs."""
        return largest(output_error(record) for record in self.records)

    @property
    def latency_ms(self) -> float | None:
        """Latency on the slowest input in milliseconds."""
        return slowest_input(self.records)

    @property
    def latency_words(self) -> str:
        """The same in words, with its range where passes differ much."""
        timed = [r for r in self.records if r.latency_ms is not None]
        if self.latency_ms is None or not timed:
            return "latency not measured"
        slowest = max(timed, key=lambda record: record.latency_ms or 0.0)
        return f"{latency(slowest.latency_ms, slowest.slowest_ms)} ms"

    @property
    def plain_ms(self) -> float | None:
        """Latency of `plain` on the slowest input in milliseconds."""
        return slowest_input(self.plain)

    @property
    def options(self) -> dict[str, bool | int]:
        """Run options to change from ncnn's defaults."""
        return changed_options(self.records[0])

    @property
    def settings(self) -> dict[str, str]:
        """Build settings, as they were in force."""
        return build_settings(self.records[0].build)


def slowest_input(records: Sequence[CellRecord]) -> float | None:
    """Return the latency on the slowest input in milliseconds; None where one is missing."""
    values = [record.latency_ms for record in records]
    return None if None in values else largest(values)


def recommend(records: Sequence[CellRecord]) -> Recommendation | None:
    """Return the recommended configuration, or None where no configuration is precise.

    Args:
        records: cells of one model on one machine: latencies of several cannot be compared.

    Raises:
        ValueError: there are no records, or they are of several models or machines.
    """
    (scope,) = scopes(records)
    for version in reversed(scope.versions):
        groups = [g for (v, _, _), g in scope.configurations.items() if v == version]
        precise = [group for group in groups if _is_precise(group, scope)]
        if precise:
            best = _simplest(precise)
            faster = [g for g in groups if _drops(g) and _by_latency(g) < _by_latency(best)]
            defaults = [g for g in groups if _drops(g) and g[0].way == scope.default_run]
            return Recommendation(
                records=best,
                newest=scope.versions[-1],
                plain=min(defaults, key=_by_latency, default=()),
                rival=min(faster, key=_by_latency, default=()),
            )
    return None


def _is_precise(group: Sequence[CellRecord], scope: Scope) -> bool:
    complete = {record.input for record in group} == set(scope.inputs)
    # Where nothing was compared nothing is known to be precise.
    return complete and all(record.verdict.is_clean and record.output for record in group)


def _simplest(groups: Sequence[tuple[CellRecord, ...]]) -> tuple[CellRecord, ...]:
    """Return the fastest; of those that are as good as that, the one that changes least."""
    fastest, _ = _by_latency(min(groups, key=_by_latency))
    near = [group for group in groups if _by_latency(group)[0] <= fastest * NOISE]
    return min(near, key=lambda group: (len(changed_options(group[0])), *_by_latency(group)))


def _drops(group: Sequence[CellRecord]) -> bool:
    return any(record.verdict is Verdict.DROP for record in group)


def _by_latency(group: Sequence[CellRecord]) -> tuple[float, float]:
    time, error = slowest_input(group), largest(output_error(record) for record in group)
    return (float("inf") if time is None else time, error or 0.0)


def verdict_sentence(scope: Scope) -> str:
    """Return what a reader in a hurry has to know, in a sentence or two."""
    differs = any(record.verdict is Verdict.MODEL_DIFFERS for record in scope.records)
    model = "The .param and .bin are not the ONNX model. " if differs else ""
    if differs and not any(record.output for record in scope.records):
        return f"{model}What the builds make of them could not be compared with anything"
    return model + _about_builds(scope)


def _about_builds(scope: Scope) -> str:
    newest = scope.versions[-1]
    defaults = _defaults(scope, newest)
    if not defaults:
        return f"{newest}: nothing could be measured{_clean_words(scope, scope.versions[:-1])}"
    bad = [flags for flags, verdict in defaults.items() if not verdict.is_clean]
    if not bad:
        count = len(defaults)
        builds = f"in all {count} builds" if count > 1 else "in the build"
        return f"{newest}: precise with ncnn's default options {builds}{_caveat(scope, newest)}"
    ways = [way for way in (_run_way(scope, newest, bad), _build_way(scope, newest, bad)) if way]
    others = _clean_words(scope, scope.versions[:-1])
    if not ways:
        return _last_resort(scope, newest) + others
    return f"{newest}: {', or '.join(ways)}{others}"


def _last_resort(scope: Scope, newest: str) -> str:
    """Say what is left where no single change of run options or build clears the newest version."""
    best = recommend(scope.records)
    if best is None:
        return f"{newest}: no configuration tried here is precise"
    words = f"built as {best.flags} and run with {best.run}"
    if best.version == newest:
        return f"{newest}: precise only in some configurations, the fastest of them {words}"
    return f"{newest}: no configuration tried here is precise; use {best.version} {words}"


def _defaults(scope: Scope, version: str) -> dict[str, Verdict]:
    """Return the verdict of each measured build of a version with default run options."""
    found = {}
    for (v, flags, run), group in scope.configurations.items():
        verdict = worst(record.verdict for record in group)
        if v == version and run == scope.default_run and verdict in _MEASURED:
            found[flags] = verdict
    return found


def _run_way(scope: Scope, version: str, bad: Sequence[str]) -> str:
    """Return which run options clear the most bad builds, with the fewest changes."""
    best: tuple[int, int] = (0, 0)
    words = ""
    for run in scope.runs:
        groups = [scope.configurations.get((version, flags, run), ()) for flags in bad]
        cleared = [group for group in groups if group and _is_precise(group, scope)]
        if not cleared:
            continue
        options, converter = changed_options(cleared[0][0]), _other_converter(cleared[0][0], scope)
        rank = (len(cleared), -len(options) - bool(converter))
        if (options or converter) and rank > best:
            best = rank
            use = f"use it with {_assignments(options)}" if options else ""
            words = " and ".join(filter(None, (use, converter)))
            if len(cleared) < len(bad):
                words += f" (enough for {', '.join(group[0].flags for group in cleared)})"
    return words


def _other_converter(record: CellRecord, scope: Scope) -> str:
    """Return how to come by the model of a cell, if it is not the one of the default cells."""
    default = next(r for r in scope.records if r.way == scope.default_run)
    if record.converter == default.converter:
        return ""
    by = record.converter
    return f"convert the model by {by}" if by else "take its own param and bin"


def _build_way(scope: Scope, version: str, bad: Sequence[str]) -> str:
    """Return the build that is precise by default and differs least from a bad one."""
    best: dict[str, str] = {}
    name = ""
    for flags, verdict in _defaults(scope, version).items():
        clean = scope.configurations[version, flags, scope.default_run]
        if not verdict.is_clean or not _is_precise(clean, scope):
            continue
        for other in bad:
            faulty = scope.configurations[version, other, scope.default_run]
            before, after = build_settings(faulty[0].build), build_settings(clean[0].build)
            keys = sorted(before.keys() | after.keys())
            change = {k: after.get(k, "absent") for k in keys if before.get(k) != after.get(k)}
            if not name or len(change) < len(best):
                best, name = change, flags
    if not name:
        return ""
    return f"build it as {name}" + (f" ({_assignments(best)})" if 0 < len(best) <= 3 else "")


def _clean_words(scope: Scope, versions: Sequence[str]) -> str:
    """Return which other versions are precise in every measured build, as a part of a sentence."""
    clean = [
        version
        for version in versions
        if (defaults := _defaults(scope, version))
        and all(verdict.is_clean for verdict in defaults.values())
    ]
    if not clean:
        return ""
    return f"; {', '.join(clean)} {'is' if len(clean) == 1 else 'are'} clean by default"


def _caveat(scope: Scope, version: str) -> str:
    """Return which run options to avoid, as a part of a sentence."""
    avoid = [
        run
        for run in scope.runs
        if any(
            record.verdict in (Verdict.DROP, Verdict.BROKEN)
            for (v, _, r), group in scope.configurations.items()
            if v == version and r == run
            for record in group
        )
    ]
    return f"; avoid {', '.join(avoid)}" if avoid else ""


def _assignments(options: Mapping[str, object]) -> str:
    """Return `a=false and b=true`, or, where all are the same, `a, b and c set to false`."""
    texts = {name: option_text(value) for name, value in options.items()}
    names = sorted(texts)
    if len(names) > 1 and len(set(texts.values())) == 1:
        return f"{', '.join(names[:-1])} and {names[-1]} set to {texts[names[0]]}"
    return " and ".join(f"{name}={texts[name]}" for name in names)
