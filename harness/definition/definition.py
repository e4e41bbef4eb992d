"""What a definition of a layer type is, and why there may be none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = Sequence[Array]
NEUTRAL = frozenset({30, 31})
"""Parameters of every layer that say nothing of its values: shape hints, the feature mask."""


class NoDefinitionError(Exception):
    """What a layer computes cannot be said here."""


class Tensors(dict[str, Array]):
    """The tensors of a layer by name, in the type that is computed in."""

    def __init__(self, stored: Mapping[str, Array], dtype: type[np.floating[Any]]) -> None:
        super().__init__({name: np.asarray(array, dtype) for name, array in stored.items()})
        self.int8 = frozenset(n for n, array in stored.items() if array.dtype == np.int8)
        """Names of those that are stored as int8."""

    def __missing__(self, name: str) -> Array:
        """Refuse what depends on a tensor that is not given."""
        raise NoDefinitionError(f"its tensor {name} is missing")


Formula: TypeAlias = "Callable[[Layer, Tensors, Inputs, Arithmetic], Array | Sequence[Array]]"


@dataclass(frozen=True)
class Definition:
    """What one layer type computes, and which of its parameters that covers."""

    formula: Formula
    """Takes the layer, its tensors, its inputs (outermost axis first) and the arithmetic; returns
    the output, or a tuple or list of them."""
    keys: frozenset[int] = frozenset()
    """The parameters that it knows, besides the neutral ones."""
    quantised: bool = False
    """Whether it takes tensors of int8."""

    def check(self, layer: Layer, tensors: Tensors) -> None:
        """Refuse what is not covered.

        Raises:
            NoDefinitionError: an unknown parameter, or tensors of int8.
        """
        unknown = sorted({key for key, _ in layer.params} - self.keys - NEUTRAL)
        if unknown:
            raise NoDefinitionError(f"parameter {unknown[0]} is not known")
        if tensors.int8 and not self.quantised:
            raise NoDefinitionError(f"its tensor {min(tensors.int8)} is int8")


def define(formula: Formula, *keys: int, quantised: bool = False) -> Definition:
    """Return a definition that covers the given parameters."""
    return Definition(formula, frozenset(keys), quantised)
