"""Other builds: the same version with other flags, or another version with the same flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.layer_findings import TriedFix
from harness.build.builder import Build
from harness.build.toolchain import missing_features
from harness.domain.spec import BuildSpec

if TYPE_CHECKING:
    from harness.analysis.diagnosis.fixes.evaluator import FixEvaluator

Finder = Callable[[BuildSpec], Build | None]
"""Returns a finished build, or None if there is none; nothing is compiled for a fix."""


def build_fixes(
    evaluator: FixEvaluator, kind: str, builds: Iterable[BuildSpec], find: Finder
) -> Iterator[TriedFix]:
    """Yield the result of running the same model and options on each of other builds."""
    for spec in builds:
        missing = missing_features(spec.flags.needs)
        build = find(spec) if not missing else None
        if build is None:
            reason = f"this CPU lacks {', '.join(missing)}" if missing else "it is not built"
            note = reason if missing else f"{reason}: nox -s matrix -- --only '{spec.id}'"
            yield TriedFix(kind=kind, change=spec.id, note=note)
            continue
        changes = {"core": str(build.core), "runner": build.runner}
        subject = replace(evaluator.subject, job=evaluator.subject.job.model_copy(update=changes))
        yield evaluator.fix(kind, spec.id, evaluator.run(subject, spec.id))
