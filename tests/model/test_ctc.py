from __future__ import annotations

import numpy as np
import pytest

from harness.model.ctc import ctc_decode
from harness.util.errors import ModelError

CHARACTERS = ["", "a", "b", " "]


@pytest.mark.parametrize(
    ("best", "text"),
    [
        ([], ""),
        ([0, 0, 0], ""),
        ([1, 1, 2, 2, 2], "ab"),
        ([1, 0, 1], "aa"),
        ([0, 1, 3, 3, 2, 0], "a b"),
        ([2, 1, 2], "bab"),
    ],
)
def test_repetitions_merge_and_blanks_vanish(best: list[int], text: str) -> None:
    probabilities = np.eye(4)[best] if best else np.empty((0, 4))
    assert ctc_decode(probabilities, CHARACTERS) == text


@pytest.mark.parametrize("shape", [(5, 3), (1, 5, 4)])
def test_a_table_of_another_model_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="belongs to the model"):
        ctc_decode(np.zeros(shape), CHARACTERS)
