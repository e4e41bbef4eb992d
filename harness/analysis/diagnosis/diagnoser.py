"""Diagnoses a subject on many inputs, one after the other, keeping only what was found."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.crash_findings import Breakdown, measured_breakdown
from harness.analysis.diagnosis.layer_findings import InputFinding, LayerFinding, Status
from harness.analysis.mechanisms.mechanism import Explanation, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from harness.analysis.diagnosis.measurer import ConfiguredModel, Measured, Measurer
    from harness.analysis.diagnosis.prepare import References
    from harness.domain.spec import InputSpec


@dataclass(kw_only=True)
class Diagnoser:
    """Measures inputs and explains the layers that are at fault."""

    measurer: Measurer
    references: References
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
    explanations: dict[str, Explanation] = field(default_factory=dict)
    """By blob, from the input on which the layer's own error is largest."""

    def findings(
        self, subject: ConfiguredModel, specs: Iterable[InputSpec]
    ) -> tuple[InputFinding, ...]:
        """Measure a matched subject on inputs, and explain what is at fault."""
        worst: dict[str, float] = {}
        found = []
        for spec in specs:
            self.notify(spec.name)
            truth = self.references.truth(spec)
            place = self.folder / "input"
            measured = self.measurer.measure(subject, truth, place)
            self.options = dict(measured.result.opened.options) or self.options
            for layer in measured.finding.layers:
                own = layer.alone.scale_relative if layer.alone else 0.0
                if layer.status is Status.AT_FAULT and own > worst.get(layer.blob, -1.0):
                    worst[layer.blob] = own
                    self._explain(measured, layer)
            used = [truth.exact.directory, truth.single.directory] if self.forget else []
            for folder in (place, *used):
                shutil.rmtree(folder, ignore_errors=True)
            found.append(measured.finding)
            broken = measured_breakdown(spec.name, measured.result, subject.graph)
            self.breakdowns += [broken] if broken else []
        return tuple(found)

    def _explain(self, measured: Measured, layer: LayerFinding) -> None:
        case = measured.case(layer.blob)
        if case is not None:
            tolerance = self.measurer.tolerance
            self.explanations[layer.blob] = explain(
                case, floors=tolerance.floors, limit=tolerance.layer
            )
