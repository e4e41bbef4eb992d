"""From a cell of the matrix to a subject with reference values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from harness.analysis.conversion.onnx_side import OnnxSide
from harness.analysis.diagnosis.measurer import ConfiguredModel, Truth
from harness.execution.cell_runner import job_of
from harness.model.onnx_graph import OnnxGraph
from harness.reference.blob_values import blob_reference
from harness.reference.noise import noise_of
from harness.reference.prepared_input import prepare_input
from harness.reference.tensors import tensors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from harness.build.builder import Build
    from harness.domain.spec import CellSpec, InputSpec
    from harness.model.prepared_model import PreparedModel
    from harness.reference.evaluator import Evaluator
    from harness.reference.prepared_input import PreparedInput
    from harness.reference.values import Kind, Reference
    from harness.util.build_store import Store

    Array = NDArray[Any]


class KnownModel(Protocol):
    """A model, and all that builds of it are measured against."""

    @property
    def model(self) -> PreparedModel:
        """The model, its conversion proved."""

    @property
    def constants(self) -> Mapping[str, Array]:
        """Constants of its ONNX graph that have more than one element; none without a graph."""

    def truth(self, spec: InputSpec) -> Truth:
        """Return an input with its values."""

    def input(self, spec: InputSpec) -> PreparedInput:
        """Return an input as a matrix takes it."""


def subject_of(build: Build, cell: CellSpec, known: KnownModel) -> ConfiguredModel:
    """Return what is to be measured."""
    return ConfiguredModel(
        job=job_of(build, cell, known.model, ()),
        model=known.model,
        graph=known.model.graph,
        initialisers=known.constants,
    )


@dataclass(frozen=True, kw_only=True)
class References:
    """Makes inputs and their reference values: a `KnownModel` of what is at hand."""

    model: PreparedModel
    store: Store
    evaluator: Evaluator
    limit: int
    """Bytes that an input may take."""
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None = None
    """Gives blobs that have no definition, see `blob_reference`."""

    @cached_property
    def constants(self) -> Mapping[str, Array]:
        """Constants of the ONNX graph, see `KnownModel`."""
        path = self.model.onnx
        return OnnxSide(OnnxGraph.load(path).complete()).constants if path else {}

    def input(self, spec: InputSpec) -> PreparedInput:
        """Prepare an input as a matrix takes it."""
        return prepare_input(
            spec, self.model, self.store, self.evaluator, self.taken, limit=self.limit
        )

    def truth(self, spec: InputSpec) -> Truth:
        """Return an input with its values."""
        tensors = tensors_of(spec, self.model, self.limit)
        exact, single = (self._values(tensors, kind) for kind in ("float64", "fp32"))
        return Truth(
            name=spec.name,
            tensors=tensors,
            exact=exact,
            single=single,
            floors=noise_of(
                self.model,
                tensors,
                single,
                exact,
                store=self.store,
                evaluator=self.evaluator,
                relative_to=exact,
            ).floors,
        )

    def _values(self, tensors: Mapping[str, Array], kind: Kind) -> Reference:
        return blob_reference(
            self.model,
            tensors,
            store=self.store.references,
            kind=kind,
            evaluator=self.evaluator,
            taken=self.taken,
        )
