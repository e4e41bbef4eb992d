"""What ncnn's layers compute, in NumPy, in the type of the arrays: float64 for the truth.

ncnn defines a layer by its naive kernel `src/layer/<type>.cpp` and by
`docs/developer-guide/operators.md`; where the two differ, the kernel holds, and where versions of
it differ, the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition import (
    activation,
    attention,
    combining,
    convolving,
    gathering,
    linear,
    normalising,
    parts,
    pooling,
    quantising,
    recurrent,
    reducing,
    sampling,
    shaping,
    spectra,
)
from harness.definition.arithmetic import EXACT, Arithmetic
from harness.definition.definition import (
    Array,
    Definition,
    IllFormedError,
    Inputs,
    NoDefinitionError,
    Tensors,
)
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.model.param import Layer

__all__ = ["TOO_LARGE", "IllFormedError", "NoDefinitionError", "compute", "has_definition"]

_FAMILIES = (
    activation,
    attention,
    combining,
    convolving,
    gathering,
    linear,
    normalising,
    parts,
    pooling,
    quantising,
    recurrent,
    reducing,
    sampling,
    shaping,
    spectra,
)
DEFINITIONS: Mapping[str, Definition] = {
    kind: definition for family in _FAMILIES for kind, definition in family.DEFINITIONS.items()
}
"""Definition by layer type."""

MAX_AXES = 4
TOO_LARGE = "it takes more memory than there is"
"""Why a layer has no definition for its input, where that is the reason."""


def has_definition(layer: Layer) -> bool:
    """Whether layers of this type are defined here; `compute` may still refuse parameters."""
    return layer.type in DEFINITIONS


def compute(
    layer: Layer,
    tensors: Mapping[str, Array],
    inputs: Sequence[Array],
    arithmetic: Arithmetic = EXACT,
    *,
    dtype: type[np.floating[Any]] = np.float64,
) -> tuple[Array, ...]:
    """Return the outputs of one layer, one array per output blob, in ncnn's layout.

    Args:
        layer: type and parameters.
        tensors: its tensors, shaped as `harness.model.layouts.layout` says: float32, float16 or
            int8.
        inputs: its input blobs in ncnn's layout: outermost axis first, no padding. An array of
            int8 is a blob of int8; a layer that ncnn has read int32 takes integers, or floats of
            the same bits, as which ncnn hands such blobs out.
        arithmetic: how to compute.
        dtype: type of every step: float64 for the truth, float32 for what honest single
            precision makes of it.

    Raises:
        NoDefinitionError: this type or combination of parameters has no definition here.
        IllFormedError: the shapes do not fit, or a tensor is missing.
    """
    definition = DEFINITIONS.get(layer.type)
    place = f"layer {layer.name} ({layer.type})"
    if definition is None:
        raise NoDefinitionError(f"{place}: this type has no definition here")
    given = Tensors({name: np.asarray(array) for name, array in tensors.items()}, dtype)
    blobs = Inputs([np.asarray(array) for array in inputs], dtype)
    try:
        definition.check(layer, given, blobs)
        with np.errstate(all="ignore"):
            outputs = definition.formula(layer, given, blobs, arithmetic)
    except NoDefinitionError as error:
        raise NoDefinitionError(f"{place}: {error}") from error
    except MemoryError as error:
        raise NoDefinitionError(f"{place}: {TOO_LARGE}") from error
    except _REFUSALS as error:
        if any(words in str(error) for words in _BEYOND):
            raise NoDefinitionError(f"{place}: {TOO_LARGE}") from error
        raise IllFormedError(f"{place}: {_shapes(blobs)}: {error}") from error
    arrays = tuple(outputs) if isinstance(outputs, tuple | list) else (np.asarray(outputs),)
    if len(arrays) != len(layer.outputs):
        raise NoDefinitionError(
            f"{place}: {len(arrays)} outputs are defined, the layer has {len(layer.outputs)}"
        )
    if any(not array.size or not 1 <= array.ndim <= MAX_AXES for array in arrays):
        raise NoDefinitionError(f"{place}: an output of shape {_shapes(arrays)}")
    return tuple(np.asarray(array, dtype) for array in arrays)


_BEYOND = ("array is too big", "Maximum allowed dimension exceeded")
"""What NumPy says of arrays that no memory could hold."""
_REFUSALS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    ModelError,
    TypeError,
    ValueError,
)
"""What parameters and shapes that do not fit run into."""


def _shapes(arrays: Sequence[Array]) -> str:
    return ", ".join(str(array.shape) for array in arrays) or "no inputs"
