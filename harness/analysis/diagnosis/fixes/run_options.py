"""The smallest set of runtime options to switch off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.analysis.delta_debugging import Result
from harness.analysis.diagnosis.fixes.evaluator import Bench
from harness.analysis.diagnosis.fixes.minimal_set import USELESS, described, search
from harness.analysis.diagnosis.laboratory import Subject
from harness.analysis.diagnosis.layer_findings import Fix

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
    best = bench.chain(_without(bench, names), _words(names))

    def cures(chosen: frozenset[str]) -> Result:
        off = [name for name in names if name in chosen]
        good = bench.chain(_without(bench, off), _words(off)).is_as_good_as(best)
        return Result.FAIL if good else Result.PASS

    found = search(names, cures)
    if found is None:
        yield bench.fix(
            "options", _words(names), bench.run(_without(bench, names), _words(names)), USELESS
        )
        return
    after = bench.run(_without(bench, found.items), _words(found.items))
    fix = bench.fix("options", _words(found.items), after, described(found))
    yield fix.model_copy(update={"options": dict.fromkeys(found.items, False)})


def _without(bench: Bench, names: Sequence[str]) -> Subject:
    return bench.subject.with_options(dict.fromkeys(names, False))


def _words(names: Sequence[str]) -> str:
    return ", ".join(f"{name} = false" for name in names) or "none"
