"""What a definition of a layer type is, and why there may be none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

Array: TypeAlias = NDArray[Any]
NEUTRAL = frozenset({30, 31})
"""Parameters of every layer that say nothing of its values: shape hints, the feature mask."""


class NoDefinitionError(Exception):
    """What a layer computes cannot be said here."""


class IllFormedError(NoDefinitionError):
    """Shapes or tensors of a layer do not fit together: what ncnn makes of it means nothing."""


class Tensors(dict[str, Array]):
    """The tensors of a layer by name, in the type that is computed in."""

    def __init__(self, stored: Mapping[str, Array], dtype: type[np.floating[Any]]) -> None:
        super().__init__({name: np.asarray(array, dtype) for name, array in stored.items()})
        self.int8 = frozenset(n for n, array in stored.items() if array.dtype == np.int8)
        """Names of those that are stored as int8."""

    def __missing__(self, name: str) -> Array:
        """Refuse what depends on a tensor that is not given."""
        raise NoDefinitionError(f"its tensor {name} is missing")


class Inputs(list[Array]):
    """The inputs of a layer, in the type that is computed in."""

    def __init__(self, blobs: Iterable[Array], dtype: type[np.floating[Any]] | None = None) -> None:
        given = list(blobs)
        super().__init__(given if dtype is None else [np.asarray(x, dtype) for x in given])
        self.int8 = frozenset(i for i, x in enumerate(given) if x.dtype == np.int8)
        """Places of those that came as int8."""
        self.int32 = frozenset(i for i, x in enumerate(given) if x.dtype.kind in "iu") - self.int8
        """Places of those that came as other integers."""

    def ids(self, place: int) -> NDArray[np.int32]:
        """Return a blob of whole numbers, such as the ids of tokens, in whatever type it came."""
        return np.rint(self[place]).astype(np.int32)

    def whole_numbers(self, place: int) -> NDArray[np.int32]:
        """Return a blob of int32, which came as such or as floats of the same bits."""
        x = self[place]
        if place in self.int32:
            return x.astype(np.int32)
        return np.ascontiguousarray(x, np.float32).view(np.int32)


Formula: TypeAlias = "Callable[[Layer, Tensors, Inputs, Arithmetic], Array | Sequence[Array]]"


@dataclass(frozen=True)
class Definition:
    """What one layer type computes, and which of its parameters that covers."""

    formula: Formula
    """Takes the layer, its tensors, its inputs (outermost axis first) and the arithmetic; returns
    the output, or a list of them."""
    keys: frozenset[int] = frozenset()
    """The parameters that it knows, besides the neutral ones."""
    int8: bool = False
    """Whether it takes tensors and blobs in eight bits."""
    int32: bool = False
    """Whether it takes blobs of whole numbers."""

    def check(self, layer: Layer, tensors: Tensors, inputs: Inputs) -> None:
        """Refuse what is not covered.

        Raises:
            NoDefinitionError: an unknown parameter, or integers where they are not expected.
        """
        unknown = sorted({key for key, _ in layer.params} - self.keys - NEUTRAL)
        if unknown:
            raise NoDefinitionError(f"parameter {unknown[0]} is not known")
        if len(inputs) != len(layer.inputs) and layer.type != "Input":
            raise NoDefinitionError(f"{len(inputs)} inputs given, it has {len(layer.inputs)}")
        if (tensors.int8 or inputs.int8) and not self.int8:
            raise NoDefinitionError("int8 is not covered")
        if inputs.int32 and not self.int32:
            raise NoDefinitionError("whole numbers are not covered")


def define(formula: Formula, *keys: int, int8: bool = False, int32: bool = False) -> Definition:
    """Return a definition that covers the given parameters."""
    return Definition(formula, frozenset(keys), int8, int32)


def move(formula: Formula, *keys: int) -> Definition:
    """Return a definition of what only moves elements, of whatever type they are."""
    return define(formula, *keys, int8=True, int32=True)
