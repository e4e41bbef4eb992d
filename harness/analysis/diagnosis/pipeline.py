"""Brings builds, references and the laboratory together for one cell."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.crash import CrashExaminer
from harness.analysis.diagnosis.crash_findings import recorded_breakdowns
from harness.analysis.diagnosis.diagnoser import Diagnoser
from harness.analysis.diagnosis.fixes.evaluator import FixEvaluator
from harness.analysis.diagnosis.fixes.masks import mask_fixes
from harness.analysis.diagnosis.fixes.other_builds import build_fixes
from harness.analysis.diagnosis.fixes.param_files import ORIGINAL
from harness.analysis.diagnosis.fixes.rewrite import rewrite_fixes
from harness.analysis.diagnosis.fixes.run_options import option_fixes
from harness.analysis.diagnosis.layer_findings import Diagnosis, TriedFix, summarised
from harness.analysis.diagnosis.measurer import ConfiguredModel, Measurer
from harness.analysis.diagnosis.prepare import subject_of
from harness.domain.formatting import assignments
from harness.util.errors import BuildError, MachineError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.analysis.diagnosis.crash_findings import CrashFinding
    from harness.analysis.diagnosis.prepare import KnownModel
    from harness.build.builder import Build
    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec, FlagSet, InputSpec
    from harness.execution.local_machine import LocalMachine
    from harness.model.prepared_model import PreparedModel

FIXES = ("options", "masks", "rewrite", "flags", "version")
BENCH_INPUTS = 2
"""Inputs that fixes are tried on: those with the largest errors of the output."""


@dataclass(frozen=True, kw_only=True)
class DiagnosisPipeline:
    """Everything that a diagnosis needs."""

    machine: LocalMachine
    references: KnownModel
    """The model, and where reference values come from."""
    say: Callable[[str], None]
    """Told what happens now."""
    forget: bool = False
    """Whether reference values are not kept, since there may be very many inputs."""

    @property
    def model(self) -> PreparedModel:
        """The model, its conversion proved."""
        return self.references.model

    @cached_property
    def measurer(self) -> Measurer:
        """Where subjects are measured."""
        cells = self.machine.cells
        return Measurer(launcher=cells.launcher, tolerance=cells.tolerance)

    def subject(self, cell: CellSpec) -> ConfiguredModel:
        """Return the subject of a cell, built.

        Raises:
            BuildError: it does not compile.
        """
        self.say(f"building {cell.build.id}")
        build = self.machine.resolver.build(cell.build)
        return subject_of(build, cell, self.references)

    def diagnose(
        self, cell: CellSpec, subject: ConfiguredModel, specs: Sequence[InputSpec], scratch: Path
    ) -> Diagnosis:
        """Measure all inputs and explain what is at fault."""
        diagnoser = Diagnoser(
            measurer=self.measurer,
            references=self.references,
            folder=scratch,
            notify=lambda name: self.say(f"measuring: {name}"),
            forget=self.forget,
        )
        findings = diagnoser.findings(subject, specs)
        return Diagnosis(
            cell=f"{cell.build.id}/{cell.run.name}",
            model=self.model.spec.name,
            build=cell.build.id,
            options=diagnoser.options,
            inputs=findings,
            layers=summarised(findings, diagnoser.explanations),
            reference=self.model.conversion.reference_words,
            model_notes=self.model.conversion.notes,
            breakdowns=tuple(diagnoser.breakdowns),
        )

    def crash(
        self,
        cell: CellSpec,
        diagnosis: Diagnosis,
        records: Sequence[CellRecord],
        specs: Sequence[InputSpec],
        sanitizer: FlagSet,
        scratch: Path,
    ) -> CrashFinding | None:
        """Have a sanitizer look at a cell that broke down, here or in the records.

        Args:
            cell: the cell.
            diagnosis: what was measured of it.
            records: what became of it in the way of a matrix; memory that is damaged need not
                show each time.
            specs: its inputs.
            sanitizer: a flag set with the sanitizer.
            scratch: scratch space.
        """
        broken = [*recorded_breakdowns(records), *diagnosis.breakdowns]
        # Values alone are no reason to name a sanitizer that cannot be run there.
        here = cell.build.flags.target is None
        found = {each.input: each for each in broken if here or each.by_signal}
        if not found:
            return None
        examiner = CrashExaminer(
            sanitizer=sanitizer,
            resolver=self.machine.resolver,
            measurer=self.measurer,
            references=self.references,
            say=self.say,
        )
        clearest_first = sorted(found.values(), key=lambda each: not each.by_signal)
        return examiner.examine(cell, clearest_first, specs, scratch)

    def cells(self, cell: CellSpec, specs: Sequence[InputSpec]) -> list[CellRecord]:
        """Run a cell with all its inputs as a matrix does, against ONNX Runtime.

        Raises:
            BuildError: it does not compile.
        """
        build = self.machine.resolver.build(cell.build)
        inputs = [self.references.input(spec) for spec in specs]
        cells = [replace(cell, input=spec) for spec in specs]
        return self.machine.cells.run(cells, build, self.model, inputs)

    def records(
        self, cell: CellSpec, specs: Sequence[InputSpec], fixes: Sequence[TriedFix]
    ) -> list[CellRecord]:
        """Run a cell as `cells` does, and then with the run options of each fix that ran.

        Raises:
            BuildError: it does not compile.
        """
        records = self.cells(cell, specs)
        for fix in fixes:
            if not (fix.options and fix.after):
                continue
            name = ",".join([cell.run.name, *assignments(fix.options)])
            merged = tuple(sorted((dict(cell.run.options) | fix.options).items()))
            fixed = replace(cell, run=replace(cell.run, name=name, options=merged))
            records += self.cells(fixed, specs)
        return records

    def fixes(
        self,
        kinds: Sequence[str],
        cell: CellSpec,
        subject: ConfiguredModel,
        diagnosis: Diagnosis,
        specs: Sequence[InputSpec],
        builds: Sequence[BuildSpec],
        folder: Path,
        scratch: Path,
    ) -> Iterator[TriedFix]:
        """Try fixes of some kinds on the worst inputs; changed `.param` files go to `folder`."""
        evaluator = self._evaluator(subject, diagnosis, specs, folder, scratch)
        if evaluator is None:
            return
        explanations = {x.blob: x.explanation for x in diagnosis.layers if x.explanation}
        flags = [b for b in builds if b.revision == cell.build.revision and b != cell.build]
        versions = [b for b in builds if b.flags == cell.build.flags and b != cell.build]
        fixing: dict[str, bool] = {}
        makers: dict[str, Callable[[], Iterator[TriedFix]]] = {
            "options": lambda: option_fixes(evaluator, diagnosis.options),
            "masks": lambda: mask_fixes(evaluator, explanations),
            "rewrite": lambda: rewrite_fixes(
                evaluator, lambda types: self._with_types(cell, types), fixing
            ),
            "flags": lambda: build_fixes(evaluator, "flags", flags, self._find),
            "version": lambda: build_fixes(evaluator, "version", versions, self._find),
        }
        for kind in FIXES:
            for fix in makers[kind]() if kind in kinds else ():
                if fix.outcome == "fixed" and not fixing:
                    fixing |= fix.options
                yield fix

    def _evaluator(
        self,
        subject: ConfiguredModel,
        diagnosis: Diagnosis,
        specs: Sequence[InputSpec],
        folder: Path,
        scratch: Path,
    ) -> FixEvaluator | None:
        errors = {i.name: i.output.scale_relative for i in diagnosis.inputs if i.output}
        usable = sorted((s for s in specs if s.name in errors), key=lambda s: -errors[s.name])
        if not usable:
            return None
        shutil.copyfile(subject.job.param, folder / ORIGINAL)
        return FixEvaluator(
            subject=subject,
            truths=[self.references.truth(spec) for spec in usable[:BENCH_INPUTS]],
            measurer=self.measurer,
            folder=folder,
            scratch=scratch,
            notify=lambda words: self.say(f"trying: {words}"),
        )

    def _with_types(self, cell: CellSpec, types: frozenset[str]) -> Build:
        """Return the cell's build with some layer types, compiled if it is not there."""
        self.say(f"building {cell.build.id} with {len(types)} layer types")
        return self.machine.resolver.build(replace(cell.build, layers=types))

    def _find(self, spec: BuildSpec) -> Build | None:
        """Return a finished build; what cannot be built or was not is None."""
        try:
            return self.machine.resolver.find(self.machine.resolver.plan(spec))
        except (BuildError, MachineError, SourceError):
            return None
