"""What counts as another table after a round."""

from __future__ import annotations

from typing import Any

import pytest

from faults.soak.round import settled
from faults.table import differences, table_of
from harness.domain.records import Verdict
from tests.records import cell

DROP: dict[str, Any] = {"verdict": Verdict.DROP}
UNSTABLE: dict[str, Any] = {"verdict": Verdict.UNSTABLE}
CRASH: dict[str, Any] = {"verdict": Verdict.BROKEN, "output": None, "reason": "SIGSEGV in f"}
LIMIT: dict[str, Any] = {"verdict": Verdict.BROKEN, "output": None, "reason": "no result after 9 s"}


@pytest.mark.parametrize(
    ("found", "expected", "differs"),
    [
        (DROP, DROP, False),
        (UNSTABLE, CRASH, False),
        (CRASH, {**CRASH, "reason": "SIGABRT"}, False),
        (UNSTABLE, DROP, True),
        (CRASH, DROP, True),
        (DROP, CRASH, True),
        (LIMIT, CRASH, True),
        (UNSTABLE, LIMIT, True),
    ],
)
def test_what_comes_and_goes_is_compared_with_nothing_else(
    found: dict[str, Any], expected: dict[str, Any], differs: bool
) -> None:
    tables = (table_of([cell({"Gemm": 1e-3}).model_copy(update=u)]) for u in (found, expected))
    assert bool(differences(*settled(*tables))) is differs
