"""Each hostile input of the table, through the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hostile.judging import faults
from tests.hostile.sandbox import Sandbox
from tests.hostile.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile.case import Hostile

REPORT = os.environ.get("HOSTILE_REPORT", "")
"""Folder that gets `hostile.jsonl`, a line for each input."""
MANY = 400


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in table()])
def test_hostile(case: Hostile, sandbox: Sandbox) -> None:
    happened = sandbox.run(case)
    found = list(faults(case, happened))
    if REPORT:
        row = {
            "id": case.id,
            "kind": case.kind,
            "input": case.shown or " ".join(case.words)[:300],
            "expected": case.expected,
            "happened": {**happened.told(), "faults": found},
        }
        with (Path(REPORT) / "hostile.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
    assert not found, f"{found}\n{happened.stdout[-2000:]}\n{happened.stderr[-4000:]}"


def test_the_table_is_large_and_its_names_are_unique() -> None:
    names = [case.id for case in table()]
    assert len(set(names)) == len(names)
    assert len(names) >= MANY
