"""Runs a model with one build and measures every layer, in the chain and alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.diagnosis.layer_findings import InputFinding, LayerFinding, Status
from harness.analysis.mechanisms.layer_run import LayerRun
from harness.domain.metrics import measure
from harness.domain.verdict import Tolerance, excess, is_beyond
from harness.execution.job import JobInput
from harness.model.weights import read_weights
from harness.reference.tensors import feeds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.domain.records import LayerRecord
    from harness.execution.job import Job
    from harness.execution.launcher import InputResult, Launcher
    from harness.model.alignment import Alignment
    from harness.model.param import Layer, Param
    from harness.model.prepared_model import PreparedModel
    from harness.reference.values import Reference

    Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One input and what the ONNX graph makes of it."""

    name: str
    tensors: Mapping[str, Array]
    """The graph's inputs."""
    exact: Reference
    """Its values in float64."""
    single: Reference
    """Its values in float32, by ONNX Runtime."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """Noise floors by blob, of the whole chain up to it."""
    known: dict[str, float] = field(default_factory=dict, compare=False)
    """Errors of ONNX Runtime by value and noise floors by layer, as far as they were needed."""

    def noise_of(self, case: LayerRun) -> float:
        """Return a layer's noise floor, which depends on its inputs and not on the build."""
        key = f"{case.layer.type} {' '.join(case.layer.outputs)}"
        if key not in self.known:
            self.known[key] = case.noise
        return self.known[key]

    def runtime_error(self, value: str) -> float:
        """Return ONNX Runtime's scale-relative error at a value."""
        if value not in self.known:
            found = measure(np.asarray(self.single[value]), self.exact[value])
            self.known[value] = found.scale_relative
        return self.known[value]


