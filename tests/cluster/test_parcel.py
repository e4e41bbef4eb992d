"""A model with its inputs on its way to another machine."""

from __future__ import annotations

import pickle
import shutil
from typing import TYPE_CHECKING

import numpy as np

from harness.cluster.parcel import packed, unpacked
from harness.domain.spec import InputSpec
from harness.execution.engine import ModelAtHand
from harness.reference.prepared_input import prepare_input
from harness.util.build_store import Store
from tests import one_layer
from tests.evaluating import here
from tests.proven import preparation

if TYPE_CHECKING:
    from pathlib import Path

ITEM = InputSpec(name="i", random=1, shape=(1, 40, 120))


def test_everything_arrives_where_nothing_of_the_sender_is(tmp_path: Path) -> None:
    home, away = tmp_path / "home", Store(root=tmp_path / "away")
    home.mkdir()
    spec = one_layer.written(home)
    store = Store(root=home / "store")
    model = preparation(spec, [ITEM], store).model
    item = prepare_input(ITEM, model, store, here)
    values = {name: np.array(item.reference[name]) for name in item.reference}
    feeds = {blob: np.load(file) for blob, file in item.feeds.items()}
    digest = model.digest
    sent = pickle.dumps(packed(ModelAtHand(model=model, inputs={"i": item})))
    shutil.rmtree(home)
    for _ in range(2):
        found = unpacked(pickle.loads(sent), away)
    found.model.check()
    assert found.model.digest == digest
    there = found.inputs["i"]
    # What a measurement is remembered under does not depend on the machine.
    assert there.reference.directory.name == item.reference.directory.name
    assert {name: there.reference[name].tobytes() for name in there.reference} == {
        name: value.tobytes() for name, value in values.items()
    }
    for blob, file in there.feeds.items():
        np.testing.assert_array_equal(np.load(file), feeds[blob])
    assert there.noise.floors == item.noise.floors
    assert list(there.noise.channels) == list(model.by_blob)
    assert all(str(away.root) in str(path) for path in (found.model.param, *there.feeds.values()))
