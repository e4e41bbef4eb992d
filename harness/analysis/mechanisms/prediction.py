"""Hypotheses, and what each says that a layer's output is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.definition import NoDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from harness.analysis.mechanisms.layer_run import LayerRun

    Array = NDArray[Any]


@dataclass(frozen=True)
class Prediction:
    """An output, and what else the hypothesis would allow."""

    output: Array
    low: Array
    high: Array
    """Bounds of each element: roundings of its last bits may decide how it is rounded after."""
    changed: LayerRun | None = None
    """The layer as the hypothesis has it, on which another one may be tested."""
    note: str = ""
    """What was found on the way, such as the size of a fitted deviation."""


@dataclass(frozen=True)
class Hypothesis:
    """One thing that may have gone wrong."""

    name: str
    change: Callable[[LayerRun], LayerRun | Prediction | None]
    """Return the layer with it, or what it would give; None where it does not apply. What was
    fitted to one input and holds for all, such as a bound, is fixed here."""
    assumed: frozenset[str]
    """What it assumes: of equally good explanations those that assume more are left out."""
    touched: frozenset[str]
    """Parts of the computation that it changes: two hypotheses that share one are not combined."""
    fitted: int = 0
    """Numbers that were fitted to what is explained; they count against it."""

    def predict(self, case: LayerRun, slack: float) -> Prediction | None:
        """Return what a layer would give.

        Args:
            case: the layer.
            slack: absolute error that single precision may have before results are rounded.
        """
        try:
            found = self.change(case)
            if found is None or isinstance(found, Prediction):
                return found
            y = found.predict() if case.has_formula else case.exact
        except (NoDefinitionError, KeyError, ValueError, IndexError):
            # The formula does not take the layer so changed.
            return None
        if y.shape != case.output.shape:
            return None
        output = found.finished(y)
        if not found.after:
            return Prediction(output, output, output, found)
        return Prediction(output, found.finished(y - slack), found.finished(y + slack), found)


def assuming(
    name: str,
    change: Callable[[LayerRun], LayerRun | Prediction | None],
    touched: str,
    *,
    fitted: int = 0,
) -> Hypothesis:
    """Return a hypothesis that assumes nothing but what its name says."""
    return Hypothesis(name, change, frozenset({name}), frozenset({touched}), fitted)
