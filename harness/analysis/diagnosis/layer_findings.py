"""What a diagnosis finds, as values that are written to disk and shown."""

from __future__ import annotations

from enum import StrEnum
from statistics import median

from harness.analysis.diagnosis.crash_findings import Breakdown, CrashFinding
from harness.analysis.mechanisms.mechanism import Explanation
from harness.domain.base import MessageValue
from harness.domain.records import Metrics
from harness.domain.verdict import excess


class Status(StrEnum):
    """What a layer has to do with an error; in the order of gravity."""

    AT_FAULT = "at fault"
    """Its own error, on the reference's inputs, is above its limit."""
    PASSES_ON = "passes on"
    """Wrong in the chain, right alone: the error came in from upstream."""
    NOT_MEASURED = "not measured"
    CLEAN = "clean"
    NOT_ALIGNED = "not aligned"
    """No ONNX value corresponds to its output."""


GRAVITY = {status: at for at, status in enumerate(Status)}


class LayerFinding(MessageValue):
    """One output blob of one layer for one input; errors are against float64."""

    index: int
    """Position of the layer in the `.param` file, from 0."""
    name: str
    type: str
    blob: str
    value: str = ""
    """The ONNX value that the blob holds."""
    aligned: str
    """How that is known: `name`, `mapped`, `split`, `value`, or `none`."""
    sure: str = ""
    """How sure a match by value is."""
    status: Status
    chain: Metrics | None = None
    """Error of the chain as it ran."""
    alone: Metrics | None = None
    """Error of this layer alone, on the reference's values at its inputs."""
    onnxruntime: float | None = None
    """Scale-relative error of ONNX Runtime's own chain at this value."""
    noise: float | None = None
    """Scale-relative error that honest fp32 arithmetic has here."""
    limit: float | None = None
    """Scale-relative error above which the layer is at fault."""
    chain_limit: float | None = None
    """Scale-relative error above which the chain is wrong here."""
    note: str = ""

    @property
    def excess(self) -> float:
        """The chain's error in units of its limit; NaN and infinities count as infinite."""
        if self.chain is None or not self.chain_limit:
            return 0.0
        return excess(self.chain, self.chain_limit)


class InputFinding(MessageValue):
    """All layers for one input."""

    name: str
    failure: str = ""
    """Why there are no numbers."""
    output: Metrics | None = None
    """Error of the model's output."""
    output_limit: float = 0.0
    latency_ms: float | None = None
    layers: tuple[LayerFinding, ...] = ()

    @property
    def at_fault(self) -> frozenset[str]:
        """Blobs of the layers that are at fault."""
        return frozenset(item.blob for item in self.layers if item.status is Status.AT_FAULT)

    @property
    def excesses(self) -> tuple[float, ...]:
        """Errors of the output and of each blob in the chain, in units of their limits."""
        output = excess(self.output, self.output_limit) if self.output else float("inf")
        return (output, *(layer.excess for layer in self.layers))

    @property
    def excess(self) -> float:
        """The largest of these: up to 1 all is well."""
        return max(self.excesses)


class LayerSummary(MessageValue):
    """One output blob over all inputs."""

    index: int
    name: str
    type: str
    blob: str
    value: str
    aligned: str
    sure: str
    status: Status
    """The gravest over all inputs."""
    worst_input: str
    """The input with the largest error of the layer alone, or of the chain."""
    chain_worst: float | None
    chain_median: float | None
    alone_worst: float | None
    alone_median: float | None
    onnxruntime: float | None
    noise: float | None
    limit: float | None
    note: str
    explanation: Explanation | None = None


class Score(MessageValue):
    """How good a configuration is, over some inputs."""

    output_max_abs: float
    """Largest absolute error of the output."""
    output_scale_relative: float
    worst_layer: float
    """Largest scale-relative error of a layer alone."""
    at_fault: tuple[str, ...]
    """Layers that are at fault, as `type name`."""
    latency_ms: float | None
    excess: float
    """Largest error of the chain or the output in units of its limit: up to 1 all is well."""


