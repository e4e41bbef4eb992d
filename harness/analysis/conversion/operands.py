"""Whether a layer would be right with other inputs: something is missing, swapped or turned."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.definition import NoDefinitionError, compute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.conversion.onnx_side import OnnxSide
    from harness.analysis.conversion.walk import Trial, Walk
    from harness.model.param import Layer

    Array = NDArray[Any]

STEPS = 4
"""Nodes by which an input may lag behind what the ONNX graph feeds."""
NEAR_STEPS = 2
"""Nodes before a value within which the inputs of a layer with weights are looked for."""
MAX_OTHERS = 40
"""Other values that are tried for an input."""


@dataclass(frozen=True, kw_only=True)
class Operand:
    """An input of a layer, and what would make the layer right in its place."""

    place: int
    blob: str
    value: str
    """The ONNX value, or constant, that belongs there."""
    kind: Literal["later", "other", "turned", "constant"]
    """A step is missing, it is another value, its axes are turned, or a constant differs."""


@dataclass(frozen=True, kw_only=True)
class OperandSearch:
    """A layer whose output is wrong though its inputs are what they are taken for."""

    layer: Layer
    tensors: Mapping[str, Array]
    wanted: str
    """The ONNX value that it should give."""
    tells: bool
    """Whether that value has enough in it that agreement with it is no chance."""
    found: Walk
    trials: Sequence[Trial]
    onnx: OnnxSide
    is_right: Callable[[Sequence[Sequence[Array]]], bool]
    """Says of the layer's outputs for each trial whether they are what they should be."""

    def first(self) -> Operand | None:
        """Return the one input with another content of which the layer is right."""
        for place, blob in enumerate(self.layer.inputs):
            for operand in self._candidates(place, blob):
                outputs = [self._outputs(operand, at) for at in range(len(self.trials))]
                known = [each for each in outputs if each is not None]
                if len(known) == len(outputs) and self.is_right(known):
                    return operand
        return None

    def _outputs(self, operand: Operand, at: int) -> Sequence[Array] | None:
        blobs = self.found.inputs[at].blobs
        inputs = [blobs[name] for name in self.layer.inputs]
        array = self._array(operand, at, inputs[operand.place].shape)
        if array is None:
            return None
        inputs[operand.place] = np.ascontiguousarray(array, np.float64)
        try:
            return compute(self.layer, self.tensors, inputs)
        except NoDefinitionError:
            return None

    def _array(self, operand: Operand, at: int, shape: tuple[int, ...]) -> Array | None:
        """Return what an operand is for a trial, in the shape of the blob in whose place it is."""
        if operand.kind == "constant":
            return self.onnx.constants[operand.value].reshape(shape)
        array = self.trials[at].values[operand.value]
        if operand.kind == "turned":
            return np.squeeze(array) if np.squeeze(array).ndim else None
        return array.reshape(shape) if array.size == np.prod(shape) else None

    def _candidates(self, place: int, blob: str) -> Iterator[Operand]:
        """Yield what may belong in the place of an input, the likeliest first."""
        match, values = self.found.matches[blob], self.trials[0].values
        above = self.onnx.ancestry.sources.get(self.wanted, frozenset()) - {self.wanted}
        later = self.onnx.steps_after(match.value, STEPS) if match.value else []
        kinds: list[tuple[Literal["later", "other", "turned", "constant"], Iterable[str]]] = []
        if match.way is not None and not match.way.is_plain:
            kinds.append(("turned", [match.value]))
        kinds.append(("later", [name for name in later if name in above]))
        # Without much in the value that is wanted, what is likely is all that counts.
        if self.tells and not match.value and not self.tensors:
            kinds.append(("constant", self.onnx.constants))
        if self.tells:
            near = self.onnx.steps_before(self.wanted, NEAR_STEPS)
            kinds.append(("other", near if self.tensors else [n for n in values if n in above]))
        size = self.found.inputs[0].blobs[blob].size
        for kind, names in kinds:
            arrays = self.onnx.constants if kind == "constant" else values
            fitting = (n for n in names if n in arrays and arrays[n].size == size)
            for name in islice(fitting, MAX_OTHERS):
                if kind == "turned" or name != match.value:
                    yield Operand(place=place, blob=blob, value=name, kind=kind)
