"""Hypotheses, and what each says that a layer's output is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True)
class Prediction:
    """An output, and where it counts."""

    output: Array
    where: Array | None = None
    """The elements that the hypothesis says anything about; None for all."""
    note: str = ""
    """What was found on the way, such as the size of a fitted deviation."""


@dataclass(frozen=True)
class Hypothesis:
    """One thing that may have gone wrong."""

    name: str
    predict: Callable[[], Prediction | None]
    """Compute the output under it; None where it does not apply."""
    weight: int = 1
    """How many things it assumes: of equally good explanations the simplest is named."""
