"""Runs changed subjects on a few inputs and compares them with the unchanged one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.diagnosis.findings import Fix, InputFinding, LayerFinding, Score, Status
from harness.diagnosis.laboratory import Laboratory, Subject, Truth


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A subject that was measured on all inputs of the bench."""

    findings: tuple[InputFinding, ...]

    @property
    def failure(self) -> str:
        """Why an input could not be run, or nothing."""
        return next((f.failure for f in self.findings if f.failure), "")

    @property
    def guilty(self) -> frozenset[str]:
        """Blobs of the layers that are to blame on any input."""
        return frozenset[str]().union(*(f.guilty for f in self.findings))

    @property
    def is_good(self) -> bool:
        """Whether all inputs are within all limits."""
        return all(finding.is_good for finding in self.findings)

    def score(self) -> Score:
        """Return the numbers that fixes are compared by."""
        outputs = [f.output for f in self.findings if f.output]
        latencies = [f.latency_ms for f in self.findings if f.latency_ms is not None]
        names = dict.fromkeys(
            f"{x.type} {x.name}" for x in self._layers if x.status is Status.GUILTY
        )
        return Score(
            output_max_abs=max((o.max_abs for o in outputs), default=float("inf")),
            output_scale_relative=max((o.scale_relative for o in outputs), default=float("inf")),
            worst_layer=max((_own(x) for x in self._layers), default=0.0),
            guilty=tuple(names),
            latency_ms=min(latencies, default=None),
            good=self.is_good,
        )

    def worst_of(self, layer_type: str) -> float:
        """Return the largest error of a layer of one type alone."""
        return max((_own(x) for x in self._layers if x.type == layer_type), default=0.0)

    @property
    def _layers(self) -> list[LayerFinding]:
        return [layer for finding in self.findings for layer in finding.layers]


def _own(layer: LayerFinding) -> float:
    return layer.local.scale_relative if layer.local else 0.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One subject, some inputs, and what the subject gives on them unchanged."""

    subject: Subject
    truths: Sequence[Truth]
    laboratory: Laboratory
    folder: Path
    """Where fixed `.param` files go; scratch files too, until they have been measured."""
    notify: Callable[[str], None]
    """Told what is tried next."""

    @cached_property
    def before(self) -> Trial:
        """The subject as it is."""
        return self.run(self.subject, "as it is")

    @cached_property
    def guilty_types(self) -> tuple[str, ...]:
        """Types of the layers that are to blame, in the order of the file."""
        graph = self.subject.graph
        guilty = self.before.guilty
        return tuple(
            dict.fromkeys(x.type for x in graph.layers if not guilty.isdisjoint(x.outputs))
        )

    def run(self, subject: Subject, words: str, only: frozenset[str] | None = None) -> Trial:
        """Measure a subject on all inputs; of layers alone all, or only those of some names."""
        self.notify(words)
        findings = []
        for truth in self.truths:
            place = self.folder / "scratch"
            shutil.rmtree(place, ignore_errors=True)
            findings.append(self.laboratory.measure(subject, truth, place, only).finding)
            shutil.rmtree(place, ignore_errors=True)
            if findings[-1].failure:
                break
        return Trial(findings=tuple(findings))

    def fix(self, kind: str, change: str, after: Trial, note: str = "") -> Fix:
        """Return the comparison of a trial with the subject as it is."""
        if after.failure:
            return Fix(kind=kind, change=change, note=f"it does not run: {after.failure}")
        return Fix(
            kind=kind,
            change=change,
            before=self.before.score(),
            after=after.score(),
            by_type={
                name: (self.before.worst_of(name), after.worst_of(name))
                for name in self.guilty_types
            },
            note=note,
        )