class TriedFix(MessageValue):
    """One change that was applied and measured, or the reason why it was not."""

    kind: str
    """`options`, `masks`, `flags`, `rewrite` or `version`."""
    change: str
    """What was changed, in words."""
    options: dict[str, bool] = {}
    """Run options that were changed."""
    before: Score | None = None
    after: Score | None = None
    by_type: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}
    """Largest errors before and after, alone and in the chain, by type of the layers at fault."""
    param: str = ""
    """The `.param` file that was written."""
    diff: str = ""
    note: str = ""

    @property
    def outcome(self) -> str:
        """`fixed`, `helped`, `did not help`, or `not tried`."""
        if self.before is None or self.after is None:
            return "not tried"
        if self.after.excess <= 1:
            return "fixed"
        better = self.after.output_max_abs < self.before.output_max_abs / 2
        fewer = set(self.after.at_fault) < set(self.before.at_fault)
        return "helped" if better or fewer else "did not help"


class Diagnosis(MessageValue):
    """Everything that was found about one cell."""

    cell: str
    model: str
    build: str
    options: dict[str, bool | int]
    inputs: tuple[InputFinding, ...]
    layers: tuple[LayerSummary, ...]
    fixes: tuple[TriedFix, ...] = ()
    reference: str = ""
    """What layers were compared with, in words."""
    model_notes: tuple[str, ...] = ()
    """What was found about the model's files, in words."""
    breakdowns: tuple[Breakdown, ...] = ()
    """Inputs on which a process died."""
    crash: CrashFinding | None = None
    """What a sanitizer says of it or of broken values; None if there was none."""

    @property
    def about_model(self) -> tuple[str, ...]:
        """What holds whatever the build, and what layers were compared with unless it is ONNX."""
        against = "" if "ONNX" in self.reference else self.reference
        return (*self.model_notes, *((f"compared with {against}",) if against else ()))

    @property
    def has_findings(self) -> bool:
        """Whether a layer is at fault, or an input crashed or could not be measured."""
        return bool(self.at_fault or self.crash or any(item.failure for item in self.inputs))

    @property
    def at_fault(self) -> tuple[LayerSummary, ...]:
        """The layers at fault, the worst first."""
        found = [layer for layer in self.layers if layer.status is Status.AT_FAULT]
        return tuple(sorted(found, key=lambda layer: -(layer.alone_worst or 0.0)))


def summarised(
    findings: tuple[InputFinding, ...], explanations: dict[str, Explanation]
) -> tuple[LayerSummary, ...]:
    """Put the findings of several inputs together, layer by layer."""
    usable = [finding for finding in findings if finding.layers]
    return tuple(
        _summary([(f.name, f.layers[at]) for f in usable], explanations)
        for at in range(len(usable[0].layers) if usable else 0)
    )


def _summary(
    items: list[tuple[str, LayerFinding]], explanations: dict[str, Explanation]
) -> LayerSummary:
    first = items[0][1]
    chain = [f.chain.scale_relative for _, f in items if f.chain]
    alone = [f.alone.scale_relative for _, f in items if f.alone]
    worst, finding = max(items, key=lambda item: _own_or_chain(item[1]))
    status = min((f.status for _, f in items), key=GRAVITY.__getitem__)
    return LayerSummary(
        index=first.index,
        name=first.name,
        type=first.type,
        blob=first.blob,
        value=first.value,
        aligned=first.aligned,
        sure=first.sure,
        status=status,
        worst_input=worst,
        chain_worst=max(chain, default=None),
        chain_median=median(chain) if chain else None,
        alone_worst=max(alone, default=None),
        alone_median=median(alone) if alone else None,
        onnxruntime=max((f.onnxruntime for _, f in items if f.onnxruntime), default=None),
        noise=max((f.noise for _, f in items if f.noise), default=None),
        limit=finding.limit,
        note=next((f.note for _, f in items if f.note), ""),
        explanation=explanations.get(first.blob),
    )


def _own_or_chain(finding: LayerFinding) -> float:
    error = finding.alone or finding.chain
    return error.scale_relative if error else -1.0
