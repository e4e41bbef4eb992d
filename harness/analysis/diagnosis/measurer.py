"""Runs a model with one build and measures every layer, in the chain and alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.diagnosis.layer_findings import InputFinding, LayerFinding, Status
from harness.analysis.diagnosis.layer_run import LayerRun
from harness.analysis.diagnosis.passes import Collected, Collector, Pass
from harness.compare.arrangement import Arrangement, Shape, arrangements
from harness.compare.matching import Match
from harness.domain.limits import PLAUSIBLE_FLOOR, Tolerance
from harness.domain.metrics import measure
from harness.domain.records import Metrics
from harness.model.blob_layout import to_ncnn_layout
from harness.model.weights import read_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.execution.job import Job
    from harness.model.param import Layer, Param
    from harness.reference.values import Reference

    Array = NDArray[Any]

REPEATS = 5
"""Passes from which the fastest gives the latency."""


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

    known: dict[str, float] = field(default_factory=dict, compare=False)
    """Errors of ONNX Runtime by value and noise floors by layer, as far as they were needed."""

    def noise_of(self, case: LayerRun) -> float:
        """Return a layer's noise floor, which depends on its inputs and not on the build."""
        key = f"{case.layer.type} {' '.join(case.layer.outputs)}"
        if key not in self.known:
            self.known[key] = case.noise
        return self.known[key]

    def runtime_error(self, value: str) -> float | None:
        """Return ONNX Runtime's scale-relative error at a value; None if it is implausible."""
        if value not in self.known:
            found = measure(np.asarray(self.single[value]), self.exact[value])
            self.known[value] = found.scale_relative
        return self.known[value] if self.known[value] < PLAUSIBLE_FLOOR else None


