"""From a cell of the matrix to a subject with reference values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.conversion.onnx_side import OnnxSide
from harness.analysis.diagnosis.measurer import ConfiguredModel, Truth
from harness.execution.cell_runner import job_of
from harness.model.onnx_graph import OnnxGraph
from harness.reference.blob_values import blob_reference
from harness.reference.noise import noise_of
from harness.reference.tensors import tensors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.build.builder import Build
    from harness.domain.spec import CellSpec, InputSpec
    from harness.model.prepared_model import PreparedModel
    from harness.reference.evaluator import Evaluator
    from harness.reference.values import Kind, Reference
    from harness.util.build_store import Store

    Array = NDArray[Any]


def subject_of(build: Build, cell: CellSpec, model: PreparedModel) -> ConfiguredModel:
    """Return what is to be measured."""
    return ConfiguredModel(
        job=job_of(build, cell, model, ()),
        model=model,
        graph=model.graph,
        initialisers=_initialisers(model.onnx) if model.onnx else {},
    )


def _initialisers(path: Path) -> Mapping[str, Array]:
    """Return all constants of an ONNX graph that have more than one element."""
    return OnnxSide(OnnxGraph.load(path).complete()).constants


@dataclass(frozen=True, kw_only=True)
class References:
    """Makes inputs and their reference values."""

    model: PreparedModel
    store: Store
    evaluator: Evaluator
    limit: int
    """Bytes that an input may take."""
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None = None
    """Gives blobs that have no definition, see `blob_reference`."""

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
