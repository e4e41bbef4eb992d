"""From a cell of the matrix to a subject with reference values and matched blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from harness.analysis.diagnosis.measurer import ConfiguredModel, Measurer, Truth
from harness.compare.matching import Ancestry, Sample, match
from harness.domain.spec import CellSpec, InputSpec
from harness.execution.cell_runner import job_of
from harness.model.onnx_graph import OnnxGraph
from harness.reference.prepared_input import tensors_of
from harness.reference.values import Reference, reference_for
from harness.util.errors import ModelError
from harness.util.files import scratch_directory

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.build.builder import Build
    from harness.compare.alignment import Alignment
    from harness.execution.launcher import InputResult
    from harness.model.prepared_model import PreparedModel
    from harness.util.build_store import Store

    Array = NDArray[Any]

INEXACT = ("fp16", "bf16", "int8", "packing")
"""Words in the names of options that make a run less exact; blobs are matched without them."""


def subject_of(build: Build, cell: CellSpec, model: PreparedModel) -> ConfiguredModel:
    """Return what is to be measured; its blobs are not matched yet."""
    job = job_of(build, cell, model, ())
    return ConfiguredModel(
        job=job,
        graph=model.graph,
        inputs={blob: model.value_of(blob) for blob in model.inputs},
        initialisers=_initialisers(model.onnx),
    )


def _initialisers(path: Path) -> dict[str, Array]:
    """Return all constants of an ONNX graph that have more than one element."""
    proto = onnx.load(path)
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                tensors[node.output[0]] = attribute.t
    arrays = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    return {n: a for n, a in arrays.items() if a.dtype.kind == "f" and a.size > 1}


@dataclass(frozen=True, kw_only=True)
class References:
    """Makes inputs and their reference values."""

    model: PreparedModel
    store: Store

    @cached_property
    def graph(self) -> Ancestry:
        """What follows from what in the ONNX graph."""
        nodes = OnnxGraph.load(self.model.onnx).proto.graph.node
        return Ancestry.of((list(node.input), list(node.output)) for node in nodes)

    def truth(self, spec: InputSpec, values: frozenset[str] | None) -> Truth:
        """Return an input with its values; None for all of them."""
        tensors = tensors_of(spec, self.model)
        return Truth(
            name=spec.name,
            tensors=tensors,
            exact=self._values(tensors, "float64", values),
            single=self._values(tensors, "fp32", values),
        )

    def _values(
        self, tensors: Mapping[str, Array], kind: Any, values: frozenset[str] | None
    ) -> Reference:
        return reference_for(
            self.model.onnx, tensors, store=self.store.references, kind=kind, wanted=values
        )


def aligned(
    subject: ConfiguredModel,
    inputs: Sequence[InputSpec],
    references: References,
    measurer: Measurer,
) -> ConfiguredModel:
    """Match the blobs of a subject with values: by name, and else by number on two inputs.

    Raises:
        ModelError: the build cannot run the model at all.
    """
    model = references.model
    if set(subject.graph.blobs) <= {*model.values, *model.names}:
        # Every blob has a name: the values only tell how axes stand, for which one input will do.
        specs, values = list(inputs[:1]), model.values
    else:
        specs, values = [*inputs[:2]], None
        if len(specs) < 2:
            specs.append(_other(inputs[0]))
    samples = []
    with scratch_directory("match-") as scratch:
        for number, spec in enumerate(specs):
            truth = references.truth(spec, values)
            folder = scratch / str(number)
            first = measurer.chain(subject, truth, folder / "as-asked")
            samples.append(_sample(subject, truth, measurer, first, folder))
        alignments = match(subject.graph, model.names, samples, references.graph)
    return replace(subject, alignments=alignments, in_force=first.opened.options)


def _other(spec: InputSpec) -> InputSpec:
    """Return another input of the same shape."""
    if not spec.shape:
        raise ModelError(
            f"input {spec.name}: blobs are matched by value, which takes a second input. "
            "Add another input to the configuration, or give this one a `shape`."
        )
    return InputSpec(name="random", random=1, shape=spec.shape)


def _sample(
    subject: ConfiguredModel, truth: Truth, measurer: Measurer, first: InputResult, folder: Path
) -> Sample:
    """Run the most exact way this build has, so that blobs are recognised by their numbers."""
    if first.failure:
        raise ModelError(
            f"{subject.job.param}: ncnn cannot run it here: {first.failure}. "
            "Diagnose a cell that runs, or see the cell's reason in the matrix."
        )
    exact = {
        name: False
        for name, value in first.opened.options.items()
        if value is True and any(word in name for word in INEXACT)
    }
    run = measurer.chain(subject.with_options(exact), truth, folder / "exact")
    return Sample(blobs=_Blobs(first if run.failure else run), values=truth.single)


class _Blobs(Mapping[str, Any]):
    """The blobs of a chain, read when they are asked for."""

    def __init__(self, result: InputResult) -> None:
        self._files = result.chain.files if result.chain else {}

    def __getitem__(self, name: str) -> Array:
        return np.asarray(np.load(self._files[name]))

    def __iter__(self) -> Any:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def aligned_values(alignments: Sequence[Alignment], output: str) -> frozenset[str]:
    """Return the ONNX values that are needed to measure a subject."""
    return frozenset(item.value for item in alignments if item.value) | {output}
