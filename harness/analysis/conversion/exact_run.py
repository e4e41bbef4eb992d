"""What a build gives with everything off that costs precision, and whether definitions agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition import IllFormedError, NoDefinitionError, compute
from harness.domain.metrics import measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.conversion.walk import ModelSide
    from harness.model.param import Layer

    Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ExactRun:
    """The blobs of a model in the most exact run of a build."""

    cell: str
    """Id of what was run."""
    inputs: Sequence[Mapping[str, Array]]
    """Blobs by name, per trial."""

    def agrees(self, model: ModelSide, layer: Layer, *, limit: float, floors: float) -> bool | None:
        """Return whether a layer's definition gives what the build gave, on the build's inputs.

        Args:
            model: the ncnn files.
            layer: one of its layers.
            limit: scale-relative error up to which numbers are the same.
            floors: how many times the noise floor takes its place, where that is larger.

        Returns:
            None where there is nothing to compare.
        """
        blobs = self.inputs[0]
        if any(blob not in blobs for blob in (*layer.inputs, *layer.outputs)):
            return None
        tensors, inputs = model.tensors.get(layer.name, {}), self._fed(model, layer)
        try:
            exact = compute(layer, tensors, inputs)
            single = compute(layer, tensors, inputs, dtype=np.float32)
        except NoDefinitionError:
            return None
        for blob, defined, rounded in zip(layer.outputs, exact, single, strict=True):
            if defined.shape != blobs[blob].shape:
                return False
            error = measure(blobs[blob], defined)
            noise = measure(rounded, defined).scale_relative
            if (
                error.is_broken
                or error.is_void
                or error.scale_relative > max(limit, floors * noise)
            ):
                return False
        return True

    def refuses(self, model: ModelSide, layer: Layer) -> bool:
        """Return whether a layer that the build computed has no definition here.

        Layers whose shapes do not fit together do not count: what a build makes of them is whatever
        stands in memory.
        """
        if any(blob not in self.inputs[0] for blob in (*layer.inputs, *layer.outputs)):
            return False
        if layer.type == "Input":
            return False
        try:
            compute(layer, model.tensors.get(layer.name, {}), self._fed(model, layer))
        except IllFormedError:
            return False
        except NoDefinitionError:
            return True
        return False

    def _fed(self, model: ModelSide, layer: Layer) -> list[Array]:
        blobs = self.inputs[0]
        return [blobs[b].astype(np.int8) if b in model.int8 else blobs[b] for b in layer.inputs]
