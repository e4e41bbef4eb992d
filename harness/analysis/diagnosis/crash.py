"""Runs a cell that broke down once more, in a build that watches every access to memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.crash_findings import Breakdown, CrashFinding
from harness.analysis.diagnosis.prepare import subject_of
from harness.execution.sanitizer_report import (
    asan_memory,
    asan_report,
    asan_sentence,
    undefined_behaviour,
)
from harness.util.codes import Code
from harness.util.errors import BuildError, MachineError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.analysis.diagnosis.measurer import Measurer
    from harness.analysis.diagnosis.prepare import KnownModel
    from harness.build.builder import Build
    from harness.build.resolver import BuildResolver
    from harness.domain.spec import BuildSpec, CellSpec, FlagSet, InputSpec
    from harness.execution.launcher import InputResult

FLAGS = "CMAKE_CXX_FLAGS"


def sanitized(flags: FlagSet, sanitizer: FlagSet) -> FlagSet:
    """Return a flag set with the sanitizer of another one; one that has it stays as it is.

    Args:
        flags: what the cell is built with; all of it is kept.
        sanitizer: the flag set whose compile flags are added, behind the set's own.
    """
    if flags.wants_asan:
        return flags
    options = dict(flags.options)
    added = dict(sanitizer.options).get(FLAGS, "")
    options[FLAGS] = f"{options.get(FLAGS, '')} {added}".strip()
    return replace(
        flags,
        name=f"{flags.name}-asan",
        options=tuple(sorted(options.items())),
        cxx_flags=f"{flags.cxx_flags} {sanitizer.cxx_flags}".strip(),
    )


@dataclass(frozen=True, kw_only=True)
class CrashExaminer:
    """Builds and runs the sanitizer's variant of a cell."""

    sanitizer: FlagSet
    """The flag set whose compile flags are those of the sanitizer."""
    resolver: BuildResolver
    measurer: Measurer
    references: KnownModel
    say: Callable[[str], None]

    def examine(
        self,
        cell: CellSpec,
        breakdowns: Sequence[Breakdown],
        specs: Sequence[InputSpec],
        folder: Path,
    ) -> CrashFinding:
        """Run the first input that broke down, in the chain and in each layer alone.

        What this machine lacks for it is part of what is returned.

        Args:
            cell: the cell that broke down.
            breakdowns: at least one.
            specs: its inputs.
            folder: scratch space.
        """
        first = breakdowns[0]
        spec = next(spec for spec in specs if spec.name == first.input)
        variant = replace(cell.build, flags=sanitized(cell.build.flags, self.sanitizer))
        try:
            build = self._build(variant, first)
        except (BuildError, MachineError, SourceError) as error:
            outcome = f"Not run with AddressSanitizer: {error}".rstrip(".")
            return CrashFinding(
                breakdowns=tuple(breakdowns), build=variant.id, outcome=outcome, ran=False
            )
        self.say(f"running {first.input} in {variant.id}, which watches every access to memory")
        subject = subject_of(build, replace(cell, build=variant), self.references)
        measured = self.measurer.measure(subject, self.references.truth(spec), folder / "sanitizer")
        words = measured.result.death.output if measured.result.death else ""
        return CrashFinding(
            breakdowns=tuple(breakdowns),
            build=variant.id,
            outcome=outcome_of(measured.result, variant),
            report=asan_report(words),
            undefined=undefined_behaviour(words),
        )

    def _build(self, variant: BuildSpec, first: Breakdown) -> Build:
        target = variant.flags.target
        if target:
            raise MachineError(
                f"it is not there for {target.name}, another machine than this one. Diagnose the "
                "same run options with a flag set of this machine, such as --flags avx2",
                code=Code.SANITIZER,
            )
        plan = self.resolver.plan(variant)
        found = self.resolver.find(plan)
        if found:
            return found
        self.say(
            f"building {variant.id}, the same build with AddressSanitizer, since {first.input} "
            f"broke down: {first.how}"
        )
        return self.resolver.make(plan)


def outcome_of(result: InputResult, build: BuildSpec) -> str:
    """Return what came of an input in a build with AddressSanitizer, in one sentence."""
    death = result.death
    report = asan_report(death.output) if death else ()
    if report:
        alone = next(iter(result.died_alone), "")
        where = f" (layer {alone}, run alone)" if alone else ""
        memory = asan_memory(report)
        return f"{asan_sentence(report)}{f', {memory}' if memory else ''}{where}"
    how = result.failure or (death.fate if death else "")
    if how:
        return f"In {build.id} it ends with {how}, and AddressSanitizer reports nothing"
    return (
        f"In {build.id} it does not crash, and AddressSanitizer reports nothing: in the chain and "
        f"in each layer alone, compiled with {build.flags.cxx_flags}. Values that were never set "
        "it does not see"
    )
