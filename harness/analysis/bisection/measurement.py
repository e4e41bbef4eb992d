"""What was measured at a revision, and the memory of it across bisections."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from harness.analysis.bisection.criterion import Metric, Observation
from harness.domain.base import Integer
from harness.domain.outcomes import Event
from harness.domain.records import LayerRecord, Metrics
from harness.domain.verdict import excess, own_excess
from harness.util.sealed import append_sealed, read_sealed_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.domain.verdict import Tolerance


class Measurement(BaseModel):
    """One measurement of one revision: everything from which a verdict can be derived."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    point: str
    """Id of the revision."""
    event: Event
    detail: str = ""
    alone: bool = False
    """Whether the watched layers were run without the rest of the model."""
    output: Metrics | None = None
    """Error of the model's output."""
    output_blob: str = ""
    """Which output that is, of several."""
    layers: tuple[LayerRecord, ...] = ()
    options: dict[str, bool | Integer] = {}
    """Every `ncnn::Option` field as it was in force."""
    latency_ms: float | None = None
    build: str = ""
    """Id and content key of the build."""
    seconds: float = 0.0
    """What it took, the build included."""
    finished: str = ""
    """ISO 8601 with UTC offset."""

    def errors(self) -> dict[str, Metrics]:
        """Return the own error of every layer that has one, by name of the layer.

        A layer that is alone is fed with the reference's values: its error is its own.
        """
        return {name: own for name, (_, own) in self._worst().items()}

    def _worst(self) -> dict[str, tuple[LayerRecord, Metrics]]:
        """Return the worst output of every layer that has an own error, by name of the layer."""
        found: dict[str, tuple[LayerRecord, Metrics]] = {}
        for layer in self.layers:
            own = layer.chain if self.alone else layer.alone
            if own and layer.type != "Input":
                known = found.get(layer.name)
                if known is None or own.scale_relative > known[1].scale_relative:
                    found[layer.name] = layer, own
        return found

    def limit(self, watched: Sequence[str], metric: Metric, tolerance: Tolerance) -> float | None:
        """Return the error, as `Metric.error` has it, up to which some layers are within tolerance.

        Limits are scale-relative. All metrics but the latency are in proportion to the deviation:
        the limit in another one is what this very deviation has when it is scaled down to the
        limit. Of several layers the widest limit counts.

        Args:
            watched: the layers; empty for the model's output.
            metric: what is measured.
            tolerance: the limits.

        Returns:
            The limit; None for a latency, and where nothing was measured.
        """
        if metric is Metric.LATENCY:
            return None
        if watched:
            worst = self._worst()
            found = [
                (own, own_excess(layer, own, tolerance))
                for layer, own in (worst[name] for name in watched if name in worst)
            ]
        elif self.output:
            floors = {layer.blob: layer.floor for layer in self.layers}
            allowed = tolerance.output_limit(floors.get(self.output_blob))
            found = [(self.output, excess(self.output, allowed))]
        else:
            return None
        limits = [
            metric.error(float(getattr(error, metric.value))) / times
            for error, times in found
            if 0 < times < math.inf
        ]
        # 4e-5, and not 3.9999999999999996e-05 for having been multiplied and divided.
        return float(f"{max(limits):.12g}") if limits else None

    def observation(self, watched: Sequence[str], metric: Metric) -> Observation:
        """Return what this measurement says about some layers, or about the output if none.

        Of several layers the worst counts.
        """
        if self.event is not Event.MEASURED:
            return Observation(self.event, detail=self.detail)
        if metric is Metric.LATENCY:
            return Observation(Event.MEASURED, self.latency_ms or 0.0)
        errors = self.errors()
        found = [errors[name] for name in watched if name in errors]
        if not watched and self.output:
            found = [self.output]
        if not found or (watched and len(found) < len(watched)):
            return Observation(Event.RUN_FAILED, detail=self._unmeasured(watched))
        for each in found:
            if each.nan or each.inf:
                return Observation(Event.NAN, detail=f"{each.nan} NaN, {each.inf} infinite")
        values = [float(getattr(each, metric.value)) for each in found]
        return Observation(Event.MEASURED, max(values, key=metric.error))

    def _unmeasured(self, watched: Sequence[str]) -> str:
        notes = [layer.note for layer in self.layers if layer.name in watched and layer.note]
        return notes[0] if notes else "no number"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Measurements on disk, one per line with its hash, safe against a kill at any moment."""

    path: Path

    def append(self, measurement: Measurement) -> None:
        """Remember one measurement."""
        append_sealed(self.path, measurement.model_dump_json())

    def by_point(self) -> dict[str, list[Measurement]]:
        """Return all measurements by point; a torn or damaged line is left out."""
        found: defaultdict[str, list[Measurement]] = defaultdict(list)
        for each in read_sealed_lines(self.path, Measurement.model_validate_json):
            found[each.point].append(each)
        return dict(found)
