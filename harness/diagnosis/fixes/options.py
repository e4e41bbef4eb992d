"""The smallest set of runtime options to switch off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.deltadebug import DeltaDebugger, Result
from harness.diagnosis.findings import Fix
from harness.diagnosis.fixes.bench import Bench, Trial

EXACTNESS = ("fp16", "bf16", "int8", "packing", "winograd", "sgemm")
"""Words in the names of options that trade exactness, or another order of sums, for speed."""


def option_fixes(bench: Bench, in_force: Mapping[str, bool | int]) -> Iterator[Fix]:
    """Yield the smallest set of options that cures, or what all of them together achieve."""
    names = [
        name
        for name, value in in_force.items()
        if value is True and any(word in name for word in EXACTNESS)
    ]
    if not names:
        yield Fix(kind="options", change="none", note="no option that costs precision is on")
        return
    trials: dict[frozenset[str], Trial] = {}

    def trial(chosen: frozenset[str]) -> Trial:
        if chosen not in trials:
            options = dict.fromkeys(sorted(chosen), False)
            trials[chosen] = bench.run(bench.subject.with_options(options), words(chosen))
        return trials[chosen]

    def words(chosen: frozenset[str]) -> str:
        return ", ".join(f"{name} = false" for name in names if name in chosen)

    everything = frozenset(names)
    if not trial(everything).is_good:
        note = "no set of options cures it: this is all of them"
        yield bench.fix("options", words(everything), trial(everything), note)
        return
    found = DeltaDebugger(
        names, lambda chosen: Result.FAIL if chosen and trial(chosen).is_good else Result.PASS
    ).minimal_failing()
    chosen = frozenset(found.items)
    note = f"smallest set: without any one of them it is not cured ({len(trials)} runs)"
    yield bench.fix("options", words(chosen), trial(chosen), note)