@dataclass(frozen=True, kw_only=True)
class ConfiguredModel:
    """A build, run options and a model: what is measured."""

    job: Job
    """Build, model files and options; its own inputs are not used."""
    graph: Param
    inputs: Mapping[str, str]
    """Input blob → ONNX input."""
    matches: tuple[Match, ...] = ()
    initialisers: Mapping[str, Array]
    """Constants of the ONNX graph."""
    in_force: Mapping[str, bool | int] = field(default_factory=dict)
    """Every option as the build has it when the model is loaded."""

    @cached_property
    def weights(self) -> Mapping[str, Mapping[str, Array]]:
        """Tensors of the `.bin` file by layer and name."""
        return read_weights(self.graph, Path(self.job.bin))

    @cached_property
    def by_blob(self) -> Mapping[str, Match]:
        """The match of each blob."""
        return {match.blob: match for match in self.matches if match.value}

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
    chain: Collected
    alone: Collected

    def case(self, blob: str) -> LayerRun | None:
        """Return the layer that makes a blob, run alone, or None if it was not."""
        layer = next(item for item in self.subject.graph.layers if blob in item.outputs)
        output = self.alone.blob(layer.name, blob)
        arrangement = self.arrangement(blob)
        feeds = [self.fed(name) for name in layer.inputs]
        if output is None or arrangement is None or any(feed is None for feed in feeds):
            return None
        value = self.subject.by_blob[blob].value
        return LayerRun(
            layer=layer,
            weights=self.subject.weights.get(layer.name, {}),
            inputs=[feed for feed in feeds if feed is not None],
            output=output,
            expected=arrangement.to_blob(self.truth.exact[value]).astype(np.float64),
            floor=self.truth.runtime_error(value) or 0.0,
            initialisers=self.subject.initialisers,
        )

    def arrangement(self, blob: str) -> Arrangement | None:
        """Return how the value stands in a blob of the shape that it had in the chain."""
        array = self.chain.blob("chain", blob)
        match = self.subject.by_blob.get(blob)
        if array is None or match is None:
            return None
        return _fitting(match, self.truth.exact[match.value].shape, array.shape)

    def fed(self, blob: str) -> Array | None:
        """Return the reference's value as the float32 array that goes into a blob."""
        arrangement = self.arrangement(blob)
        if arrangement is None:
            return None
        value = self.truth.exact[self.subject.by_blob[blob].value]
        return np.ascontiguousarray(arrangement.to_blob(value), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """Measures subjects."""

    collector: Collector
    tolerance: Tolerance

    def chain(self, subject: ConfiguredModel, truth: Truth, folder: Path) -> Collected:
        """Run the model as its options say, once for the output and once keeping all blobs."""
        folder.mkdir(parents=True, exist_ok=True)
        feeds = {}
        for number, (blob, value) in enumerate(subject.inputs.items()):
            file = folder / f"input-{number}.npy"
            np.save(file, to_ncnn_layout(truth.tensors[value]))
            feeds[blob] = str(file)
        output = (subject.job.output,)
        blobs = tuple(dict.fromkeys(b for layer in subject.graph.layers for b in layer.outputs))
        repeats = 1 if subject.job.runner else REPEATS
        passes = (
            Pass(name="output", feeds=feeds, blobs=output, keep=False, repeats=repeats),
            Pass(name="chain", feeds=feeds, blobs=blobs),
        )
        return self.collector.run(subject.job, passes, folder / "chain")

    def measure(
        self,
        subject: ConfiguredModel,
        truth: Truth,
        folder: Path,
        only: frozenset[str] | None = None,
    ) -> Measured:
        """Run one input through the chain and through each layer alone, and compare.

        Args:
            subject: what to run; its blobs are matched.
            truth: the input and its reference values.
            folder: receives the blobs; the caller removes it when it has seen enough.
            only: names of the layers to run alone; None for all.
        """
        chain = self.chain(subject, truth, folder)
        bare = Measured(
            subject=subject,
            truth=truth,
            finding=InputFinding(name=truth.name),
            chain=chain,
            alone=Collected(opened=chain.opened, passes={}),
        )
        failure = chain.opened.failure or _output_failure(subject, chain)
        if failure:
            finding = InputFinding(name=truth.name, failure=failure)
            return replace(bare, finding=finding)
        passes = [p for p in _alone(bare, folder) if only is None or p.name in only]
        alone = self.collector.run(subject.job, passes, folder / "alone")
        measured = replace(bare, alone=alone)
        return replace(measured, finding=self._finding(measured))

    def _finding(self, measured: Measured) -> InputFinding:
        subject, chain = measured.subject, measured.chain
        value = subject.by_blob[subject.job.output].value
        arrangement = measured.arrangement(subject.job.output)
        output = chain.blob("output", subject.job.output)
        assert arrangement is not None and output is not None
        own = measured.truth.runtime_error(value) or 0.0
        return InputFinding(
            name=measured.truth.name,
            output=measure(output, arrangement.to_blob(measured.truth.exact[value])),
            output_limit=max(self.tolerance.output, self.tolerance.floors * own),
            latency_ms=chain.passes["output"].seconds * 1e3,
            layers=tuple(self._layer(measured, match) for match in subject.matches),
        )

    def _layer(self, measured: Measured, match: Match) -> LayerFinding:
        layer = measured.subject.graph.layers[match.layer_index]
        base = LayerFinding(
            index=match.layer_index,
            name=layer.name,
            type=layer.type,
            blob=match.blob,
            value=match.value,
            aligned=match.how,
            sure=match.sure,
            status=Status.NOT_ALIGNED,
            note=match.note,
        )
        arrangement = measured.arrangement(match.blob) if match.value else None
        if arrangement is None:
            return base
        truth = measured.truth
        expected = arrangement.to_blob(truth.exact[match.value])
        runtime = truth.runtime_error(match.value)
        chain, why = _error(measured.chain, "chain", match.blob, expected)
        alone, alone_why = None, ""
        if layer.inputs:
            alone, alone_why = _error(measured.alone, layer.name, match.blob, expected)
        # Up to an absolute error of so much, small values are never wrong.
        scale = float(np.abs(expected).max(initial=0)) or 1.0
        least = max(self.tolerance.layer, self.tolerance.absolute / scale)
        inherited = max(least, self.tolerance.floors * (runtime or 0.0))
        noise, limit = runtime, least
        if alone and alone.scale_relative > limit and (case := measured.case(match.blob)):
            # Only now it matters what the layer by itself costs in single precision.
            noise = truth.noise_of(case)
            limit = max(limit, self.tolerance.floors * noise)
        return base.model_copy(
            update={
                "status": _status(layer, chain, inherited, alone, limit),
                "chain": chain,
                "alone": alone,
                "onnxruntime": runtime,
                "noise": noise,
                "limit": limit,
                "chain_limit": inherited,
                "note": "; ".join(filter(None, (why, f"alone: {alone_why}" if alone_why else ""))),
            }
        )


def _status(
    layer: Layer,
    chain: Metrics | None,
    inherited: float,
    alone: Metrics | None,
    limit: float,
) -> Status:
    if alone and _is_wrong(alone, limit):
        return Status.AT_FAULT
    wrong = chain is not None and _is_wrong(chain, inherited)
    if chain is None or (alone is None and layer.inputs and wrong):
        return Status.NOT_MEASURED
    return Status.PASSES_ON if wrong else Status.CLEAN


def _is_wrong(error: Metrics, limit: float) -> bool:
    return bool(error.scale_relative > limit or error.nan or error.inf)


def _error(
    collected: Collected, name: str, blob: str, expected: Array
) -> tuple[Metrics | None, str]:
    """Return the error of a blob in one pass, or the reason why there is none."""
    array = collected.blob(name, blob)
    if array is None:
        return None, collected.reason(name, blob)
    if array.shape != expected.shape:
        return None, f"shape {array.shape} against {expected.shape}"
    return measure(array, expected), ""


def _alone(measured: Measured, folder: Path) -> Iterator[Pass]:
    """Yield one pass per layer whose inputs all have a reference value."""
    files: dict[str, str] = {}
    for layer in measured.subject.graph.layers:
        for blob in layer.inputs:
            if blob not in files and (array := measured.fed(blob)) is not None:
                files[blob] = str(folder / f"feed-{len(files)}.npy")
                np.save(files[blob], array)
        if layer.inputs and layer.outputs and all(blob in files for blob in layer.inputs):
            feeds = {blob: files[blob] for blob in layer.inputs}
            yield Pass(name=layer.name, feeds=feeds, blobs=layer.outputs)


def _output_failure(subject: ConfiguredModel, chain: Collected) -> str:
    """Return why the model's output cannot be measured, or nothing."""
    blob = subject.job.output
    if chain.blob("output", blob) is None:
        return chain.reason("output", blob)
    return "" if blob in subject.by_blob else f"the output {blob} is not aligned"


def _fitting(match: Match, value: Shape, blob: Shape) -> Arrangement | None:
    """Return a match's arrangement for a blob that may have other axes of one element now."""
    known = match.arrangement
    if known and known.value == value and known.blob == blob:
        return known
    ways = list(arrangements(value, blob))
    if known:
        same = (w for w in ways if (w.axes, w.turns_blob) == (known.axes, known.turns_blob))
        return next(same, ways[0] if ways else None)
    return ways[0] if ways else None