@dataclass(frozen=True, kw_only=True)
class ConfiguredModel:
    """A build, run options and a model: what is measured."""

    job: Job
    """Build, model files and options; its own inputs are not used."""
    graph: Param
    model: PreparedModel
    """The model that it is, or was before a fix changed its graph."""
    initialisers: Mapping[str, Array]
    """Constants of the ONNX graph."""

    @cached_property
    def weights(self) -> Mapping[str, Mapping[str, Array]]:
        """Tensors of the `.bin` file by layer and name."""
        return read_weights(self.graph, Path(self.job.bin))

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """What the blobs of the graph are compared with."""
        return self.job.alignments

    @cached_property
    def by_blob(self) -> Mapping[str, Alignment]:
        """The alignment of each blob that has a reference."""
        return {each.blob: each for each in self.alignments if each.key}

    def with_options(self, options: Mapping[str, bool | int]) -> ConfiguredModel:
        """Return the same with some options changed."""
        job = self.job.model_copy(update={"options": {**self.job.options, **options}})
        return replace(self, job=job)

    def with_graph(self, graph: Param, param: Path) -> ConfiguredModel:
        """Return the same with another `.param` file over the same weights."""
        return replace(self, graph=graph, job=self.job.model_copy(update={"param": str(param)}))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One input that was run: the findings, and the blobs on disk for a closer look."""

    subject: ConfiguredModel
    truth: Truth
    finding: InputFinding
    result: InputResult

    def case(self, blob: str) -> LayerRun | None:
        """Return the layer that makes a blob, run alone, or None if it was not."""
        layer = next(item for item in self.subject.graph.layers if blob in item.outputs)
        output = self.result.alone_blob(layer.name, blob)
        expected = self.expected(blob)
        feeds = [self.fed(name) for name in layer.inputs]
        if output is None or expected is None or any(feed is None for feed in feeds):
            return None
        return LayerRun(
            layer=layer,
            weights=self.subject.weights.get(layer.name, {}),
            inputs=[feed for feed in feeds if feed is not None],
            output=output,
            expected=expected.astype(np.float64),
            floor=self.truth.floors.get(blob, 0.0),
            initialisers=self.subject.initialisers,
        )

    def expected(self, blob: str) -> Array | None:
        """Return the reference's value in the layout that its blob had in the chain."""
        alignment = self.subject.by_blob.get(blob)
        shape = self.result.chain.shapes.get(blob) if self.result.chain else None
        if alignment is None or shape is None:
            return None
        value = self.truth.exact[alignment.key]
        try:
            return alignment.arranged(value.shape, shape).to_blob(value)
        except ValueError:
            return None

    def fed(self, blob: str) -> Array | None:
        """Return the reference's value as the float32 array that goes into a blob."""
        expected = self.expected(blob)
        return None if expected is None else np.ascontiguousarray(expected, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """Measures configured models: jobs of the same worker as any cell's, with blobs kept."""

    launcher: Launcher
    tolerance: Tolerance

    def measure(
        self,
        subject: ConfiguredModel,
        truth: Truth,
        folder: Path,
        only: frozenset[str] | None = None,
    ) -> Measured:
        """Run one input through the chain and through each layer alone, and compare.

        Args:
            subject: what to run; its blobs are aligned.
            truth: the input and its reference values.
            folder: receives the blobs; the caller removes it when it has seen enough.
            only: names of the layers to run alone; None for all.
        """
        item = JobInput(
            name=truth.name,
            feeds=_feeds(subject, truth, folder),
            reference=str(truth.exact.directory),
            keep=str(folder / "blobs"),
            alone=None if only is None else tuple(sorted(only)),
        )
        result = self._run(subject, item, folder)
        measured = Measured(
            subject=subject,
            truth=truth,
            finding=InputFinding(
                name=truth.name, failure=result.failure or _unjudged(subject, result)
            ),
            result=result,
        )
        if result.failure or not (result.chain and result.chain.outputs):
            return measured
        return replace(measured, finding=self._finding(measured))

    def _run(self, subject: ConfiguredModel, item: JobInput, folder: Path) -> InputResult:
        job = subject.job.model_copy(update={"inputs": (item,)})
        (result,) = self.launcher.run(job, folder / "processes")
        return result

    def _finding(self, measured: Measured) -> InputFinding:
        subject, chain = measured.subject, measured.result.chain
        assert chain is not None
        floors = measured.truth.floors
        limits = {
            blob: self.tolerance.output_limit(floors.get(blob), blank=error.blank)
            for blob, error in chain.outputs.items()
        }
        worst = max(limits, key=lambda blob: excess(chain.outputs[blob], limits[blob]))
        return InputFinding(
            name=measured.truth.name,
            output=chain.outputs[worst],
            output_limit=limits[worst],
            latency_ms=None if subject.job.runner else chain.latency_ms,
            layers=tuple(
                self._layer(measured, alignment, record)
                for alignment, record in zip(
                    subject.alignments, measured.result.layers, strict=True
                )
            ),
        )

    def _layer(self, measured: Measured, alignment: Alignment, record: LayerRecord) -> LayerFinding:
        layer = measured.subject.graph.layers[record.index]
        base = LayerFinding(
            index=record.index,
            name=layer.name,
            type=layer.type,
            blob=record.blob,
            value=alignment.value,
            aligned=record.aligned,
            sure=alignment.sure,
            status=Status.NOT_ALIGNED,
            note=record.note,
        )
        if record.aligned == "none":
            return base
        truth = measured.truth
        blank = not truth.exact[alignment.key].any()
        noise = truth.floors.get(record.blob)
        inherited = self.tolerance.layer_limit(noise, blank=blank)
        limit = self.tolerance.layer_limit(None, blank=blank)
        if record.alone and is_beyond(record.alone, limit) and (case := measured.case(record.blob)):
            # Only now it matters what the layer by itself costs in single precision.
            noise = truth.noise_of(case)
            limit = self.tolerance.layer_limit(noise, blank=blank)
        return base.model_copy(
            update={
                "status": _status(layer, record, inherited, limit),
                "chain": record.chain,
                "alone": record.alone,
                "onnxruntime": truth.runtime_error(alignment.key),
                "noise": noise,
                "limit": limit,
                "chain_limit": inherited,
            }
        )


def _feeds(subject: ConfiguredModel, truth: Truth, folder: Path) -> dict[str, str]:
    """Write the input where the worker finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    feeds = {}
    for number, (blob, array) in enumerate(feeds_of(subject.model, truth.tensors).items()):
        file = folder / f"input-{number}.npy"
        np.save(file, array)
        feeds[blob] = str(file)
    return feeds


def _unjudged(subject: ConfiguredModel, result: InputResult) -> str:
    """Return why an input that ran cannot be judged; empty if it can."""
    if result.chain is None or result.chain.outputs:
        return ""
    return f"not judged: {subject.model.conversion.unsettled or 'no output has a reference value'}"


def _status(layer: Layer, record: LayerRecord, inherited: float, limit: float) -> Status:
    if record.alone and is_beyond(record.alone, limit):
        return Status.AT_FAULT
    wrong = record.chain is not None and is_beyond(record.chain, inherited)
    if record.chain is None or (record.alone is None and layer.inputs and wrong):
        return Status.NOT_MEASURED
    return Status.PASSES_ON if wrong else Status.CLEAN
