"""Greedy decoding of what a text recogniser puts out (connectionist temporal classification)."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

BLANK = 0
"""Index of the class that stands for no character."""


def ctc_decode(probabilities: NDArray[np.floating], characters: Sequence[str]) -> str:
    """Return the text: the best class of each step, repetitions merged, blanks left out.

    Args:
        probabilities: shape (steps, classes); any increasing function of them will do.
        characters: the character of each class; index 0 is the blank.

    Raises:
        ModelError: the number of classes is not the number of characters.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(characters):
        raise ModelError(
            f"an output of shape {probabilities.shape} cannot be read with {len(characters)} "
            "characters. Give the table that belongs to the model."
        )
    best = probabilities.argmax(axis=1).tolist()
    return "".join(characters[index] for index, _ in groupby(best) if index != BLANK)
