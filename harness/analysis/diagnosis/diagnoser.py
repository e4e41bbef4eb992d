"""Diagnoses a subject on many inputs, one after the other, keeping only what was found."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.crash_findings import Breakdown, measured_breakdown
from harness.analysis.diagnosis.layer_findings import InputFinding, LayerFinding, Status
from harness.analysis.mechanisms.mechanism import Examined, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from harness.analysis.diagnosis.measurer import ConfiguredModel, Measured, Measurer
    from harness.analysis.diagnosis.prepare import KnownModel
    from harness.analysis.mechanisms.mechanism import Explanation
    from harness.domain.spec import InputSpec

MOST_TESTED = 4
"""Inputs on which a mechanism is tested: there may be very many."""


@dataclass(kw_only=True)
class Diagnoser:
    """Measures inputs and explains the layers that are at fault."""

    measurer: Measurer
    references: KnownModel
    folder: Path
    """Scratch space: the blobs of one input at a time."""
    breakdowns: list[Breakdown] = field(default_factory=list)
    """Inputs on which a process died."""
    notify: Callable[[str], None]
    """Told the name of each input before it is measured."""
    forget: bool = False
    """Whether to delete each input's reference values when it is done."""
    options: dict[str, bool | int] = field(default_factory=dict)
    """Every option as it was in force."""
    _examined: dict[str, Examined] = field(default_factory=dict)
    """What was found by blob, on the first input on which its layer is at fault."""

    @property
    def explanations(self) -> dict[str, Explanation]:
        """What is wrong with each layer at fault, by blob, as far as no input refutes it."""
        return {blob: examined.complete for blob, examined in self._examined.items()}

    def findings(
        self, subject: ConfiguredModel, specs: Iterable[InputSpec]
    ) -> tuple[InputFinding, ...]:
        """Measure a matched subject on inputs, and explain what is at fault."""
        found = []
        for spec in specs:
            self.notify(spec.name)
            truth = self.references.truth(spec)
            place = self.folder / "input"
            measured = self.measurer.measure(subject, truth, place)
            self.options = dict(measured.result.opened.options) or self.options
            for layer in measured.finding.layers:
                if layer.status is Status.AT_FAULT or layer.blob in self._examined:
                    self._explain(measured, layer)
            used = [truth.exact.directory, truth.single.directory] if self.forget else []
            for folder in (place, *used):
                shutil.rmtree(folder, ignore_errors=True)
            found.append(measured.finding)
            broken = measured_breakdown(spec.name, measured.result, subject.graph)
            self.breakdowns += [broken] if broken else []
        return tuple(found)

    def _explain(self, measured: Measured, layer: LayerFinding) -> None:
        """Explain a layer, or test what was found on one input on another."""
        before = self._examined.get(layer.blob)
        if before and before.explanation.inputs >= MOST_TESTED:
            return
        case = measured.case(layer.blob)
        if case is None:
            return
        floors, limit = self.measurer.tolerance.floors, self.measurer.tolerance.layer
        if before:
            self._examined[layer.blob] = before.on(case, floors=floors, limit=limit)
        else:
            self._examined[layer.blob] = explain(case, floors=floors, limit=limit)
