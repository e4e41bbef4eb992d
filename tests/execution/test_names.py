"""Whatever blobs, values, layers and inputs are called: the same numbers, and no file elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.build.builder import Build
from harness.domain.records import Verdict
from harness.domain.spec import RunSpec
from harness.util.build_store import Store
from tests.execution.misbehaving import BUILD, cells, inputs, model, runner_with

if TYPE_CHECKING:
    from pathlib import Path

    from harness.domain.records import CellRecord
    from harness.model.prepared_model import PreparedModel

pytestmark = pytest.mark.native

NAMES = [
    "/model/conv1/Conv_output_0",
    "../../../../x",
    "/x",
    "..",
    ".",
    "~",
    "-rf",
    "a\\b",
    "C:\\x",
    "$(touch${IFS}x)",
    "`id`",
    "a;b|c&d>e",
    "\u202ex",
    "a\u2028b",
    "\x85",
    "日本語",
    "😀",
    "x" * 200,
    "{{7*7}}",
    "<script>alert(1)</script>",
    "con",
    "file",
    "input.npy",
    "%2e%2e%2f",
]
"""No spaces: they would end a name in a `.param` file."""


def measured(core: Path, store: Store, prepared: PreparedModel, folder: Path) -> CellRecord:
    items = inputs(folder, prepared, store, 1)
    run = RunSpec(name="off", options=(("use_fp16_storage", False),))
    build = Build(core=core, record=BUILD)
    (record,) = runner_with(store).run(cells(items, run), build, prepared, items)
    return record


def listing(folder: Path, *without: str) -> set[str]:
    return {
        os.path.join(place, name)  # noqa: PTH118 (names that pathlib would change)
        for place, folders, names in os.walk(folder)
        if not any(place.startswith(each) for each in without)
        for name in (*folders, *names)
    }


@pytest.mark.parametrize("name", NAMES)
def test_any_name_gives_the_same_numbers(
    core: Path, store: Store, tmp_path: Path, name: str
) -> None:
    # Deep enough for every `..` to end where it is seen.
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    plain = measured(core, store, model(folder, "plain", store), folder)
    store = Store(root=tmp_path / "store")
    prepared = model(folder, "m", store, x=name, y=f"{name}.y", layer=f"{name}.layer")
    before = listing(tmp_path, str(store.root))
    record = measured(core, store, prepared, folder)
    assert (record.verdict, record.output) == (Verdict.OK, plain.output)
    assert [layer.blob for layer in record.layers] == [name, f"{name}.y"]
    added = listing(tmp_path, str(store.root)) - before
    assert {path.removeprefix(f"{folder}/") for path in added} <= {"m.param.mark"}
    assert not any("x.npy" in path for path in listing(store.root))
