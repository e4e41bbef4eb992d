"""What calls a function that evaluates a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Work = Callable[..., Mapping[str, Array]]


class Evaluator(Protocol):
    """Whatever calls a function that evaluates a model."""

    def __call__(self, work: Work, *given: Any, what: Path) -> Mapping[str, Array]:
        """Return what a function gives.

        Args:
            work: the function, known by its module and name; it raises nothing but `ModelError`.
            given: its arguments.
            what: the file of the model, for messages.

        Raises:
            ModelError: the function refuses the model.
            LimitError: the model takes more time or memory than it may.
        """
        ...
