"""Runs changed subjects on a few inputs and compares them with the unchanged one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.layer_findings import (
    InputFinding,
    LayerFinding,
    Score,
    Status,
    TriedFix,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.analysis.diagnosis.measurer import ConfiguredModel, Measurer, Truth

INF = float("inf")
ALIKE = 1.25
"""Two errors whose ratio is below this are the same for a search."""


@dataclass(frozen=True, kw_only=True)
class FixTrial:
    """A subject that was measured on all inputs of the bench."""

    findings: tuple[InputFinding, ...]

    @property
    def failure(self) -> str:
        """Why an input could not be run, or nothing."""
        return next((f.failure for f in self.findings if f.failure), "")

    @property
    def at_fault(self) -> frozenset[str]:
        """Blobs of the layers that are at fault on any input."""
        return frozenset[str]().union(*(f.at_fault for f in self.findings))

    @property
    def excess(self) -> float:
        """The largest error in units of its limit, of the chain or the output of any input."""
        return INF if self.failure else max(finding.excess for finding in self.findings)

    def is_as_good_as(self, best: FixTrial) -> bool:
        """Whether the output and each blob of the chain are within limits, or near the best's."""
        if self.failure or best.failure:
            return False
        pairs = zip(self.findings, best.findings, strict=True)
        return all(
            ours <= max(1.0, ALIKE * theirs)
            for mine, other in pairs
            for ours, theirs in zip(mine.excesses, other.excesses, strict=True)
        )

    def score(self) -> Score:
        """Return the numbers that fixes are compared by."""
        outputs = [f.output for f in self.findings if f.output]
        latencies = [f.latency_ms for f in self.findings if f.latency_ms is not None]
        names = dict.fromkeys(
            f"{x.type} {x.name}" for x in self._layers if x.status is Status.AT_FAULT
        )
        return Score(
            output_max_abs=max((o.max_abs for o in outputs), default=INF),
            output_scale_relative=max((o.scale_relative for o in outputs), default=INF),
            worst_layer=max((_own(x) for x in self._layers), default=0.0),
            at_fault=tuple(names),
            latency_ms=min(latencies, default=None),
            excess=self.excess,
        )

    def worst_of(self, layer_type: str) -> tuple[float, float]:
        """Return the largest errors of the layers of one type, alone and in the chain."""
        own = [layer for layer in self._layers if layer.type == layer_type]
        return max(map(_own, own), default=0.0), max(map(_chain, own), default=0.0)

    @property
    def _layers(self) -> list[LayerFinding]:
        return [layer for finding in self.findings for layer in finding.layers]


def _own(layer: LayerFinding) -> float:
    return layer.alone.scale_relative if layer.alone else 0.0


def _chain(layer: LayerFinding) -> float:
    return layer.chain.scale_relative if layer.chain else 0.0


@dataclass(frozen=True, kw_only=True)
class FixEvaluator:
    """One subject, some inputs (the worst first), and what the subject gives on them unchanged."""

    subject: ConfiguredModel
    truths: Sequence[Truth]
    measurer: Measurer
    folder: Path
    """Where fixed `.param` files go."""
    scratch: Path
    """Where files go that nobody needs afterwards."""
    notify: Callable[[str], None]
    """Told what is tried next."""

    @cached_property
    def before(self) -> FixTrial:
        """The subject as it is."""
        return self.run(self.subject, "as it is")

    @cached_property
    def types_at_fault(self) -> tuple[str, ...]:
        """Types of the layers that are at fault, in the order of the file."""
        graph = self.subject.graph
        at_fault = self.before.at_fault
        return tuple(
            dict.fromkeys(x.type for x in graph.layers if not at_fault.isdisjoint(x.outputs))
        )

    def run(self, subject: ConfiguredModel, words: str) -> FixTrial:
        """Measure a subject on all inputs, in the chain and layer by layer."""
        self.notify(words)
        return FixTrial(findings=tuple(self._measured(subject, self.truths, None)))

    def chain(self, subject: ConfiguredModel, words: str) -> FixTrial:
        """Measure only the chain, on the worst input only: quick enough for a search."""
        self.notify(words)
        return FixTrial(findings=tuple(self._measured(subject, self.truths[:1], frozenset())))

    def _measured(
        self, subject: ConfiguredModel, truths: Sequence[Truth], only: frozenset[str] | None
    ) -> Iterator[InputFinding]:
        for truth in truths:
            place = self.scratch / "trial"
            try:
                yield self.measurer.measure(subject, truth, place, only).finding
            finally:
                shutil.rmtree(place, ignore_errors=True)

    def fix(self, kind: str, change: str, after: FixTrial, note: str = "") -> TriedFix:
        """Return the comparison of a trial with the subject as it is."""
        if after.failure:
            return TriedFix(kind=kind, change=change, note=f"it does not run: {after.failure}")
        return TriedFix(
            kind=kind,
            change=change,
            before=self.before.score(),
            after=after.score(),
            by_type={name: self._compared(after, name) for name in self.types_at_fault},
            note=note,
        )

    def _compared(
        self, after: FixTrial, name: str
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        own, chain = zip(self.before.worst_of(name), after.worst_of(name), strict=True)
        return own, chain
