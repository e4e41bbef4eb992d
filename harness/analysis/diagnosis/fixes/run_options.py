"""The smallest set of runtime options to switch off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.delta_debugging import Result
from harness.analysis.diagnosis.fixes.minimal_set import USELESS, described, search
from harness.analysis.diagnosis.layer_findings import TriedFix
from harness.sources.options import is_inexact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.analysis.diagnosis.fixes.evaluator import FixEvaluator
    from harness.analysis.diagnosis.measurer import ConfiguredModel


def option_fixes(evaluator: FixEvaluator, in_force: Mapping[str, bool | int]) -> Iterator[TriedFix]:
    """Yield the smallest set of options that fixes, or what all of them together achieve."""
    names = [name for name, value in in_force.items() if value is True and is_inexact(name)]
    if not names:
        yield TriedFix(kind="options", change="none", note="no option that costs precision is on")
        return
    best = evaluator.chain(_without(evaluator, names), _words(names))

    def fixes(chosen: frozenset[str]) -> Result:
        off = [name for name in names if name in chosen]
        good = evaluator.chain(_without(evaluator, off), _words(off)).is_as_good_as(best)
        return Result.FAIL if good else Result.PASS

    found = search(names, fixes)
    if found is None:
        yield evaluator.fix(
            "options",
            _words(names),
            evaluator.run(_without(evaluator, names), _words(names)),
            USELESS,
        )
        return
    after = evaluator.run(_without(evaluator, found.items), _words(found.items))
    fix = evaluator.fix("options", _words(found.items), after, described(found))
    yield fix.model_copy(update={"options": dict.fromkeys(found.items, False)})


def _without(evaluator: FixEvaluator, names: Sequence[str]) -> ConfiguredModel:
    return evaluator.subject.with_options(dict.fromkeys(names, False))


def _words(names: Sequence[str]) -> str:
    return ", ".join(f"{name} = false" for name in names) or "none"
